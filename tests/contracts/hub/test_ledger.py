"""The ledger walk-through of PoCo: what every account holds after every step, and the events that say so."""

from __future__ import annotations

from typing import Any

import pytest

from pyiexec.protocol import money
from pyiexec.protocol.money import Share
from pyiexec.protocol.tasks import ContributionStatus

KITTY = "0x99c2268479b93fDe36232351229815DF80837e23"
#: Prices of the walk-through.
COST = 1_001_001_000
STAKE = 300_000_000


@pytest.fixture
def poor(market: Any) -> Any:
    """Requester, scheduler and the first worker have exactly what one task takes."""
    market.set_balance(market.requester, COST)
    market.set_balance(market.scheduler, STAKE)
    market.set_balance(market.workers[0], STAKE)
    return market


def names(market: Any, receipt: Any) -> list[str]:
    return [name for name, _ in market.events(receipt)]


def test_a_task_at_trust_one_pays_app_dataset_worker_and_scheduler(poor: Any) -> None:
    market, worker = poor, poor.workers[0]
    match = market.match()
    assert market.account(market.requester) == (0, COST)
    assert market.account(market.scheduler) == (0, STAKE)
    assert market.view("balanceOf", market.hub) == COST + STAKE
    task = market.initialize(match)
    market.contribute(task, worker)
    assert market.account(worker) == (0, STAKE)
    assert market.view("balanceOf", market.hub) == COST + 2 * STAKE
    market.reveal(task, worker)
    market.finalize(task, b"link")
    assert market.account(market.requester) == (0, 0)
    assert market.account(market.scheduler) == (310_000_000, 0)
    assert market.account(worker) == (1_290_000_000, 0)
    assert market.account(market.app_owner) == (1_000, 0)
    assert market.account(market.dataset_owner) == (1_000_000, 0)
    assert market.view("balanceOf", market.hub) == 0
    assert market.conserved()


@pytest.mark.parametrize("contributed", [False, True])
def test_a_claim_refunds_the_requester_frees_the_worker_and_feeds_the_kitty(poor: Any, contributed: bool) -> None:
    market, worker = poor, poor.workers[0]
    supply = market.view("totalSupply")
    task = market.started()
    if contributed:
        market.contribute(task, worker)
    receipt = market.send("claim", task, sender=market.stranger, at=market.task(task).final_deadline)
    assert market.account(market.requester) == (COST, 0)
    assert market.account(market.scheduler) == (0, 0)
    assert market.account(worker) == (STAKE, 0)
    assert market.account(KITTY) == (0, STAKE)
    assert market.view("balanceOf", market.hub) == STAKE
    assert market.view("totalSupply") == supply
    assert market.conserved()
    freed = ["Transfer", "Unlock"] if contributed else []
    assert names(market, receipt) == ["Transfer", "Unlock", "Seize", "Reward", "Lock", *freed, "TaskClaimed"]
    events = market.events(receipt)
    assert events[2:5] == [
        ("Seize", {"owner": market.scheduler, "amount": STAKE, "ref": task}),
        ("Reward", {"owner": KITTY, "amount": STAKE, "ref": task}),
        ("Lock", {"owner": KITTY, "amount": STAKE}),
    ]


def test_the_shortcut_of_one_worker_takes_no_stake(poor: Any) -> None:
    market, worker = poor, poor.workers[0]
    task = market.started()
    receipt = market.contribute_and_finalize(task, worker, results=b"link")
    assert market.account(market.requester) == (0, 0)
    assert market.account(market.scheduler) == (310_000_000, 0)
    assert market.account(worker) == (STAKE + 990_000_000, 0)
    assert market.view("balanceOf", market.hub) == 0
    assert market.view("viewScore", worker) == 0
    assert names(market, receipt) == [
        "Seize", *["Transfer", "Reward"] * 2, "Transfer", "Unlock", *["Transfer", "Reward"] * 2,
        "TaskContribute", "TaskConsensus", "TaskReveal", "TaskFinalize",
    ]  # fmt: skip
    seen, contribution = market.task(task), market.contribution(task, worker)
    assert (seen.status, seen.reveal_counter, seen.winner_counter) == (3, 1, 1)
    assert seen.contributors == (worker,)
    assert (contribution.status, contribution.weight) == (ContributionStatus.PROVED, 0)
    assert seen.result_digest == market.digest("right")
    assert seen.results == b"link"
    assert market.conserved()


@pytest.mark.parametrize(
    ("price", "stake", "worker_gain", "scheduler_gain"),
    [(1_000_000_015, 300_000_004, 990_000_014, 10_000_001), (1_000_000_025, 300_000_007, 990_000_024, 10_000_001)],
)
def test_stakes_and_shares_are_rounded_down_per_task(
    market: Any, price: int, stake: int, worker_gain: int, scheduler_gain: int
) -> None:
    worker = market.workers[0]
    before = market.account(worker)[0], market.account(market.scheduler)[0]
    workerpool = market.workerpool_order(workerpoolprice=price)
    match = market.match(workerpool=workerpool, volume=3, workerpoolmaxprice=price)
    assert market.account(market.scheduler) == (before[1] - 3 * stake, 3 * stake)
    assert market.deal(match.id).worker_stake == stake
    task = market.initialize(match)
    market.contribute(task, worker)
    market.reveal(task, worker)
    market.finalize(task)
    assert market.account(worker) == (before[0] + worker_gain, 0)
    assert market.account(market.scheduler)[0] == before[1] - 2 * stake + scheduler_gain
    assert market.conserved()


def test_finalize_shares_as_the_protocol_says_and_tells_in_order(market: Any) -> None:
    """Three winners, one liar, a callback to an account without code."""
    winners, liar = market.workers[:3], market.workers[3]
    payload = b"payload"
    callback = market.stranger
    task = market.started(trust=3, callback=callback, params="{}")
    before = {account: market.account(account)[0] for account in (*winners, liar, market.scheduler)}
    market.contribute(task, winners[0], "payload")
    market.contribute(task, liar, "wrong")
    for worker in winners[1:]:
        market.contribute(task, worker, "payload")
    for worker in winners:
        market.reveal(task, worker, "payload")
    receipt = market.finalize(task, b"link", payload)
    shares = [
        Share(winners[0], ContributionStatus.PROVED, 1),
        Share(liar, ContributionStatus.CONTRIBUTED, 1),
        Share(winners[1], ContributionStatus.PROVED, 1),
        Share(winners[2], ContributionStatus.PROVED, 1),
    ]
    distribution = money.distribute(1_000_000_000, STAKE, 1, shares)
    assert distribution.workers[winners[0]] == 429_000_000
    assert distribution.scheduler == 13_000_000
    for share in shares:
        assert market.account(share.worker) == (before[share.worker] + distribution.workers[share.worker], 0)
    assert market.account(market.scheduler)[0] == before[market.scheduler] + STAKE + distribution.scheduler
    won = ["Transfer", "Unlock", "Transfer", "Reward", "AccurateContribution"]
    assert names(market, receipt) == [
        "Seize", *["Transfer", "Reward"] * 2, "Transfer", "Unlock",
        *won, "Seize", "FaultyContribution", *won, *won,
        "Transfer", "Reward", "TaskFinalize",
    ]  # fmt: skip
    assert [market.view("viewScore", worker) for worker in (*winners, liar)] == [1, 1, 1, 0]
    assert market.view("resultFor", task) == payload
    assert market.conserved()


def test_workers_whose_consensus_was_reopened_are_punished_at_the_end(market: Any) -> None:
    first, second, third, fourth = market.workers[:4]
    task = market.started(trust=4)
    before = {account: market.account(account)[0] for account in (*market.workers[:4], market.scheduler)}
    market.contribute(task, first, "one")
    market.contribute(task, second, "one")
    market.send("reopen", task, sender=market.scheduler, at=market.task(task).reveal_deadline)
    market.contribute(task, third, "two")
    market.contribute(task, fourth, "two")
    market.reveal(task, third, "two")
    market.reveal(task, fourth, "two")
    market.finalize(task)
    gains = {account: market.account(account)[0] - before[account] for account in before}
    assert [gains[worker] for worker in (first, second, third, fourth)] == [-STAKE, -STAKE, 792_000_000, 792_000_000]
    assert gains[market.scheduler] == STAKE + 16_000_000
    assert market.conserved()


@pytest.mark.parametrize(
    ("kitty", "part"), [(10_000_000_010, 1_000_000_001), (1_000_000_000, 1_000_000_000), (999_999_999, 999_999_999)]
)
def test_a_finalized_task_brings_its_scheduler_a_part_of_the_kitty(market: Any, kitty: int, part: int) -> None:
    # a claimed task whose stake is what the kitty shall hold
    price = -(-kitty * 100 // 30)
    assert price * 30 // 100 == kitty
    market.fund(market.scheduler, kitty)
    market.fund(market.requester, price)
    workerpool = market.workerpool_order(workerpoolprice=price)
    lost = market.initialize(market.match(workerpool=workerpool, workerpoolmaxprice=price))
    market.send("claim", lost, sender=market.stranger, at=market.task(lost).final_deadline)
    assert market.account(KITTY) == (0, kitty)

    task = market.started()
    market.contribute(task, market.workers[0])
    market.reveal(task, market.workers[0])
    before = market.account(market.scheduler)[0]
    receipt = market.finalize(task)
    assert market.account(KITTY) == (0, kitty - part)
    assert market.account(market.scheduler)[0] == before + STAKE + 10_000_000 + part
    assert money.kitty_reward(kitty) == part
    events = market.events(receipt)
    assert events[7] == ("Seize", {"owner": KITTY, "amount": part, "ref": task})
    assert [name for name, _ in events[8:10]] == ["Transfer", "Reward"]
    assert events[9][1] == {"owner": market.scheduler, "amount": part, "ref": task}
    assert market.conserved()


def test_a_sponsor_pays_and_is_refunded(market: Any) -> None:
    before = market.account(market.sponsor)[0]
    match = market.match(sponsored=True)
    assert market.account(market.sponsor) == (before - COST, COST)
    assert market.account(market.requester)[1] == 0
    assert market.deal(match.id).sponsor == market.sponsor
    task = market.initialize(match)
    market.send("claim", task, sender=market.stranger, at=market.task(task).final_deadline)
    assert market.account(market.sponsor) == (before, 0)


def test_a_sponsor_is_charged_when_the_task_succeeds(market: Any) -> None:
    task = market.initialize(market.match(sponsored=True, callback=market.stranger, tag="0x" + "0" * 62 + "10"))
    before = market.account(market.sponsor)
    receipt = market.contribute_and_finalize(task, market.workers[0], callback=b"data")
    assert market.account(market.sponsor) == (before[0], 0)
    assert market.events(receipt)[0] == ("Seize", {"owner": market.sponsor, "amount": COST, "ref": task})
