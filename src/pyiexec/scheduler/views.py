"""What the scheduler tells clients of tasks and workers, in the shape existing clients read."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pyiexec.protocol.errors import CATALOGUE
from pyiexec.protocol.primitives import NULL_BYTES32
from pyiexec.protocol.workflow import Phase
from pyiexec.scheduler.crew import Member
from pyiexec.scheduler.state import Replicate, StatusChange, TaskState

#: Phases by the names that clients of the reference scheduler know.
STATUS_NAMES = {
    Phase.RECEIVED: "RECEIVED",
    Phase.INITIALIZING: "INITIALIZING",
    Phase.RUNNING: "RUNNING",
    Phase.CONSENSUS: "CONSENSUS_REACHED",
    Phase.REVEALED: "AT_LEAST_ONE_REVEALED",
    Phase.UPLOADING: "RESULT_UPLOADING",
    Phase.FINALIZING: "FINALIZING",
    Phase.COMPLETED: "COMPLETED",
    Phase.FAILED: "FAILED",
}


def task_view(state: TaskState) -> dict[str, Any]:
    """A task with its replicates.

    Times are ISO 8601 in UTC, taken from chain time; `cause` is the code of why it failed or of what holds it up,
    `explanation` says it in words and `remedy` what to do.
    """
    task = state.chain
    return {
        "chainTaskId": state.task_id,
        "dealId": state.deal_id,
        "taskIndex": state.index,
        "currentStatus": STATUS_NAMES[state.phase],
        "dateStatusList": [_change(change, STATUS_NAMES) for change in state.dates],
        "cause": state.cause,
        "explanation": state.explanation,
        "remedy": CATALOGUE[state.cause].remedy if state.cause in CATALOGUE else None,
        "trust": state.trust,
        "consensus": None if task.consensus_value == NULL_BYTES32 else task.consensus_value,
        "contributionDeadline": task.contribution_deadline,
        "revealDeadline": task.reveal_deadline or None,
        "finalDeadline": task.final_deadline,
        "resultLocation": state.location,
        "replicates": [replicate_view(replicate) for replicate in state.replicates],
    }


def replicate_view(replicate: Replicate) -> dict[str, Any]:
    """One worker's part in a task."""
    return {
        "walletAddress": replicate.worker,
        "currentStatus": str(replicate.shown_status),
        "appExitCode": replicate.exit_code,
        "cause": replicate.cause,
        "explanation": replicate.message,
        "contributionHash": replicate.result,
        "statusUpdateList": [_change(change) for change in replicate.history],
    }


def worker_view(member: Member) -> dict[str, Any]:
    """One worker of the pool."""
    return {
        "walletAddress": member.worker,
        "connected": member.session is not None,
        "inReach": member.in_reach,
        "slots": member.slots,
        "busy": len(member.computing),
        "runtimes": list(member.runtimes),
        "score": member.score,
        "weight": member.weight,
        "tasks": sorted(member.involved),
    }


def _change(change: StatusChange, names: dict[Phase, str] | None = None) -> dict[str, Any]:
    status = names[Phase(change.status)] if names else change.status
    date = datetime.fromtimestamp(change.date, UTC).isoformat().replace("+00:00", "Z")
    return {"status": status, "date": date} | ({"cause": change.cause} if change.cause else {})
