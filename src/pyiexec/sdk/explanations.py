"""Why a task is where it is, as its pool's scheduler tells it, or the chain while the scheduler is silent.

The scheduler knows why workers failed and what it waits for. The chain knows every vote, and of each state when it
began; that is enough to say until when something may still happen, and when the money can be claimed back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from pyiexec.chain.hub import decode_log
from pyiexec.protocol import expectations
from pyiexec.protocol.errors import CATALOGUE, IexecError
from pyiexec.protocol.primitives import DealId, TaskId, bytes32
from pyiexec.protocol.reasons import MEANINGS, Reason
from pyiexec.protocol.tasks import Task, TaskStatus
from pyiexec.protocol.traces import trace_of
from pyiexec.protocol.workflow import FailureCause, Phase, from_chain

#: The hub's events that tell of a task, all of which name it first: the state it leads to, None where it stays in its
#: own while a worker's part goes on.
_LEADS_TO: Mapping[str, tuple[Phase | None, str]] = {
    "TaskInitialize": (Phase.RUNNING, Reason.INITIALIZED),
    "TaskContribute": (None, "CONTRIBUTED"),
    "TaskConsensus": (Phase.CONSENSUS, Reason.VOTES_SUFFICED),
    "TaskReveal": (None, "REVEALED"),
    "TaskReopen": (Phase.RUNNING, Reason.REOPENED),
    "TaskFinalize": (Phase.COMPLETED, Reason.FINALIZED),
    "TaskClaimed": (Phase.FAILED, FailureCause.CLAIMED),
}
TASK_EVENTS = tuple(_LEADS_TO)
#: The end of the year 9999, seconds since the Unix epoch.
_LAST_MOMENT = 253_402_300_799
#: Who changes when the task itself does.
TASK = "task"


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A change of state.

    Attributes:
        date: ISO 8601, UTC.
        who: ``task``, or the worker whose part in it changed.
        state: the new one.
        reason: its code; empty where none was noted.
        meaning: of the reason, in words.
    """

    date: str
    who: str
    state: str
    reason: str
    meaning: str


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """Why a task failed, or what holds it up; see the catalogue of errors."""

    code: str
    what: str
    remedy: str = ""
    retry: bool = False


class Awaited(msgspec.Struct, frozen=True, kw_only=True):
    """What the task waits for, until when (ISO 8601, UTC), and what happens then."""

    code: str
    what: str
    until: str
    then: str


class Expected(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """When the scheduler expects a task to end, a claim like all it says; moments are ISO 8601, UTC.

    Attributes:
        position: in the line of tasks that wait for workers, from 1; 0 once it has all it needs for now.
        starts_by: when it has its workers, at the latest; None while the pool has none.
        eta: expected end.
        earliest, latest: between which that lies, most likely.
        observed: tasks of its app and category from which that is learned.
        late: its work is expected to be done too late.
    """

    position: int
    starts_by: str | None = None
    eta: str | None = None
    earliest: str | None = None
    latest: str | None = None
    observed: int = 0
    late: bool = False


class Explanation(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Where a task stands, and why.

    Attributes:
        source: who told.
        state: the task's.
        since: ISO 8601, UTC.
        reason: code of why it got there.
        meaning: of the reason, in words.
        cause: why it failed, or what holds it up.
        awaited: None once the chain has settled the task.
        forecast: when it is expected to end; None where nobody says.
        history: oldest first.
        silence: why the scheduler was not heard, where the chain had to tell.
        trace: under which every part's log tells of the task's deal; empty where a scheduler does not name the deal.
    """

    task_id: TaskId
    source: Literal["scheduler", "chain"]
    state: str
    since: str
    reason: str
    meaning: str
    cause: Cause | None
    awaited: Awaited | None
    history: list[Step]
    silence: Cause | None = None
    forecast: Expected | None = None
    trace: str = ""


class _Change(msgspec.Struct):
    """A line of a scheduler's history."""

    status: str
    date: str
    code: str | None = None
    reason: str | None = None


class _Part(msgspec.Struct, rename="camel"):
    """A worker's part as a scheduler tells it."""

    wallet_address: str
    status_update_list: list[_Change]


class _Told(msgspec.Struct, rename="camel"):
    """What is read of a scheduler's view; one of another make tells less."""

    current_status: str
    date_status_list: list[_Change]
    replicates: list[_Part] = []
    phase: str | None = None
    cause: Cause | None = None
    awaited: Awaited | None = None
    forecast: Expected | None = None
    deal_id: str = ""


def meaning_of(reason: str) -> str:
    """What a reason says, in words; of a failure what the catalogue advises. Empty for one that is not known."""
    if reason in MEANINGS:
        return MEANINGS[reason]
    return CATALOGUE[reason].remedy if reason in CATALOGUE else ""


def told_by_scheduler(task_id: TaskId, view: Mapping[str, Any]) -> Explanation:
    """What a scheduler's view of a task explains.

    Raises:
        IexecError: ``SCHEDULER_UNREACHABLE`` when it is none.
    """
    try:
        told = msgspec.convert(view, _Told)
    except msgspec.ValidationError as error:
        what = f"the pool's scheduler tells of the task in another way: {error}"
        raise IexecError("SCHEDULER_UNREACHABLE", what) from None
    steps = [_step(TASK, change) for change in told.date_status_list]
    since = steps[-1] if steps else _step(TASK, _Change(told.current_status, ""))
    steps += [_step(part.wallet_address, change) for part in told.replicates for change in part.status_update_list]
    return Explanation(
        task_id=task_id,
        source="scheduler",
        state=told.phase or told.current_status,
        since=since.date,
        reason=since.reason,
        meaning=since.meaning,
        cause=told.cause,
        awaited=told.awaited,
        forecast=told.forecast,
        # The sort is stable: what happened in the same second stays in its order.
        history=sorted(steps, key=lambda step: step.date),
        trace=trace_of(DealId(bytes32(told.deal_id))) if told.deal_id else "",
    )


def told_by_chain(
    task_id: TaskId,
    task: Task,
    logs: Sequence[tuple[Mapping[str, Any], int]],
    now: int,
    silence: IexecError | None = None,
) -> Explanation:
    """What the chain explains of a task that was opened.

    Args:
        task_id: the task.
        task: its record.
        logs: of `TASK_EVENTS` about it, each with its chain time, oldest first.
        now: chain time.
        silence: why its scheduler was not heard.
    """
    steps: list[Step] = []
    for log, at in logs:
        decoded = decode_log(log)
        if decoded is None or decoded[1]["taskid"] != task_id:
            continue
        phase, code = _LEADS_TO[decoded[0]]
        if phase is None:
            steps.append(_chain_step(at, str(decoded[1]["worker"]), code, Reason.SEEN_ON_CHAIN))
        else:
            steps.append(_chain_step(at, TASK, phase, code))
    stands = from_chain(task, now)
    if stands.cause is not None and task.status is not TaskStatus.FAILED:
        over = task.final_deadline if task.status is TaskStatus.REVEALING else task.contribution_deadline
        steps.append(_chain_step(over, TASK, Phase.FAILED, stands.cause))
    elif stands.phase is Phase.REVEALED:
        # The last proof made it so, or the deadline for those that are missing.
        proved = logs[-1][1] if logs else now
        enough = proved if task.reveal_counter == task.winner_counter else task.reveal_deadline
        steps.append(_chain_step(enough, TASK, Phase.REVEALED, Reason.ENOUGH_REVEALED))
    last = next((step for step in reversed(steps) if step.who == TASK), _chain_step(now, TASK, stands.phase, ""))
    found = expectations.awaited(stands.phase, task)
    return Explanation(
        task_id=task_id,
        source="chain",
        state=stands.phase,
        since=last.date,
        reason=last.reason,
        meaning=last.meaning,
        cause=_cause(IexecError(stands.cause, _FAILED[stands.cause])) if stands.cause else None,
        awaited=_awaited(found) if found else None,
        history=steps,
        silence=_cause(silence) if silence else None,
        trace=trace_of(task.deal_id),
    )


_FAILED = {
    FailureCause.CONTRIBUTION_TIMEOUT: "no worker voted before the contribution deadline",
    FailureCause.NO_CONSENSUS: "no result had enough votes at the contribution deadline",
    FailureCause.REVEAL_TIMEOUT: "nobody proved the votes that agreed",
    FailureCause.FINAL_DEADLINE_REACHED: "the task was not settled before its final deadline",
    FailureCause.CLAIMED: "the task was claimed, and its requester has the price back",
}


def _awaited(found: expectations.Awaited) -> Awaited:
    return Awaited(code=found.code, what=found.what, until=_moment(found.until), then=found.then)


def _step(who: str, change: _Change) -> Step:
    reason = change.reason or change.code or ""
    return Step(date=change.date, who=who, state=change.status, reason=reason, meaning=meaning_of(reason))


def _chain_step(at: int, who: str, state: str, reason: str) -> Step:
    return Step(date=_moment(at), who=who, state=str(state), reason=str(reason), meaning=meaning_of(reason))


def _cause(error: IexecError) -> Cause:
    return Cause(code=error.code, what=error.what, remedy=error.remedy, retry=error.retry)


def _moment(seconds: int) -> str:
    # Nothing keeps a category from lasting beyond what calendars hold.
    return datetime.fromtimestamp(min(seconds, _LAST_MOMENT), UTC).isoformat().replace("+00:00", "Z")
