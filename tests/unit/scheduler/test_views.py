"""What clients are told, and in which words."""

from __future__ import annotations

from typing import Any

import msgspec
from tests.unit.scheduler.model import START, address, fresh, report, result

from pyiexec.protocol.replicates import ReplicateStatus
from pyiexec.scheduler import events as e
from pyiexec.scheduler.rules import decide
from pyiexec.scheduler.state import TaskState
from pyiexec.scheduler.views import task_view

S = ReplicateStatus


def shown(state: TaskState) -> dict[str, Any]:
    """The JSON that a client reads."""
    found: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(task_view(state)))
    return found


def test_a_task_is_told_in_the_words_of_the_reference() -> None:
    worker = address(1)
    events: list[e.Event] = [
        e.InitializeSent(),
        e.Initialized(),
        e.Assigned(worker, 2),
        report(worker, S.STARTED),
        e.Contributed(worker, result("right"), 2),
        e.ConsensusReached(result("right"), START + 200),
    ]
    view = shown(decide(fresh(2), events, now=START, candidates=0).state)
    assert view["currentStatus"] == "CONSENSUS_REACHED"
    assert [change["status"] for change in view["dateStatusList"]] == [
        "RECEIVED",
        "INITIALIZING",
        "INITIALIZED",
        "RUNNING",
        "CONSENSUS_REACHED",
    ]
    assert view["dateStatusList"][0]["date"] == "1970-01-01T00:16:40Z"
    (replicate,) = view["replicates"]
    assert replicate["walletAddress"] == worker
    assert replicate["currentStatus"] == "CONTRIBUTED"
    assert [change["status"] for change in replicate["statusUpdateList"]] == ["CREATED", "STARTED", "CONTRIBUTED"]


def test_a_failure_is_explained_with_what_to_do() -> None:
    worker = address(1)
    blame = report(worker, S.FAILED, cause="APP_EXITED_NON_ZERO", message="the application exited with 3", exit_code=3)
    view = shown(decide(fresh(1), [e.Initialized(), e.Assigned(worker, 2), blame], now=START, candidates=0).state)
    assert view["currentStatus"] == "FAILED"
    assert view["cause"]["code"] == "APP_EXITED_NON_ZERO"
    assert "exited with 3" in view["cause"]["what"]
    assert view["cause"]["remedy"]
    assert view["replicates"][0]["appExitCode"] == 3
