"""The scheduler's SQL, all of it: what is loaded at the start and what one step of the engine changes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from pyiexec.foundation.database import Migrations
from pyiexec.protocol.deals import Deal
from pyiexec.protocol.primitives import Address, DealId, TaskId
from pyiexec.scheduler.crew import Member
from pyiexec.scheduler.state import TaskState
from pyiexec.scheduler.tables import deals, outbox, replicates, tasks, workers

MIGRATIONS = Migrations("pyiexec.scheduler.migrations", lineage="scheduler")


class DealFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a deal's tasks are made from; all of it is immutable on chain."""

    deal: Deal
    timeref: int
    app_checksum: str


@dataclass
class Changes:
    """What one step of the engine changes, to be written in one transaction."""

    noticed: list[DealId] = field(default_factory=list)
    read: dict[DealId, DealFacts] = field(default_factory=dict)
    gone: list[DealId] = field(default_factory=list)
    tasks: dict[TaskId, TaskState] = field(default_factory=dict)
    logs: dict[tuple[TaskId, Address], str] = field(default_factory=dict)
    members: dict[Address, Member] = field(default_factory=dict)
    commands: list[tuple[Address, int, bytes]] = field(default_factory=list)
    acknowledged: dict[Address, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        # Acknowledgements alone wait for the next write: repeated commands do no harm.
        return any((self.noticed, self.read, self.gone, self.tasks, self.logs, self.members, self.commands))

    def rows(self) -> Rows:
        """The rows, made before the state they come from changes again."""
        return Rows(
            deals=[{"deal_id": deal_id, "gone": False, "facts": None} for deal_id in self.noticed]
            + [{"deal_id": k, "gone": False, "facts": msgspec.json.encode(v)} for k, v in self.read.items()]
            + [{"deal_id": deal_id, "gone": True, "facts": None} for deal_id in self.gone],
            tasks=[_task_row(state) for state in self.tasks.values()],
            replicates=[{"task_id": t, "worker": w, "logs": text} for (t, w), text in self.logs.items()],
            workers=[
                {"worker": m.worker, "sent": m.sent, "acknowledged": m.acknowledged, "received": m.received}
                for m in self.members.values()
            ],
            outbox=[{"worker": w, "seq": seq, "body": body} for w, seq, body in self.commands],
            acknowledged=list(self.acknowledged.items()),
        )


@dataclass(frozen=True)
class Rows:
    """`Changes` as rows of the tables."""

    deals: list[dict[str, Any]]
    tasks: list[dict[str, Any]]
    replicates: list[dict[str, Any]]
    workers: list[dict[str, Any]]
    outbox: list[dict[str, Any]]
    acknowledged: list[tuple[Address, int]]

    def write(self, connection: sa.Connection) -> None:
        """Write them."""
        _upsert(connection, deals, self.deals)
        _upsert(connection, tasks, self.tasks)
        _upsert(connection, replicates, self.replicates)
        _upsert(connection, workers, self.workers)
        if self.outbox:
            connection.execute(sa.insert(outbox), self.outbox)
        for worker, seq in self.acknowledged:
            connection.execute(sa.delete(outbox).where(outbox.c.worker == worker, outbox.c.seq <= seq))


@dataclass(frozen=True)
class Stored:
    """What a scheduler starts with."""

    deals: dict[DealId, bool]
    unread: list[DealId]
    tasks: list[TaskState]
    members: list[Member]


def load(connection: sa.Connection) -> Stored:
    """Everything that is not finished, and which deals are known (with whether they are gone)."""
    known = connection.execute(sa.select(deals.c.deal_id, deals.c.gone, deals.c.facts.is_(None))).all()
    unsettled = connection.scalars(sa.select(tasks.c.state).where(sa.not_(tasks.c.settled))).all()
    members = {row["worker"]: Member(**row) for row in connection.execute(sa.select(workers)).mappings()}
    for worker, seq, body in connection.execute(sa.select(outbox).order_by(outbox.c.worker, outbox.c.seq)):
        members[worker].outbox[seq] = body
    return Stored(
        deals={deal_id: gone for deal_id, gone, _ in known},
        unread=[deal_id for deal_id, gone, unread in known if unread and not gone],
        tasks=[_decode(state) for state in unsettled],
        members=list(members.values()),
    )


def find_tasks(connection: sa.Connection, task_ids: Sequence[TaskId]) -> list[TaskState]:
    """Tasks by id, settled or not."""
    found = connection.scalars(sa.select(tasks.c.state).where(tasks.c.task_id.in_(task_ids))).all()
    return [_decode(state) for state in found]


def tasks_of_deal(connection: sa.Connection, deal_id: DealId) -> list[TaskState]:
    """The tasks of a deal."""
    found = connection.scalars(sa.select(tasks.c.state).where(tasks.c.deal_id == deal_id)).all()
    return [_decode(state) for state in found]


def _task_row(state: TaskState) -> dict[str, Any]:
    return {
        "task_id": state.task_id,
        "deal_id": state.deal_id,
        "phase": str(state.phase),
        "settled": state.settled,
        "state": msgspec.json.encode(state),
    }


def _decode(state: bytes) -> TaskState:
    return msgspec.json.decode(state, type=TaskState)


def _upsert(connection: sa.Connection, table: sa.Table, rows: Iterable[dict[str, Any]]) -> None:
    rows = list(rows)
    if not rows:
        return
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement = dialect.insert(table)
    values = {column.name: statement.excluded[column.name] for column in table.c if not column.primary_key}
    connection.execute(statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=values), rows)
