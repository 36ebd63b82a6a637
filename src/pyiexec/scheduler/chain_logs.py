"""The hub's logs in the words of the scheduler."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias

from pyiexec.chain.hub import EVENTS, decode_log
from pyiexec.protocol.deadlines import reveal_deadline
from pyiexec.protocol.primitives import Address, DealId, ResultHash, TaskId
from pyiexec.scheduler import events as e

#: Events of the hub that a scheduler follows.
FOLLOWED = (
    "SchedulerNotice",
    "TaskInitialize",
    "TaskContribute",
    "TaskConsensus",
    "TaskReveal",
    "TaskReopen",
    "TaskFinalize",
    "TaskClaimed",
    "AccurateContribution",
    "FaultyContribution",
)
#: Their first topics.
TOPICS = tuple(EVENTS[name].topic for name in FOLLOWED)
#: Those that end a task.
SETTLING = ("TaskFinalize", "TaskClaimed")


class DealNoticed(NamedTuple):
    """A deal was made with a pool."""

    workerpool: Address
    deal_id: DealId


class TaskLog(NamedTuple):
    """Something happened to a task; `event` is made from what else is known, see `event_of`."""

    task_id: TaskId
    name: str
    fields: Mapping[str, Any]
    timestamp: int | None
    block: int | None


class ScoreChanged(NamedTuple):
    """A worker's reputation rose or fell."""

    worker: Address
    accurate: bool


Interpreted: TypeAlias = DealNoticed | TaskLog | ScoreChanged


def interpret(log: Mapping[str, Any]) -> Interpreted | None:
    """What a log of the hub says; None when it is none of those followed."""
    decoded = decode_log(log)
    if decoded is None or decoded[0] not in FOLLOWED:
        return None
    name, fields = decoded
    if name == "SchedulerNotice":
        return DealNoticed(fields["workerpool"], fields["dealid"])
    if name in ("AccurateContribution", "FaultyContribution"):
        return ScoreChanged(fields["worker"], name == "AccurateContribution")
    return TaskLog(fields["taskid"], name, fields, _number(log, "blockTimestamp"), _number(log, "blockNumber"))


def tasks_of(logs: Iterable[Mapping[str, Any]]) -> set[TaskId]:
    """The tasks that logs are about."""
    return {seen.task_id for log in logs if isinstance(seen := interpret(log), TaskLog)}


def _number(log: Mapping[str, Any], field: str) -> int | None:
    value = log.get(field)
    return int(value, 16) if isinstance(value, str) else None


def event_of(seen: TaskLog, *, now: int, timeref: int, weight: Callable[[Address], int]) -> e.ChainEvent:
    """The event of a task's log.

    Args:
        seen: the log.
        now: chain time, used when the log does not tell its own.
        timeref: of the task's category, seconds.
        weight: of a worker's vote.
    """
    fields = seen.fields
    match seen.name:
        case "TaskInitialize":
            return e.Initialized(seen.block)
        case "TaskContribute":
            return e.Contributed(fields["worker"], ResultHash(fields["hash"]), weight(fields["worker"]))
        case "TaskConsensus":
            at = now if seen.timestamp is None else seen.timestamp
            return e.ConsensusReached(ResultHash(fields["consensus"]), reveal_deadline(at, timeref))
        case "TaskReveal":
            return e.Revealed(fields["worker"], fields["digest"])
        case "TaskReopen":
            return e.Reopened()
        case "TaskFinalize":
            return e.Finalized(fields["results"])
        case _:
            assert seen.name == "TaskClaimed", "every followed event of a task is listed"
            return e.Claimed()
