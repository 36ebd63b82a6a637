"""The acceptance figures of PoCo's ledger, by the model."""

import pytest

from pyiexec.protocol.money import KITTY_ADDRESS
from pyiexec.protocol.poco import Event, Refusal
from pyiexec.protocol.primitives import NULL_ADDRESS, Address

from .market import (
    APP_OWNER,
    DATASET_OWNER,
    REQUESTER,
    RLC,
    SCHEDULER,
    START,
    STRANGER,
    TIMEREF,
    WORKERS,
    Market,
)

WORKER = WORKERS[0]
STAKE = 300_000_000


@pytest.fixture
def exact() -> Market:
    """A market where everybody has exactly what one task takes."""
    market = Market(funds=0)
    for who, amount in ((REQUESTER, 1_001_001_000), (SCHEDULER, STAKE), (WORKER, STAKE)):
        market.hub.deposit_for(amount, who, sender=market.hub.owner)
    return market


def names(events: tuple[Event, ...]) -> list[str]:
    return [event.name for event in events]


def pot(market: Market) -> int:
    return market.hub.balance_of(market.hub.address)


def test_a_task_pays_everybody_what_the_walk_through_says(exact: Market) -> None:
    task = exact.started()
    assert (exact.holds(REQUESTER), exact.holds(SCHEDULER)) == ((0, 1_001_001_000), (0, STAKE))
    assert pot(exact) == 1_301_001_000
    exact.contribute(task, WORKER)
    assert (exact.holds(WORKER), pot(exact)) == ((0, STAKE), 1_601_001_000)
    exact.reveal(task, WORKER)
    exact.finalize(task)
    assert exact.holds(REQUESTER) == (0, 0)
    assert exact.holds(SCHEDULER) == (310_000_000, 0)
    assert exact.holds(WORKER) == (1_290_000_000, 0)
    assert (exact.holds(APP_OWNER), exact.holds(DATASET_OWNER)) == ((1_000, 0), (1_000_000, 0))
    assert pot(exact) == 0
    assert exact.hub.total_supply == 1_601_001_000


@pytest.mark.parametrize("contributions", [0, 1])
def test_a_claim_refunds_the_requester_and_feeds_the_kitty(exact: Market, contributions: int) -> None:
    task = exact.started(trust=3)
    for worker in WORKERS[:contributions]:
        exact.contribute(task, worker)
    exact.hub.claim(task, now=START + 10 * TIMEREF)
    assert (exact.holds(REQUESTER), exact.holds(SCHEDULER)) == ((1_001_001_000, 0), (0, 0))
    assert exact.holds(WORKER) == (STAKE, 0)
    assert exact.holds(KITTY_ADDRESS) == (0, STAKE)
    assert pot(exact) == STAKE


def test_a_single_worker_needs_no_stake(exact: Market) -> None:
    task = exact.started()
    exact.shortcut(task, WORKER)
    assert exact.holds(WORKER) == (STAKE + 990_000_000, 0)
    assert (exact.holds(SCHEDULER), exact.holds(REQUESTER)) == ((310_000_000, 0), (0, 0))


@pytest.mark.parametrize(
    ("price", "stake", "worker", "scheduler"),
    [(1_000_000_015, 300_000_004, 990_000_014, 10_000_001), (1_000_000_025, 300_000_007, 990_000_024, 10_000_001)],
)
def test_odd_prices_are_floored_per_task(market: Market, price: int, stake: int, worker: int, scheduler: int) -> None:
    before, owned = market.holds(WORKER)[0], market.holds(SCHEDULER)[0]
    task = market.started(pool_price=price, volume=3)
    assert market.holds(SCHEDULER) == (owned - 3 * stake, 3 * stake)
    market.contribute(task, WORKER)
    assert market.holds(WORKER) == (before - stake, stake)
    market.reveal(task, WORKER)
    market.finalize(task)
    assert market.holds(WORKER) == (before + worker, 0)
    assert market.holds(SCHEDULER) == (owned - 2 * stake + scheduler, 2 * stake)


def test_after_a_reopening_the_stakes_of_the_silent_go_to_those_who_revealed(market: Market) -> None:
    task = market.started(trust=4)
    first, second, third, fourth = WORKERS[:4]
    for worker in (first, second):
        market.contribute(task, worker)
    closed = START + 2 * TIMEREF
    market.hub.reopen(task, sender=SCHEDULER, now=closed)
    for worker in (third, fourth):
        market.contribute(task, worker, now=closed)
    before = market.holds(SCHEDULER)[0]
    for worker in (third, fourth):
        market.reveal(task, worker, now=closed)
    market.finalize(task, now=closed)
    assert [market.holds(worker)[0] - 100 * RLC for worker in WORKERS[:4]] == [-STAKE, -STAKE, 792_000_000, 792_000_000]
    assert market.holds(SCHEDULER)[0] == before + STAKE + 16_000_000
    assert [market.hub.score(worker) for worker in WORKERS[:4]] == [0, 0, 1, 1]


def test_the_kitty_pays_a_tenth_to_the_scheduler_of_the_next_task(market: Market) -> None:
    unlucky = market.match(volume=40)
    indexes = range(40)
    market.hub.initialize_and_claim_array([unlucky] * 40, indexes, now=START + 10 * TIMEREF)
    assert market.hub.frozen_of(KITTY_ADDRESS) == 40 * STAKE
    before = market.holds(SCHEDULER)[0]
    market.shortcut(market.started(), WORKER)
    assert market.hub.frozen_of(KITTY_ADDRESS) == 36 * STAKE
    assert market.holds(SCHEDULER)[0] == before + 10_000_000 + 4 * STAKE


def test_the_events_of_a_settlement_come_in_the_order_of_poco(market: Market) -> None:
    task = market.started(trust=3)
    for worker in WORKERS[:3]:
        market.contribute(task, worker, b"right" if worker != WORKERS[1] else b"wrong")
    market.contribute(task, WORKERS[3])
    for worker in (WORKERS[0], WORKERS[2], WORKERS[3]):
        market.reveal(task, worker)
    right = ["Transfer", "Unlock", "Transfer", "Reward", "AccurateContribution"]
    assert names(market.finalize(task).events) == [
        *("Seize", "Transfer", "Reward", "Transfer", "Reward", "Transfer", "Unlock"),
        *right,
        *("Seize", "FaultyContribution"),
        *right,
        *right,
        *("Transfer", "Reward", "TaskFinalize"),
    ]


def test_a_refused_call_changes_nothing_and_tells_why(market: Market) -> None:
    orders = market.orders(volume=10**6)
    frozen, consumed = dict(market.hub.frozen), dict(market.hub.consumed)
    with pytest.raises(Refusal, match="IexecEscrow: Transfer amount exceeds balance") as refused:
        market.hub.match_orders(*orders, sender=STRANGER, now=START)
    assert refused.value.data[:4].hex() == "08c379a0"
    assert (dict(market.hub.frozen), dict(market.hub.consumed)) == (frozen, consumed)
    assert not market.hub.deals
    market.match()


def test_deposits_and_withdrawals_move_rlc(market: Market) -> None:
    hub, token = market.hub, market.token
    outcome = hub.withdraw_to(RLC, STRANGER, sender=REQUESTER)
    assert [(event.emitter, event.name) for event in outcome.events] == [
        (hub.address, "Transfer"),
        (token.address, "Transfer"),
    ]
    assert token.balance_of(STRANGER) == RLC
    token.transfer(hub.address, 400, sender=STRANGER)
    assert hub.recover(sender=hub.owner).value == 400
    outcome = token.approve_and_call(hub.address, 600, b"", sender=STRANGER, now=START)
    assert [event.name for event in outcome.events] == ["Approval", "Transfer", "Transfer"]
    assert hub.balance_of(STRANGER) == 600
    assert market.conserved()


def test_a_deposit_may_bring_its_orders(market: Market) -> None:
    orders = market.orders(requester=STRANGER)
    market.token.transfer(STRANGER, 1_001_001_000, sender=market.hub.owner)
    paid = market.token.approve_and_call(market.hub.address, 1_001_001_000, orders, sender=STRANGER, now=START)
    assert names(paid.events)[-2:] == ["SchedulerNotice", "OrdersMatched"]
    assert market.holds(STRANGER) == (0, 1_001_001_000)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"\x01", ""),
        (bytes.fromhex("156194d4"), ""),
        (b"abcd" * 9, "UnsupportedOperation(0x61626364)"),
    ],
)
def test_a_deposit_with_other_data_is_refused(market: Market, data: bytes, reason: str) -> None:
    market.token.transfer(STRANGER, RLC, sender=market.hub.owner)
    with pytest.raises(Refusal) as refused:
        market.token.approve_and_call(market.hub.address, RLC, data, sender=STRANGER, now=START)
    assert refused.value.reason == reason
    assert market.token.balance_of(STRANGER) == RLC
    assert market.token.allowance(STRANGER, market.hub.address) == 0


def test_only_the_token_is_believed_about_a_deposit(market: Market) -> None:
    with pytest.raises(Refusal, match="wrong-token"):
        market.hub.receive_approval(REQUESTER, 1, market.token.address, b"", sender=Address(STRANGER), now=START)
    with pytest.raises(Refusal, match="wrong-token"):
        market.hub.approve_and_call(market.hub.address, 1, b"", sender=REQUESTER, now=START)
    assert market.hub.allowance(REQUESTER, market.hub.address) == 0


def test_staked_rlc_moves_as_an_erc_20_token(market: Market) -> None:
    hub = market.hub
    hub.approve(STRANGER, 10, sender=REQUESTER)
    hub.increase_allowance(STRANGER, 5, sender=REQUESTER)
    hub.decrease_allowance(STRANGER, 3, sender=REQUESTER)
    told = hub.transfer_from(REQUESTER, STRANGER, 7, sender=STRANGER)
    assert names(told.events) == ["Transfer", "Approval"]
    assert (hub.balance_of(STRANGER), hub.allowance(REQUESTER, STRANGER)) == (7, 5)
    for refusal, recipient in (("to the zero address", NULL_ADDRESS), ("to the hub", hub.address)):
        with pytest.raises(Refusal, match=refusal):
            hub.transfer(recipient, 1, sender=REQUESTER)
