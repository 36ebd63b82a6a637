"""What is put before the engine, to be dealt with in order."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import anyio
import sqlalchemy as sa

from pyiexec.protocol.messages import Capabilities, Hello, Progress
from pyiexec.protocol.primitives import Address, DealId, TaskId
from pyiexec.scheduler.crew import Session
from pyiexec.scheduler.events import ChainRead, Event
from pyiexec.scheduler.store import DealFacts

#: What a job of a task is known by: the action and what distinguishes it from earlier ones.
JobKey: TypeAlias = tuple[Hashable, ...]


@dataclass(frozen=True, eq=False)
class LogsSeen:
    """Logs of the hub in order, and logs undone because the chain was `rewound`, perhaps deeper than they reach.

    `save` stores how far the chain has been read, in the same transaction as their effects, after which `done` is set.
    """

    logs: Sequence[Mapping[str, Any]]
    removed: Sequence[Mapping[str, Any]] = ()
    rewound: bool = False
    save: Callable[[sa.Connection], None] | None = None
    done: anyio.Event = field(default_factory=anyio.Event)


@dataclass(frozen=True)
class DealSeen:
    """A deal was read; `facts` is None when the chain does not know it, `tasks` what was already there of its tasks."""

    deal_id: DealId
    facts: DealFacts | None
    tasks: Mapping[TaskId, ChainRead] = field(default_factory=dict)


@dataclass(frozen=True)
class TaskNews:
    """Something happened to tasks; when `job` is given, that job of theirs is over and may be started anew."""

    events: Mapping[TaskId, Sequence[Event]]
    job: JobKey | None = None


@dataclass(frozen=True)
class ChainSeen:
    """The chain's record of tasks was read, begun when their logs had been followed up to `versions`.

    When `job` is given, that job of theirs is over and may be started anew.
    """

    records: Mapping[TaskId, ChainRead]
    versions: Mapping[TaskId, int]
    job: JobKey | None = None


@dataclass(frozen=True)
class TransactionFailed:
    """The hub refused a transaction about these tasks, or it could not be sent."""

    tasks: Sequence[TaskId]
    job: JobKey


@dataclass(frozen=True, eq=False)
class WorkerJoined:
    """A worker has proved who it is."""

    session: Session
    hello: Hello
    score: int


@dataclass(frozen=True, eq=False)
class WorkerOffers:
    """What a worker offers has changed."""

    worker: Address
    session: Session
    capabilities: Capabilities


@dataclass(frozen=True, eq=False)
class WorkerLeft:
    """A connection ended."""

    worker: Address
    session: Session


@dataclass(frozen=True)
class WorkerSilent:
    """A worker has not been heard of for two heartbeats."""

    worker: Address


@dataclass(frozen=True, eq=False)
class ReportReceived:
    """A worker reported."""

    worker: Address
    session: Session
    seq: int
    progress: Progress


@dataclass(frozen=True)
class CommandsAcknowledged:
    """A worker has committed the effects of commands up to `seq`."""

    worker: Address
    seq: int


@dataclass(frozen=True)
class TimePassed:
    """The hour of these tasks has come."""

    tasks: Sequence[TaskId]


Item: TypeAlias = (
    LogsSeen
    | DealSeen
    | TaskNews
    | ChainSeen
    | TransactionFailed
    | WorkerJoined
    | WorkerOffers
    | WorkerLeft
    | WorkerSilent
    | ReportReceived
    | CommandsAcknowledged
    | TimePassed
)
