"""Which forgotten tasks are claimed, and which of them together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pyiexec.keeper.rules import Bag, Slot, Way, alone, gas_limit, gas_of, plan
from pyiexec.protocol import ids
from pyiexec.protocol.primitives import DealId, bytes32, checksum
from pyiexec.protocol.tasks import Task, TaskStatus

DEAL = DealId(bytes32(7))
NOW = 1_000
Found = list[tuple[Slot, Task]]


def slot(number: int, *, boost: bool = False) -> Slot:
    return Slot(DEAL, boost, number, ids.task_id(DEAL, number))


def task(status: TaskStatus, votes: int = 0, final: int = NOW) -> Task:
    voters = tuple(checksum(bytes(19) + bytes([number + 1])) for number in range(votes))
    return Task(status=status, final_deadline=final, contributors=voters)


def planned(found: Found, batch_size: int = 32, batch_gas: int = 10_000_000) -> list[tuple[Way, list[int]]]:
    claims = plan(found, NOW, batch_size=batch_size, batch_gas=batch_gas)
    return [(claim.way, [slot.index for slot in claim.slots]) for claim in claims]


def test_a_bag_knows_its_tasks() -> None:
    bag = Bag(deal_id=DEAL, boost=False, first_index=3, tasks=2)
    assert list(bag.slots) == [slot(3), slot(4)]


def test_opened_and_never_opened_tasks_go_out_apart() -> None:
    found = [
        (slot(0), task(TaskStatus.ACTIVE)),
        (slot(1), task(TaskStatus.UNSET)),
        (slot(2), task(TaskStatus.REVEALING)),
        (slot(3), task(TaskStatus.UNSET)),
    ]
    assert planned(found) == [(Way.CLAIM, [0, 2]), (Way.OPEN_AND_CLAIM, [1, 3])]


def test_what_is_over_or_not_yet_late_is_left_alone() -> None:
    found = [
        (slot(0), task(TaskStatus.COMPLETED)),
        (slot(1), task(TaskStatus.FAILED)),
        (slot(2), task(TaskStatus.ACTIVE, final=NOW + 1)),
        (slot(3, boost=True), task(TaskStatus.COMPLETED)),
    ]
    assert planned(found) == []


def test_tasks_of_boost_deals_are_claimed_one_by_one() -> None:
    found = [(slot(number, boost=True), task(TaskStatus.UNSET)) for number in range(2)]
    assert planned(found) == [(Way.CLAIM_BOOST, [0]), (Way.CLAIM_BOOST, [1])]


def test_a_task_with_more_votes_than_a_batch_may_hold_is_claimed_all_the_same() -> None:
    found = [(slot(0), task(TaskStatus.ACTIVE, votes=20)), (slot(1), task(TaskStatus.ACTIVE))]
    assert planned(found, batch_gas=200_000) == [(Way.CLAIM, [0]), (Way.CLAIM, [1])]


def test_a_refused_batch_is_taken_apart() -> None:
    (claim,) = plan([(slot(n), task(TaskStatus.ACTIVE)) for n in range(3)], NOW, batch_size=9, batch_gas=10**7)
    assert [part.slots for part in alone(claim)] == [(slot(0),), (slot(1),), (slot(2),)]
    assert {part.way for part in alone(claim)} == {Way.CLAIM}


_FOUND = st.lists(st.tuples(st.sampled_from(TaskStatus), st.integers(0, 9), st.booleans(), st.integers(-1, 1)))


@given(_FOUND, st.integers(1, 8), st.integers(100_000, 3_000_000))
def test_everything_claimable_is_claimed_once_within_the_bounds(
    drawn: list[tuple[TaskStatus, int, bool, int]], batch_size: int, batch_gas: int
) -> None:
    found = [
        (slot(number, boost=boost), task(status, votes, NOW + late))
        for number, (status, votes, boost, late) in enumerate(drawn)
    ]
    claims = plan(found, NOW, batch_size=batch_size, batch_gas=batch_gas)
    tasks = dict(found)
    claimed = [slot for claim in claims for slot in claim.slots]
    assert len(claimed) == len(set(claimed))
    assert set(claimed) == {
        one
        for one, its in found
        if its.status < TaskStatus.COMPLETED and (one.boost or its.status is TaskStatus.UNSET or its.may_claim(NOW))
    }
    for claim in claims:
        assert 1 <= len(claim.slots) <= batch_size
        needed = sum(gas_of(claim.way, tasks[one]) for one in claim.slots)
        assert len(claim.slots) == 1 or needed <= batch_gas
        assert gas_limit(claim, [tasks[one] for one in claim.slots]) > needed
        assert len(claim.slots) == 1 or claim.way is not Way.CLAIM_BOOST
