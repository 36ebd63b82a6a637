import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyiexec.protocol.money import (
    KITTY_ADDRESS,
    Share,
    distribute,
    kitty_reward,
    scheduler_stake,
    single_worker_reward,
    task_cost,
    worker_stake,
)
from pyiexec.protocol.primitives import checksum, keccak256
from pyiexec.protocol.tasks import ContributionStatus

PROVED, WRONG, REJECTED = ContributionStatus.PROVED, ContributionStatus.CONTRIBUTED, ContributionStatus.REJECTED
RLC = 10**9


def shares(*contributions: tuple[ContributionStatus, int]) -> list[Share]:
    return [
        Share(checksum(number.to_bytes(20, "big")), status, weight)
        for number, (status, weight) in enumerate(contributions, start=1)
    ]


@pytest.mark.parametrize(
    ("statuses", "winner", "scheduler"),
    [
        ([PROVED], 990_000_000, 10_000_000),
        ([PROVED, PROVED, PROVED, WRONG], 429_000_000, 13_000_000),
        ([PROVED, PROVED, WRONG, WRONG], 792_000_000, 16_000_000),
        ([REJECTED, REJECTED, PROVED, PROVED], 792_000_000, 16_000_000),
    ],
)
def test_the_measured_settlements_of_poco(statuses: list[ContributionStatus], winner: int, scheduler: int) -> None:
    contributors = shares(*((status, 1) for status in statuses))
    shared = distribute(RLC, 300_000_000, 1, contributors)
    assert list(shared.workers.values()) == [winner if status is PROVED else -300_000_000 for status in statuses]
    assert shared.scheduler == scheduler


@pytest.mark.parametrize(
    ("price", "stake", "worker", "scheduler"),
    [(1_000_000_015, 300_000_004, 990_000_014, 10_000_001), (1_000_000_025, 300_000_007, 990_000_024, 10_000_001)],
)
def test_odd_prices_are_floored_as_on_chain(price: int, stake: int, worker: int, scheduler: int) -> None:
    assert scheduler_stake(price) == stake
    assert worker_stake(price, 30) == stake
    shared = distribute(price, stake, 1, shares((PROVED, 1)))
    assert (list(shared.workers.values()), shared.scheduler) == ([worker], scheduler)
    assert single_worker_reward(price, 1) == (worker, scheduler)


@given(
    st.integers(0, 10**20),
    st.integers(0, 10**20),
    st.integers(0, 100),
    st.lists(st.tuples(st.sampled_from([PROVED, WRONG, REJECTED]), st.integers(1, 255)), max_size=20),
)
def test_money_is_conserved(
    price: int, stake: int, ratio: int, contributions: list[tuple[ContributionStatus, int]]
) -> None:
    contributors = shares(*contributions)
    shared = distribute(price, stake, ratio, contributors)
    assert sum(shared.workers.values()) + shared.scheduler == price
    assert list(shared.workers) == [share.worker for share in contributors]
    assert shared.scheduler >= 0
    for share in contributors:
        gain = shared.workers[share.worker]
        assert gain >= 0 if share.status is PROVED else gain == -stake


@given(st.integers(0, 10**20), st.integers(0, 100))
def test_a_single_worker_and_its_scheduler_share_the_whole_price(price: int, ratio: int) -> None:
    worker, scheduler = single_worker_reward(price, ratio)
    assert worker + scheduler == price
    assert min(worker, scheduler) >= 0


@pytest.mark.parametrize(
    ("kitty", "paid"),
    [(10_000_000_010, 1_000_000_001), (RLC, RLC), (999_999_999, 999_999_999), (5 * RLC, RLC), (0, 0)],
)
def test_the_kitty_pays_a_tenth_but_at_least_one_rlc(kitty: int, paid: int) -> None:
    assert kitty_reward(kitty) == paid


def test_the_kitty_lives_where_nobody_has_the_key() -> None:
    first_bytes = int.from_bytes(keccak256(b"iExecKitty")[:20], "big")
    assert int(KITTY_ADDRESS, 16) == first_bytes - 1
    assert checksum(KITTY_ADDRESS) == KITTY_ADDRESS


def test_a_task_costs_the_sum_of_its_prices() -> None:
    assert task_cost(1_000, 1_000_000, RLC) == 1_001_001_000
