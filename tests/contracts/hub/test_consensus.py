"""When a result stands on chain, against the arithmetic of the protocol."""

from __future__ import annotations

import random
from typing import Any

import pytest

from pyiexec.chain import token
from pyiexec.protocol import ids, trust
from pyiexec.protocol.primitives import Address, bytes32
from pyiexec.protocol.tasks import ContributionStatus, TaskStatus


@pytest.fixture
def set_score(market: Any, write: Any) -> Any:
    """Give a worker a score."""

    def put(worker: str, score: int) -> None:
        write("scores", worker, value=score)
        assert market.view("viewScore", worker) == score

    return put


@pytest.mark.parametrize(
    ("level", "workers"),
    [(0, 1), (1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (8, 3), (9, 4), (16, 4), (17, 5), (100, 7), (1024, 10)],
)
def test_so_many_unanimous_newcomers_settle_a_trust(market: Any, level: int, workers: int) -> None:
    task = market.started(trust=level)
    for worker in market.workers[: workers - 1]:
        market.contribute(task, worker)
        assert market.task(task).status is TaskStatus.ACTIVE
    market.contribute(task, market.workers[workers - 1])
    assert market.task(task).status is TaskStatus.REVEALING
    assert market.task(task).winner_counter == workers


@pytest.mark.parametrize(
    ("score", "weight", "settles"),
    [(0, 2, False), (11, 2, False), (12, 3, True), (15, 4, True), (26, 7, True), (27, 8, True), (1000, 332, True)],
)
def test_a_good_record_weighs_more(market: Any, set_score: Any, score: int, weight: int, settles: bool) -> None:
    worker = market.workers[0]
    set_score(worker, score)
    task = market.started(trust=3)
    market.contribute(task, worker)
    assert trust.worker_weight(score) == weight
    assert market.contribution(task, worker).weight == trust.log_weight(score)
    assert (market.task(task).status is TaskStatus.REVEALING) is settles


@pytest.mark.parametrize("seed", range(12))
def test_any_history_of_votes_stands_when_the_protocol_says_so(market: Any, set_score: Any, seed: int) -> None:
    """Random scores, answers and reopenings; after each vote chain and protocol agree."""
    dice = random.Random(seed)
    level = dice.choice([2, 3, 7, 20, 60])
    task = market.started(trust=level)
    groups: dict[Any, int] = {}
    reopenings = 0
    for worker in market.workers:
        score = dice.choice([0, 0, 0, 13, 40])
        if score:
            set_score(worker, score)
        answer = dice.choice(["right", "right", "wrong", "worse"])
        hash_ = ids.result_hash(task, market.digest(answer))
        groups = trust.vote(groups, hash_, trust.worker_weight(score))
        market.contribute(task, worker, answer)
        seen = market.task(task)
        assert (seen.status is TaskStatus.REVEALING) is trust.stands(groups, hash_, level)
        if seen.status is TaskStatus.REVEALING:
            assert seen.consensus_value == hash_
            votes = [market.contribution(task, other) for other in seen.contributors]
            current = [v for v in votes if v.result_hash == hash_ and v.status is ContributionStatus.CONTRIBUTED]
            assert seen.winner_counter == len(current)
            reopenings += 1
            if reopenings > 2:
                break  # a fourth round would begin after contributions closed
            market.send("reopen", task, sender=market.scheduler, at=seen.reveal_deadline)
            groups = trust.reopened(groups, hash_)


def test_a_dissenter_costs_two_more_votes(market: Any) -> None:
    task = market.started(trust=3)
    for worker, answer in zip(market.workers, ("good", "bad", "good"), strict=False):
        market.contribute(task, worker, answer)
        assert market.task(task).status is TaskStatus.ACTIVE
    market.contribute(task, market.workers[3], "good")
    assert market.task(task).status is TaskStatus.REVEALING
    assert market.task(task).winner_counter == 3


def test_weights_share_the_reward(market: Any, set_score: Any) -> None:
    """A weight of 8 earns three times what a weight of 2 does."""
    strong, weak = market.workers[:2]
    task = market.started(trust=9)
    market.contribute(task, weak)
    set_score(strong, 27)
    market.contribute(task, strong)
    for worker in (strong, weak):
        market.reveal(task, worker)
    before = [market.account(worker)[0] for worker in (strong, weak)]
    market.finalize(task)
    gains = [market.account(worker)[0] - old for worker, old in zip((strong, weak), before, strict=True)]
    assert gains == [300_000_000 + 742_500_000, 300_000_000 + 247_500_000]
    assert [market.view("viewScore", worker) for worker in (strong, weak)] == [28, 1]


def test_a_liar_loses_a_third_of_its_score(market: Any, set_score: Any) -> None:
    liar, *others = market.workers[:4]
    set_score(liar, 10)
    task = market.started(trust=3)
    market.contribute(task, liar, "wrong")
    for worker in others:
        market.contribute(task, worker)
    for worker in others:
        market.reveal(task, worker)
    market.finalize(task)
    assert market.view("viewScore", liar) == 6


def test_fixed_11_no_number_of_votes_can_overflow(market: Any, set_score: Any) -> None:
    """Two camps outbid each other, each vote just too light to settle: the product of 2**256 is passed at the tenth."""
    level = 2**24 - 1
    task = market.started(trust=level)
    camps = {"one": 1, "two": 1}
    for position, worker in enumerate(market.workers):
        mine, other = ("one", "two") if position % 2 else ("two", "one")
        weight = min((level - 1) * camps[other] // camps[mine], 2**80 - 1)
        set_score(worker, 3 * (weight + 1))
        market.contribute(task, worker, mine)
        assert market.contribution(task, worker).weight == weight.bit_length() - 1
        assert market.task(task).status is TaskStatus.ACTIVE
        camps[mine] *= weight
    assert max(camps.values()) * level > 2**256


def test_fixed_11_an_enormous_trust_is_refused_when_matched(market: Any, reverted: Any) -> None:
    for level in (2**24, 2**255):
        order = market.workerpool_order(trust=2**256 - 1)
        with pytest.raises(reverted, match=r"^trust too high$"):
            market.match(workerpool=order, trust=level)
    assert market.deal(market.match(trust=2**24 - 1).id).trust == 2**24 - 1


def test_too_many_answers_are_refused_with_a_reason(market: Any, reverted: Any) -> None:
    """Sixty-five different ones are counted, the next is not."""
    task = market.started(trust=2**24 - 1)
    for number in range(66):
        worker = bytes32(10**6 + number)[:2] + bytes32(10**6 + number)[26:]
        market.chain.impersonate(worker)
        market.fund(worker, 300_000_000)
        if number < 65:
            market.contribute(task, worker, f"answer {number}")
        else:
            with pytest.raises(reverted, match=r"^too many different results$"):
                market.contribute(task, worker, f"answer {number}")
    assert len(market.task(task).contributors) == 65


def crowd(market: Any, size: int, stake: int) -> list[Address]:
    """That many new workers, each with a stake in its account."""
    workers = [Address("0x" + (10**6 + number).to_bytes(20, "big").hex()) for number in range(size)]
    total = size * stake
    approve = token.FUNCTIONS["approve"].encode(market.hub, total)
    market.chain.send(market.manifest.token, approve, market.admin)
    market.send("depositForArray", [stake] * size, workers, sender=market.admin)
    for worker in workers:
        market.chain.impersonate(worker)
    return workers


def test_a_task_with_all_the_contributors_it_may_have_ends_within_a_block(market: Any, reverted: Any) -> None:
    """Two camps outbid each other past all trust, so there is never a consensus; all of them are freed by one claim."""
    workers = crowd(market, 257, 300_000_000)
    task = market.started(trust=2**24 - 1)
    most = 0
    for number, worker in enumerate(workers[:256]):
        answer = f"answer {number % 2}" if number < 194 else f"answer {number}"
        most = max(most, market.contribute(task, worker, answer).gas)
    assert most < 3_000_000
    with pytest.raises(reverted, match=r"^too many contributors$"):
        market.contribute(task, workers[256])
    assert len(market.task(task).contributors) == 256
    assert market.contribution(task, workers[255]).status is ContributionStatus.CONTRIBUTED
    claim = market.send("claim", task, sender=market.stranger, at=market.task(task).final_deadline)
    assert claim.gas < 10_000_000
    assert [market.account(worker) for worker in workers] == [(300_000_000, 0)] * 257


def test_a_task_with_hundreds_of_losers_is_finalized_within_a_block(market: Any) -> None:
    workers = crowd(market, 256, 300_000_000)
    task = market.started(trust=2**24 - 1)
    liars, honest = workers[:192], workers[192:]
    for number, worker in enumerate(liars):
        market.contribute(task, worker, f"lie {number % 64}")
    winners = []
    for worker in honest:
        winners.append(worker)
        market.contribute(task, worker)
        if market.task(task).status is TaskStatus.REVEALING:
            break
    for worker in winners:
        market.reveal(task, worker)
    finalize = market.finalize(task, b"x" * 4096)
    assert market.task(task).status is TaskStatus.COMPLETED
    assert finalize.gas < 10_000_000
    assert [market.account(worker) for worker in liars] == [(0, 0)] * 192
    assert sum(market.account(worker)[0] for worker in winners) > 192 * 300_000_000
