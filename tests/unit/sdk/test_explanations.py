"""Why a task is where it is, read from a scheduler's answer or from the chain's logs."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from pyiexec.chain.hub import EVENTS
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address, TaskId, bytes32, checksum
from pyiexec.protocol.tasks import Task, TaskStatus
from pyiexec.sdk.explanations import Explanation, told_by_chain, told_by_scheduler

TASK = TaskId(bytes32(8))
WORKER = checksum(bytes(19) + b"\x07")
OPEN = Task(status=TaskStatus.ACTIVE, contribution_deadline=700, final_deadline=1000)
AGREED = replace(OPEN, status=TaskStatus.REVEALING, reveal_deadline=600, winner_counter=2, contributors=(WORKER,))
SILENT = IexecError("SCHEDULER_UNREACHABLE", "the pool's scheduler does not answer")


def entry(name: str, at: int, worker: Address | None = None, task: TaskId = TASK) -> tuple[dict[str, Any], int]:
    """A log of the hub as a node gives it."""
    topics = [EVENTS[name].topic, task]
    if name == "TaskInitialize" or worker is not None:
        topics.append("0x" + "00" * 12 + (worker or WORKER)[2:].lower())
    data = {"TaskFinalize": "0x" + "00" * 31 + "20" + "00" * 32, "TaskReopen": "0x", "TaskClaimed": "0x"}
    return {"topics": topics, "data": data.get(name, "0x" + "11" * 32)}, at


OPENED = entry("TaskInitialize", 100)
VOTED = entry("TaskContribute", 110, WORKER)
CONSENSUS = entry("TaskConsensus", 110)


def told(task: Task, now: int, *logs: tuple[dict[str, Any], int]) -> Explanation:
    return told_by_chain(TASK, task, logs, now, SILENT)


def test_the_chain_tells_every_state_since_when_and_why() -> None:
    found = told(AGREED, 120, OPENED, VOTED, CONSENSUS)
    assert (found.source, found.state, found.since) == ("chain", "CONSENSUS", "1970-01-01T00:01:50Z")
    assert [(step.who, step.state, step.reason) for step in found.history] == [
        ("task", "RUNNING", "INITIALIZED"),
        (WORKER, "CONTRIBUTED", "SEEN_ON_CHAIN"),
        ("task", "CONSENSUS", "VOTES_SUFFICED"),
    ]
    assert all(step.meaning for step in found.history)
    assert found.awaited is not None
    assert (found.awaited.code, found.awaited.until) == ("REVEALS", "1970-01-01T00:10:00Z")
    assert found.silence is not None
    assert found.silence.code == "SCHEDULER_UNREACHABLE"


def test_a_deadline_that_passed_in_silence_is_a_change_of_state_too() -> None:
    found = told(OPEN, 800, OPENED)
    assert (found.state, found.reason, found.since) == ("FAILED", "CONTRIBUTION_TIMEOUT", "1970-01-01T00:11:40Z")
    assert found.cause is not None
    assert found.cause.code == "CONTRIBUTION_TIMEOUT"
    assert found.awaited is not None
    assert found.awaited.code == "REFUND"


def test_a_result_counts_as_proved_by_the_last_proof_or_by_the_deadline_of_those_missing() -> None:
    logs = (OPENED, VOTED, CONSENSUS, entry("TaskReveal", 130, WORKER))
    assert told(replace(AGREED, reveal_counter=2), 140, *logs).since == "1970-01-01T00:02:10Z"
    late = told(replace(AGREED, reveal_counter=1), 650, *logs)
    assert (late.state, late.reason, late.since) == ("REVEALED", "ENOUGH_REVEALED", "1970-01-01T00:10:00Z")


@pytest.mark.parametrize(
    ("name", "status", "state", "reason"),
    [
        ("TaskReopen", TaskStatus.ACTIVE, "RUNNING", "REOPENED"),
        ("TaskFinalize", TaskStatus.COMPLETED, "COMPLETED", "FINALIZED"),
        ("TaskClaimed", TaskStatus.FAILED, "FAILED", "CLAIMED"),
    ],
)
def test_how_a_round_ended_is_told(name: str, status: TaskStatus, state: str, reason: str) -> None:
    found = told(replace(OPEN, status=status), 620, OPENED, VOTED, CONSENSUS, entry(name, 610))
    assert (found.state, found.reason, found.since) == (state, reason, "1970-01-01T00:10:10Z")
    assert (found.awaited is None) == (status is not TaskStatus.ACTIVE)


def test_logs_of_other_tasks_are_not_its_history() -> None:
    other = entry("TaskClaimed", 105, task=TaskId(bytes32(9)))
    assert [step.reason for step in told(OPEN, 120, OPENED, other).history] == ["INITIALIZED"]


VIEW: dict[str, Any] = {
    "currentStatus": "RUNNING",
    "phase": "RUNNING",
    "dateStatusList": [
        {"status": "RECEIVED", "date": "1970-01-01T00:01:00Z", "reason": "DEAL_MADE"},
        {"status": "RUNNING", "date": "1970-01-01T00:01:02Z", "reason": "INITIALIZED"},
    ],
    "replicates": [
        {
            "walletAddress": WORKER,
            "statusUpdateList": [{"status": "FAILED", "date": "1970-01-01T00:01:01Z", "code": "APP_TRAPPED"}],
        }
    ],
    "cause": {"code": "NO_WORKER", "what": "no worker is connected", "remedy": "Wait.", "retry": True},
    "awaited": {"code": "WORKER", "what": "a worker", "until": "1970-01-01T00:11:40Z", "then": "it fails"},
}


def test_the_scheduler_tells_more_and_in_the_order_of_time() -> None:
    found = told_by_scheduler(TASK, VIEW)
    assert (found.source, found.state, found.since) == ("scheduler", "RUNNING", "1970-01-01T00:01:02Z")
    assert [(step.who, step.reason) for step in found.history] == [
        ("task", "DEAL_MADE"),
        (WORKER, "APP_TRAPPED"),
        ("task", "INITIALIZED"),
    ]
    assert found.cause is not None
    assert found.cause.code == "NO_WORKER"
    assert found.awaited is not None
    assert found.awaited.code == "WORKER"
    assert found.silence is None


def test_a_scheduler_of_another_make_is_understood_as_far_as_it_goes() -> None:
    known = {key: VIEW[key] for key in ("currentStatus", "replicates")}
    dates = [{"status": "RUNNING", "date": "1970-01-01T00:01:02Z"}]
    found = told_by_scheduler(TASK, known | {"dateStatusList": dates})
    assert (found.state, found.reason, found.awaited, found.cause) == ("RUNNING", "", None, None)


@pytest.mark.parametrize("broken", [{}, {"currentStatus": 7}, VIEW | {"awaited": "soon"}, VIEW | {"replicates": [3]}])
def test_what_is_no_task_counts_as_silence(broken: dict[str, Any]) -> None:
    with pytest.raises(IexecError, match="another way") as refused:
        told_by_scheduler(TASK, broken)
    assert refused.value.code == "SCHEDULER_UNREACHABLE"
