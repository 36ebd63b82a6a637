"""The scheduler's SQL, all of it: what is loaded at the start and what one step of the engine changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from pyiexec.foundation.database import Migrations
from pyiexec.foundation.statements import Statement, upsert
from pyiexec.protocol.deals import Deal
from pyiexec.protocol.primitives import Address, DealId, TaskId
from pyiexec.protocol.printed import Printed
from pyiexec.protocol.workflow import Phase
from pyiexec.scheduler.crew import Member
from pyiexec.scheduler.requirements import Needs, needs_of
from pyiexec.scheduler.state import TaskState, new_task
from pyiexec.scheduler.tables import deals, outbox, printouts, tasks, workers

MIGRATIONS = Migrations("pyiexec.scheduler.migrations", lineage="scheduler")


_DEAL = upsert(deals, keep=("block",))
_TASK = upsert(tasks)
_PRINTOUT = upsert(printouts)
_WORKER = upsert(workers)
_COMMAND = Statement(sa.insert(outbox))
_ACKNOWLEDGED = Statement(
    sa.delete(outbox).where(outbox.c.worker == sa.bindparam("to"), outbox.c.seq <= sa.bindparam("until"))
)


class DealFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What a deal's tasks are made from; all of it is immutable on chain.

    Attributes:
        app_type: as registered, usually ``DOCKER``.
        app_location: the app's multiaddr in words, hexadecimal if it has none.
        dataset_checksum: empty when the deal has no dataset.
    """

    deal: Deal
    timeref: int
    app_checksum: str
    app_type: str = ""
    app_location: str = ""
    dataset_checksum: str = ""

    @property
    def needs(self) -> Needs:
        """What the deal's tasks need of a worker."""
        return needs_of(self.deal.tag, self.app_location)

    def task(self, deal_id: DealId, index: int, task_id: TaskId) -> TaskState:
        """A task of the deal, which has just been noticed."""
        return new_task(
            deal_id,
            self.deal,
            index,
            task_id,
            timeref=self.timeref,
            app_checksum=self.app_checksum,
            dataset_checksum=self.dataset_checksum,
            needs=self.needs,
        )


class Printout(NamedTuple):
    """What one replicate's application printed, and the chain time until which it is kept."""

    printed: Printed
    purge_at: int


@dataclass
class Changes:
    """What one step of the engine changes, to be written in one transaction."""

    noticed: dict[DealId, int | None] = field(default_factory=dict)
    read: dict[DealId, DealFacts] = field(default_factory=dict)
    gone: list[DealId] = field(default_factory=list)
    tasks: dict[TaskId, TaskState] = field(default_factory=dict)
    printouts: dict[tuple[TaskId, Address], Printout] = field(default_factory=dict)
    members: dict[Address, Member] = field(default_factory=dict)
    commands: list[tuple[Address, int, bytes]] = field(default_factory=list)
    acknowledged: dict[Address, int] = field(default_factory=dict)

    def __bool__(self) -> bool:
        # Acknowledgements alone wait for the next write: repeated commands do no harm.
        return any((self.noticed, self.read, self.gone, self.tasks, self.printouts, self.members, self.commands))

    def rows(self) -> Rows:
        """The rows, made before the state they come from changes again."""
        return Rows(
            deals=[_deal_row(deal_id, block=block) for deal_id, block in self.noticed.items()]
            + [_deal_row(deal_id, facts=facts) for deal_id, facts in self.read.items()]
            + [_deal_row(deal_id, gone=True) for deal_id in self.gone],
            tasks=[_task_row(state) for state in self.tasks.values()],
            printouts=printout_rows(self.printouts),
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
    printouts: list[dict[str, Any]]
    workers: list[dict[str, Any]]
    outbox: list[dict[str, Any]]
    acknowledged: list[tuple[Address, int]]

    def write(self, connection: sa.Connection) -> None:
        """Write them."""
        _DEAL.run_all(connection, self.deals)
        _TASK.run_all(connection, self.tasks)
        _PRINTOUT.run_all(connection, self.printouts)
        _WORKER.run_all(connection, self.workers)
        _COMMAND.run_all(connection, self.outbox)
        _ACKNOWLEDGED.run_all(connection, ({"to": worker, "until": seq} for worker, seq in self.acknowledged))


@dataclass(frozen=True)
class Stored:
    """What a scheduler starts with.

    Attributes:
        phases: how many tasks are in each phase, settled ones included.
        newest_deal_block: of the deals noticed so far, 0 before the first.
    """

    deals: dict[DealId, bool]
    unread: list[DealId]
    tasks: list[TaskState]
    members: list[Member]
    phases: dict[str, int]
    newest_deal_block: int


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
        phases={row.phase: row.tasks for row in connection.execute(_PHASES)},
        newest_deal_block=connection.scalar(sa.select(sa.func.max(deals.c.block))) or 0,
    )


_PHASES = sa.select(tasks.c.phase, sa.func.count().label("tasks")).group_by(tasks.c.phase)


def find_tasks(connection: sa.Connection, task_ids: Sequence[TaskId]) -> list[TaskState]:
    """Tasks by id, settled or not."""
    found = connection.scalars(sa.select(tasks.c.state).where(tasks.c.task_id.in_(task_ids))).all()
    return [_decode(state) for state in found]


def tasks_of_deal(connection: sa.Connection, deal_id: DealId) -> list[TaskState]:
    """The tasks of a deal."""
    found = connection.scalars(sa.select(tasks.c.state).where(tasks.c.deal_id == deal_id)).all()
    return [_decode(state) for state in found]


def find_facts(connection: sa.Connection, deal_id: DealId) -> DealFacts | None:
    """What was read of a deal; None when it is not known, or not read yet."""
    found = connection.scalar(sa.select(deals.c.facts).where(deals.c.deal_id == deal_id))
    return msgspec.json.decode(found, type=DealFacts) if found else None


def newest_facts(connection: sa.Connection, most: int) -> list[DealFacts]:
    """What was read of the deals noticed last."""
    known = sa.select(deals.c.facts).where(
        deals.c.facts.is_not(None), sa.not_(deals.c.gone), deals.c.block.is_not(None)
    )
    found = connection.scalars(known.order_by(deals.c.block.desc()).limit(most)).all()
    return [msgspec.json.decode(facts, type=DealFacts) for facts in found]


def newest_completed(connection: sa.Connection, most: int) -> list[TaskState]:
    """Completed tasks of the deals noticed last, the newest first."""
    done = sa.select(tasks.c.state).join(deals, deals.c.deal_id == tasks.c.deal_id)
    done = done.where(tasks.c.phase == Phase.COMPLETED, deals.c.block.is_not(None)).order_by(deals.c.block.desc())
    return [_decode(state) for state in connection.scalars(done.limit(most)).all()]


def find_printouts(connection: sa.Connection, task_id: TaskId) -> dict[Address, Printed]:
    """What the replicates of a task printed."""
    wanted = sa.select(printouts.c.worker, printouts.c.content).where(printouts.c.task_id == task_id)
    return {worker: msgspec.json.decode(content, type=Printed) for worker, content in connection.execute(wanted)}


def printout_rows(kept: Mapping[tuple[TaskId, Address], Printout]) -> list[dict[str, Any]]:
    """Rows of `printouts`."""
    return [
        {"task_id": task, "worker": worker, "content": msgspec.json.encode(printed), "purge_at": purge_at}
        for (task, worker), (printed, purge_at) in kept.items()
    ]


def write_printouts(connection: sa.Connection, rows: Iterable[dict[str, Any]]) -> None:
    """Write what was printed in place of what was known of it."""
    _PRINTOUT.run_all(connection, rows)


def purge_printouts(connection: sa.Connection, now: int) -> int:
    """Forget what was printed by tasks long over; how many replicates' logs those were."""
    return connection.execute(sa.delete(printouts).where(printouts.c.purge_at <= now)).rowcount


def _deal_row(
    deal_id: DealId, *, gone: bool = False, facts: DealFacts | None = None, block: int | None = None
) -> dict[str, Any]:
    return {"deal_id": deal_id, "gone": gone, "facts": facts and msgspec.json.encode(facts), "block": block}


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
