"""The life of a task: who may do what, and until which second."""

from __future__ import annotations

from typing import Any

import pytest

from pyiexec.chain.calls import contribute
from pyiexec.chain.hub import FUNCTIONS
from pyiexec.protocol import ids
from pyiexec.protocol.primitives import NULL_ADDRESS, NULL_BYTES32, ResultSeal, TaskId, bytes32
from pyiexec.protocol.tasks import ContributionStatus, TaskStatus

TEE = bytes32(1)


@pytest.fixture
def refused(reverted: Any) -> Any:
    """Expect a revert without a reason."""

    class Expectation:
        def __enter__(self) -> None:
            pass

        def __exit__(self, kind: Any, error: Any, _: Any) -> bool:
            assert kind is reverted, "nothing reverted" if kind is None else error
            assert error.data == b"", f"reverted with a reason: {error}"
            return True

    return Expectation


# --- initialize -------------------------------------------------------------------------------------------------------


def test_a_task_counts_its_deadlines_from_the_match(market: Any) -> None:
    match = market.match(volume=2, category=1, workerpool=market.workerpool_order(category=1))
    start = market.deal(match.id).start_time
    receipt = market.send("initialize", match.id, 1, sender=market.stranger, at=start + 1000)
    task_id = match.task(1)
    assert market.events(receipt) == [("TaskInitialize", {"taskid": task_id, "workerpool": market.workerpool})]
    task = market.task(task_id)
    assert (task.status, task.deal_id, task.index, task.timeref) == (TaskStatus.ACTIVE, match.id, 1, 1200)
    assert (task.contribution_deadline, task.final_deadline) == (start + 7 * 1200, start + 10 * 1200)
    assert task.reveal_deadline == 0
    assert task.contributors == ()
    assert market.task(match.task(0)).status is TaskStatus.UNSET


def test_initialize_returns_the_id_of_the_task(market: Any) -> None:
    match = market.match()
    assert market.view("initialize", match.id, 0) == match.task()


@pytest.mark.parametrize("index", [2, 5, 2**32, 2**256 - 1])
def test_only_tasks_of_the_deal_are_initialised(market: Any, refused: Any, index: int) -> None:
    request = market.request_order(volume=5)
    market.match(request=request, app=market.app_order(volume=3))
    second = market.match(request=request)
    with refused():
        market.initialize(second, index)
    market.initialize(second, 3)
    market.initialize(second, 4)


def test_a_task_is_initialised_once(market: Any, refused: Any) -> None:
    match = market.match()
    market.initialize(match)
    with refused():
        market.initialize(match)


def test_an_unknown_deal_has_no_tasks(market: Any, refused: Any) -> None:
    with refused():
        market.send("initialize", "0x" + "ab" * 32, 0, sender=market.stranger)


def test_several_tasks_are_initialised_together_or_not_at_all(market: Any, refused: Any) -> None:
    match = market.match(volume=3)
    with refused():
        market.send("initializeArray", [match.id] * 2, [0], sender=market.stranger)
    with refused():
        market.send("initializeArray", [match.id] * 2, [0, 3], sender=market.stranger)
    market.send("initializeArray", [match.id] * 3, [2, 0, 1], sender=market.stranger)
    assert [market.task(match.task(index)).index for index in range(3)] == [0, 1, 2]


def test_a_task_may_start_after_its_end_and_then_only_be_claimed(market: Any, refused: Any) -> None:
    match = market.match()
    end = market.deal(match.id).start_time + 3000
    task = market.initialize(match, at=end + 5)
    with refused():
        market.contribute(task, market.workers[0])
    market.send("claim", task, sender=market.stranger)


# --- contribute -------------------------------------------------------------------------------------------------------


def test_a_contribution_locks_the_stake_and_tells(market: Any) -> None:
    worker = market.workers[0]
    task = market.started(trust=3)
    receipt = market.contribute(task, worker)
    hash_ = ids.result_hash(task, market.digest("right"))
    assert [name for name, _ in market.events(receipt)] == ["Transfer", "Lock", "TaskContribute"]
    assert market.events(receipt)[2][1] == {"taskid": task, "worker": worker, "hash": hash_}
    contribution = market.contribution(task, worker)
    assert contribution.status is ContributionStatus.CONTRIBUTED
    assert contribution.result_hash == hash_
    assert contribution.result_seal == ids.result_seal(worker, task, market.digest("right"))
    assert contribution.enclave_challenge == NULL_ADDRESS
    assert contribution.weight == 1
    assert market.task(task).contributors == (worker,)
    assert market.task(task).status is TaskStatus.ACTIVE


def test_a_consensus_opens_the_reveal(market: Any) -> None:
    task = market.started()
    receipt = market.contribute(task, market.workers[0])
    hash_ = ids.result_hash(task, market.digest("right"))
    assert market.events(receipt)[3] == ("TaskConsensus", {"taskid": task, "consensus": hash_})
    seen = market.task(task)
    assert (seen.status, seen.consensus_value, seen.winner_counter) == (TaskStatus.REVEALING, hash_, 1)
    assert seen.reveal_deadline == market.chain.now() + 600


def test_contributions_close_on_the_second(market: Any, refused: Any) -> None:
    task = market.started(trust=3)
    deadline = market.task(task).contribution_deadline
    market.contribute(task, market.workers[0], at=deadline - 1)
    with refused():
        market.contribute(task, market.workers[1], at=deadline)


def test_a_worker_contributes_once(market: Any, refused: Any) -> None:
    task = market.started(trust=3)
    market.contribute(task, market.workers[0])
    with refused():
        market.contribute(task, market.workers[0], "other")


def test_a_task_that_is_not_active_takes_no_contribution(market: Any, refused: Any) -> None:
    match = market.match()
    with refused():
        market.contribute(match.task(), market.workers[0])
    task = market.initialize(match)
    market.contribute(task, market.workers[0])
    with refused():
        market.contribute(task, market.workers[1])


def test_a_worker_needs_the_schedulers_leave(market: Any, refused: Any, reverted: Any) -> None:
    task, (worker, other) = market.started(), market.workers[:2]
    with refused():
        market.contribute(task, worker, by=market.stranger)
    with refused():
        market.contribute(task, worker, authorization=market.authorization(other, task, by=market.scheduler))
    with pytest.raises(reverted, match=r"^invalid-signature-format$"):
        market.contribute(task, worker, authorization=b"\xba\xdd")


def test_a_worker_without_a_stake_cannot_contribute(market: Any, reverted: Any) -> None:
    task, worker = market.started(), market.workers[0]
    market.set_balance(worker, 299_999_999)
    with pytest.raises(reverted, match=r"^IexecEscrow: Transfer amount exceeds balance$"):
        market.contribute(task, worker)


def test_a_tag_may_demand_an_enclave(market: Any, refused: Any) -> None:
    task, worker = market.started(tag=TEE), market.workers[0]
    with refused():
        market.contribute(task, worker)
    market.contribute(task, worker, enclave=market.enclave)
    assert market.contribution(task, worker).enclave_challenge == market.enclave


def test_other_bits_of_the_tag_demand_nothing(market: Any) -> None:
    market.contribute(market.started(tag=bytes32(0xF0)), market.workers[0])


def test_an_enclave_may_be_used_unasked(market: Any) -> None:
    task = market.started(trust=3)
    market.contribute(task, market.workers[0])
    market.contribute(task, market.workers[1], enclave=market.enclave)
    assert market.task(task).status is TaskStatus.REVEALING


def test_the_enclave_signs_hash_and_seal(market: Any, refused: Any, reverted: Any) -> None:
    task, (worker, other) = market.started(tag=TEE), market.workers[:2]
    stolen = market.enclave_signature(other, task, market.digest("right"))
    with refused():
        market.contribute(task, worker, enclave=market.enclave, enclave_sign=stolen)
    with pytest.raises(reverted, match=r"^invalid-signature-format$"):
        market.contribute(task, worker, enclave=market.enclave, enclave_sign=b"\xba\xdd")


def test_with_a_broker_enclaves_are_authorised_by_it_alone(market: Any, refused: Any) -> None:
    market.send("setTeeBroker", market.broker, sender=market.admin)
    task, (first, second) = market.started(trust=3, tag=bytes32(0)), market.workers[:2]
    with refused():
        market.contribute(task, first, enclave=market.enclave, by=market.scheduler)
    market.contribute(task, first, enclave=market.enclave, by=market.broker)
    with refused():
        market.contribute(task, second, by=market.broker)
    market.contribute(task, second, by=market.scheduler)


def test_an_empty_result_hash_is_refused_with_a_reason(market: Any, reverted: Any) -> None:
    with pytest.raises(reverted, match=r"^resultHash empty$"):
        market.contribute(market.started(), market.workers[0], result_hash=NULL_BYTES32)


# --- reveal -----------------------------------------------------------------------------------------------------------


def test_a_reveal_proves_the_contribution(market: Any) -> None:
    task, (first, second) = market.started(trust=3), market.workers[:2]
    market.contribute(task, first)
    market.contribute(task, second)
    for count, worker in enumerate((second, first), 1):
        receipt = market.reveal(task, worker)
        revealed = {"taskid": task, "worker": worker, "digest": market.digest("right")}
        assert market.events(receipt) == [("TaskReveal", revealed)]
        seen, contribution = market.task(task), market.contribution(task, worker)
        assert (seen.reveal_counter, seen.result_digest) == (count, market.digest("right"))
        assert contribution.status is ContributionStatus.PROVED
        assert contribution.result_seal == ids.result_seal(worker, task, market.digest("right"))


def test_reveals_close_on_the_second(market: Any, refused: Any) -> None:
    task, (first, second) = market.started(trust=3), market.workers[:2]
    market.contribute(task, first)
    market.contribute(task, second)
    deadline = market.task(task).reveal_deadline
    market.reveal(task, first, at=deadline - 1)
    with refused():
        market.reveal(task, second, at=deadline)


def test_what_cannot_be_revealed(market: Any, refused: Any) -> None:
    task, (winner, liar, other, thief) = market.started(trust=3), market.workers[:4]
    market.contribute(task, winner)
    with refused():
        market.reveal(task, winner)
    market.contribute(task, liar, "wrong")
    market.contribute(task, other)
    seal = ids.result_seal(winner, task, market.digest("right"))
    data = _contribute_with_seal(market, task, thief, seal)
    market.chain.send(market.hub, data, thief)
    assert market.task(task).status is TaskStatus.REVEALING
    for worker, result in (
        (market.stranger, "right"),
        (liar, "wrong"),
        (liar, "right"),
        (winner, "wrong"),
        (thief, "right"),
    ):
        with refused():
            market.reveal(task, worker, result)
    market.reveal(task, winner)
    with refused():
        market.reveal(task, winner)


def _contribute_with_seal(market: Any, task: TaskId, worker: str, seal: ResultSeal) -> bytes:
    hash_ = ids.result_hash(task, market.digest("right"))
    return contribute(task, hash_, seal, market.authorization(worker, task, by=market.scheduler))


# --- reopen -----------------------------------------------------------------------------------------------------------


def test_a_consensus_nobody_reveals_is_reopened(market: Any) -> None:
    task, (first, second, dissenter) = market.started(trust=5), market.workers[:3]
    market.contribute(task, dissenter, "other")
    for worker in market.workers[:2]:
        market.contribute(task, worker)
    market.contribute(task, market.workers[3])
    market.contribute(task, market.workers[4])
    before = market.task(task)
    assert before.status is TaskStatus.REVEALING
    receipt = market.send("reopen", task, sender=market.scheduler, at=before.reveal_deadline)
    assert market.events(receipt) == [("TaskReopen", {"taskid": task})]
    seen = market.task(task)
    assert (seen.status, seen.consensus_value) == (TaskStatus.ACTIVE, NULL_BYTES32)
    assert (seen.reveal_deadline, seen.winner_counter, seen.reveal_counter) == (0, 0, 0)
    assert seen.contributors == before.contributors
    assert seen.contribution_deadline == before.contribution_deadline
    for worker in (first, second):
        assert market.contribution(task, worker).status is ContributionStatus.REJECTED
    assert market.contribution(task, dissenter).status is ContributionStatus.CONTRIBUTED


def test_a_rejected_worker_stays_out(market: Any, refused: Any) -> None:
    task, worker = market.started(), market.workers[0]
    market.contribute(task, worker)
    market.send("reopen", task, sender=market.scheduler, at=market.task(task).reveal_deadline)
    with refused():
        market.contribute(task, worker)


def test_the_rejected_do_not_count_when_others_find_the_same(market: Any) -> None:
    task, (first, second, third) = market.started(), market.workers[:3]
    market.contribute(task, first)
    market.send("reopen", task, sender=market.scheduler, at=market.task(task).reveal_deadline)
    market.contribute(task, second)
    seen = market.task(task)
    assert (seen.status, seen.winner_counter) == (TaskStatus.REVEALING, 1)
    market.reveal(task, second)
    market.finalize(task)
    assert market.contribution(task, first).status is ContributionStatus.REJECTED
    assert third not in market.task(task).contributors


def test_what_cannot_be_reopened(market: Any, refused: Any) -> None:
    def reopen(task: str, sender: str, at: int | None = None) -> None:
        market.send("reopen", task, sender=sender, at=at)

    task, worker = market.started(), market.workers[0]
    with refused():
        reopen(task, market.scheduler)
    market.contribute(task, worker)
    deadline = market.task(task).reveal_deadline
    with refused():
        reopen(task, market.scheduler, deadline - 1)
    with refused():
        reopen(task, market.stranger, deadline)
    with refused():
        reopen(task, market.scheduler, market.task(task).final_deadline)


def test_a_task_with_a_reveal_is_not_reopened(market: Any, refused: Any) -> None:
    task, workers = market.started(trust=3), market.workers[:2]
    for worker in workers:
        market.contribute(task, worker)
    market.reveal(task, workers[0])
    with refused():
        market.send("reopen", task, sender=market.scheduler, at=market.task(task).reveal_deadline)


# --- finalize ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def revealed(market: Any) -> str:
    """A task at trust 3 of which one of two winners has revealed."""
    task: str = market.started(trust=3)
    for worker in market.workers[:2]:
        market.contribute(task, worker)
    market.reveal(task, market.workers[0])
    return task


def test_one_reveal_is_enough_once_the_time_is_up(market: Any, refused: Any, revealed: str) -> None:
    deadline = market.task(revealed).reveal_deadline
    with refused():
        market.finalize(revealed, at=deadline - 1)
    market.finalize(revealed, at=deadline)
    assert market.task(revealed).status is TaskStatus.COMPLETED
    assert market.contribution(revealed, market.workers[1]).status is ContributionStatus.CONTRIBUTED
    assert market.account(market.workers[1])[1] == 0
    assert market.conserved()


def test_finalize_closes_on_the_second(market: Any, refused: Any, revealed: str) -> None:
    market.reveal(revealed, market.workers[1])
    end = market.task(revealed).final_deadline
    snapshot = market.chain.ask("evm_snapshot")
    with refused():
        market.finalize(revealed, at=end)
    market.chain.ask("evm_revert", snapshot)
    market.finalize(revealed, at=end - 1)


def test_what_cannot_be_finalized(market: Any, refused: Any, revealed: str) -> None:
    market.reveal(revealed, market.workers[1])
    with refused():
        market.finalize(revealed, sender=market.stranger)
    with refused():
        market.finalize(revealed, b"", b"\x01")
    with refused():
        market.finalize("0x" + "ab" * 32)
    market.finalize(revealed)
    with refused():
        market.finalize(revealed)
    with refused():
        market.finalize(market.started())


def test_nothing_is_finalized_without_a_reveal(market: Any, refused: Any) -> None:
    task = market.started()
    market.contribute(task, market.workers[0])
    with refused():
        market.finalize(task, at=market.task(task).reveal_deadline)


def test_callback_data_unasked_must_be_what_was_voted_for(market: Any) -> None:
    task = market.started()
    market.contribute(task, market.workers[0], "data")
    market.reveal(task, market.workers[0], "data")
    market.finalize(task, b"", b"data")
    assert market.task(task).results_callback == b"data"


@pytest.mark.parametrize("size", [0, 1, 4096])
def test_results_of_any_allowed_size_are_kept(market: Any, size: int) -> None:
    task, results, data = market.started(), b"r" * size, b"c" * size
    receipt = market.contribute_and_finalize(task, market.workers[0], results=results, callback=data)
    seen = market.task(task)
    assert (seen.results, seen.results_callback) == (results, data)
    assert market.events(receipt)[-1] == ("TaskFinalize", {"taskid": task, "results": results})
    assert market.view("resultFor", task) == data


def test_longer_results_are_refused_with_a_reason(market: Any, reverted: Any) -> None:
    task, worker = market.started(), market.workers[0]
    long = b"x" * 4097
    with pytest.raises(reverted, match=r"^results too long$"):
        market.contribute_and_finalize(task, worker, results=long)
    with pytest.raises(reverted, match=r"^resultsCallback too long$"):
        market.contribute_and_finalize(task, worker, callback=long)
    market.contribute(task, worker)
    market.reveal(task, worker)
    with pytest.raises(reverted, match=r"^results too long$"):
        market.finalize(task, long)
    market.finalize(task, long[1:])


# --- contributeAndFinalize --------------------------------------------------------------------------------------------


def test_what_the_shortcut_is_not_for(market: Any, refused: Any, reverted: Any) -> None:
    worker = market.workers[0]
    with refused():
        market.contribute_and_finalize(market.match().task(), worker)
    with refused():
        market.contribute_and_finalize(market.started(trust=2), worker)
    task = market.started()
    market.contribute(task, worker)
    market.send("reopen", task, sender=market.scheduler, at=market.task(task).reveal_deadline)
    with refused():
        market.contribute_and_finalize(task, market.workers[1])
    task = market.started()
    with refused():
        market.contribute_and_finalize(task, worker, by=market.stranger)
    with pytest.raises(reverted, match=r"^invalid-signature-format$"):
        market.contribute_and_finalize(task, worker, authorization=b"\xba\xdd")
    with refused():
        market.contribute_and_finalize(task, worker, at=market.task(task).contribution_deadline)


def test_the_shortcut_asks_for_enclave_and_broker_too(market: Any, refused: Any, reverted: Any) -> None:
    market.send("setTeeBroker", market.broker, sender=market.admin)
    task, worker = market.started(tag=TEE), market.workers[0]
    with refused():
        market.contribute_and_finalize(task, worker)
    with refused():
        market.contribute_and_finalize(task, worker, enclave=market.enclave)
    with pytest.raises(reverted, match=r"^invalid-signature-format$"):
        market.contribute_and_finalize(task, worker, enclave=market.enclave, by=market.broker, enclave_sign=b"\xba\xdd")
    market.contribute_and_finalize(task, worker, enclave=market.enclave, by=market.broker)
    assert market.contribution(task, worker).enclave_challenge == market.enclave


# --- claim ------------------------------------------------------------------------------------------------------------


def test_a_claim_opens_on_the_second(market: Any, refused: Any) -> None:
    task = market.started()
    end = market.task(task).final_deadline
    with refused():
        market.send("claim", task, sender=market.stranger, at=end - 1)
    receipt = market.send("claim", task, sender=market.stranger, at=end)
    assert market.events(receipt)[-1] == ("TaskClaimed", {"taskid": task})
    assert market.task(task).status is TaskStatus.FAILED
    with refused():
        market.send("claim", task, sender=market.stranger)


def test_a_task_in_reveal_is_claimed_and_its_workers_are_freed(market: Any) -> None:
    task, workers = market.started(trust=3), market.workers[:2]
    for worker in workers:
        market.contribute(task, worker)
    market.reveal(task, workers[0])
    market.send("claim", task, sender=market.stranger, at=market.task(task).final_deadline)
    assert [market.account(worker)[1] for worker in workers] == [0, 0]
    assert [market.view("viewScore", worker) for worker in workers] == [0, 0]
    assert market.conserved()


def test_what_cannot_be_claimed(market: Any, refused: Any) -> None:
    match = market.match()
    end = market.deal(match.id).start_time + 3000
    with refused():
        market.send("claim", match.task(), sender=market.stranger, at=end)
    done = market.started()
    market.contribute_and_finalize(done, market.workers[0])
    with refused():
        market.send("claim", done, sender=market.stranger, at=end + 5000)


def test_several_tasks_are_claimed_together_or_not_at_all(market: Any, refused: Any) -> None:
    match = market.match(volume=4)
    tasks = [market.initialize(match, index) for index in range(3)]
    end = market.task(tasks[0]).final_deadline
    with refused():
        market.send("claimArray", tasks, sender=market.stranger, at=end - 1)
    with refused():
        market.send("claimArray", [*tasks, match.task(3)], sender=market.stranger, at=end)
    market.send("claimArray", tasks, sender=market.stranger)
    with refused():
        market.send("initializeAndClaimArray", [match.id], [], sender=market.stranger)
    receipt = market.send("initializeAndClaimArray", [match.id], [3], sender=market.stranger)
    names = [name for name, _ in market.events(receipt)]
    assert (names[0], names[-1]) == ("TaskInitialize", "TaskClaimed")
    assert all(market.task(match.task(index)).status is TaskStatus.FAILED for index in range(4))
    assert market.conserved()


def test_arrays_take_a_thousand_items_as_gas_allows(market: Any) -> None:
    """More than a block's worth, hence as a call; in a block of 30 M gas, as many as fit."""
    market.fund(market.requester)
    match = market.match(volume=1000)
    indexes = list(range(1000))
    data = FUNCTIONS["initializeArray"].encode([match.id] * 1000, indexes)
    assert int.from_bytes(market.chain.call(market.hub, data, gas=10**8), "big") == 1
    market.send("initializeArray", [match.id] * 400, indexes[:400], sender=market.stranger, gas=29_900_000)
    tasks = [match.task(index) for index in indexes[:400]]
    end = market.task(tasks[0]).final_deadline
    market.send("claimArray", tasks, sender=market.stranger, at=end, gas=29_900_000)
    assert market.account(market.requester)[1] == 600 * 1_001_001_000
    assert market.conserved()
