"""Where orders stand: what remains, why they are suspended, and how orders share one stake."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyiexec.market.listing import Reason, Status
from pyiexec.market.standing import Claim, Footing, Known, footing, spend

known = st.builds(
    Known,
    volume=st.integers(1, 10),
    consumed=st.integers(0, 12),
    closed=st.booleans(),
    owned=st.booleans(),
    signed=st.booleans(),
    app_served=st.booleans(),
    dataset_served=st.booleans(),
)


@given(known)
def test_status_remaining_and_reason_never_contradict(it: Known) -> None:
    after = footing(it)
    assert (after.status is Status.CANCELED) == it.closed
    assert (after.remaining == 0) == (after.status in (Status.FILLED, Status.CANCELED))
    assert (after.obstacle is not None) == (after.status is Status.SUSPENDED)
    assert after.obstacle is not Reason.STAKE
    if after.status is Status.OPEN:
        assert it.owned
        assert it.signed
        assert it.app_served
        assert it.dataset_served


@pytest.mark.parametrize(
    ("flaws", "reason"),
    [
        ({"owned", "signed", "app_served", "dataset_served"}, Reason.OWNER_CHANGED),
        ({"signed", "app_served", "dataset_served"}, Reason.SIGNATURE_MISSING),
        ({"app_served", "dataset_served"}, Reason.NO_APPORDER),
        ({"dataset_served"}, Reason.NO_DATASETORDER),
    ],
)
def test_of_several_obstacles_the_first_is_named(flaws: set[str], reason: Reason) -> None:
    it = Known(volume=10, consumed=3, **dict.fromkeys(flaws, False))
    assert footing(it) == Footing(Status.SUSPENDED, 7, reason)
    # What is over is over, whatever else is wrong with it.
    assert footing(msgspec.structs.replace(it, consumed=10)).status is Status.FILLED
    assert footing(msgspec.structs.replace(it, closed=True)).status is Status.CANCELED


def order(number: int, rank: int, tasks: int, task_stake: int) -> Claim:
    return Claim(f"0x{number}", (0, rank, number, f"0x{number}"), tasks, task_stake)


def test_the_best_order_is_served_first_and_the_older_of_equals() -> None:
    claims = [order(1, 5, 4, 10), order(2, 3, 4, 10), order(3, 3, 4, 10)]
    assert spend(claims, 90) == {"0x2": 4, "0x3": 4, "0x1": 1}
    assert spend(claims, 59) == {"0x2": 4, "0x3": 1, "0x1": 0}
    assert spend(claims, 0) == {"0x2": 0, "0x3": 0, "0x1": 0}


def test_what_is_too_dear_does_not_keep_a_cheaper_one_from_being_served() -> None:
    assert spend([order(1, 1, 2, 100), order(2, 2, 2, 10)], 99) == {"0x1": 0, "0x2": 2}


def test_what_costs_nothing_needs_no_stake() -> None:
    assert spend([order(1, 1, 5, 0)], 0) == {"0x1": 5}


claims = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 9), st.integers(0, 9)), max_size=8).map(
    lambda rows: [order(number, *row) for number, row in enumerate(rows)]
)


@given(claims, st.integers(0, 200), st.randoms(use_true_random=False))
def test_a_stake_is_spent_once_and_in_an_order_that_does_not_depend_on_chance(
    wanted: list[Claim], stake: int, random: object
) -> None:
    fillable = spend(wanted, stake)
    assert sum(fillable[it.order_hash] * it.task_stake for it in wanted) <= stake
    assert all(0 <= fillable[it.order_hash] <= it.tasks for it in wanted)
    shuffled = list(wanted)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert spend(shuffled, stake) == fillable
    left = stake
    for it in sorted(wanted, key=lambda it: it.place):
        if fillable[it.order_hash] < it.tasks:
            assert left - fillable[it.order_hash] * it.task_stake < it.task_stake, "one more task would have fitted"
        left -= fillable[it.order_hash] * it.task_stake


@given(claims, st.integers(0, 200), st.integers(0, 200))
def test_more_stake_leaves_the_best_order_no_less(wanted: list[Claim], stake: int, more: int) -> None:
    if wanted:
        best = min(wanted, key=lambda it: it.place).order_hash
        assert spend(wanted, stake)[best] <= spend(wanted, stake + more)[best]
