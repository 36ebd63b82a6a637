"""The one owner of the worker's SQL: what it takes part in, what it owes to the scheduler, what it has carried out.

Memory holds the same as the tables, and is changed first: the database's writer is a queue, so that what is written
first is never there without what was written before it. A change is durable once the awaited write returns, and only
then are reports sent and commands acknowledged.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice

import msgspec
import sqlalchemy as sa

from pyiexec.foundation.clock import Clock
from pyiexec.foundation.database import Database, Migrations
from pyiexec.foundation.logs import get_logger
from pyiexec.foundation.statements import Statement, upsert
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.messages import Progress, encode_message
from pyiexec.protocol.primitives import TaskId
from pyiexec.worker import tables
from pyiexec.worker.record import TaskRecord

log = get_logger(__name__)

MIGRATIONS = Migrations("pyiexec.worker.migrations", "worker")

#: Closed tasks remembered, so that a scheduler that asks again is answered.
CLOSED_KEPT = 1024
#: Tasks closed last, whose end a reorganisation of the chain may still take back.
LATELY_CLOSED = 32
#: Seconds that changes may wait for others to be written with.
LONGEST_WAIT = 0.05

_RECORD = upsert(tables.tasks)
_FORGET = Statement(sa.delete(tables.tasks).where(tables.tasks.c.task_id == sa.bindparam("gone")))
_REPORT = Statement(sa.insert(tables.reports))
_ACKNOWLEDGED = Statement(sa.delete(tables.reports).where(tables.reports.c.seq <= sa.bindparam("until")))
_RENUMBER = Statement(sa.delete(tables.reports))
_CHANNEL = Statement(sa.update(tables.channel), columns=("received", "sent"))

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(TaskRecord)


class Report(msgspec.Struct, frozen=True):
    """A report not yet acknowledged: its number and JSON."""

    seq: int
    body: bytes


@dataclass(slots=True)
class _Unwritten:
    """What memory holds and the disk does not: tasks (None for forgotten ones), reports, and the counters then."""

    records: dict[TaskId, TaskRecord | None] = field(default_factory=dict)
    reports: list[Report] = field(default_factory=list)
    acknowledged: int = 0
    renumbered: bool = False
    received: int = 0
    sent: int = 0

    def write(self, connection: sa.Connection, now: float) -> None:
        _FORGET.run_all(connection, ({"gone": task_id} for task_id, record in self.records.items() if record is None))
        rows = [
            {
                "task_id": record.task_id,
                "status": str(record.status),
                "closed": record.closed,
                "changed": now,
                "record": _encoder.encode(record),
            }
            for record in self.records.values()
            if record is not None
        ]
        _RECORD.run_all(connection, rows)
        if self.renumbered:
            _RENUMBER.run(connection)
        elif self.acknowledged:
            _ACKNOWLEDGED.run(connection, until=self.acknowledged)
        _REPORT.run_all(connection, ({"seq": r.seq, "body": r.body} for r in self.reports))
        _CHANNEL.run(connection, received=self.received, sent=self.sent)


class Journal:
    """Memory of one worker; open it with `open_journal`.

    Attributes:
        received: number of the last command whose effect is recorded.
        sent: number of the last report.
        committed: number of the last report that is durable, and may be sent.
    """

    def __init__(self, database: Database, clock: Clock, identity: str) -> None:
        self._database = database
        self._clock = clock
        self._identity = identity
        self._records: OrderedDict[TaskId, TaskRecord] = OrderedDict()
        self._reports: deque[Report] = deque()
        self.received = 0
        self.sent = 0
        self.committed = 0
        self._closed = 0
        self._unwritten = _Unwritten()
        self._epoch = 0
        self._timer: asyncio.TimerHandle | None = None
        self._writes: set[asyncio.Task[None]] = set()
        #: Called when a stake was locked.
        self.on_stake: Callable[[], None] = lambda: None
        #: Called when reports became durable.
        self.on_reports: Callable[[], None] = lambda: None
        #: Called when a write failed: memory is ahead of the disk then, and the worker must stop.
        self.on_failure: Callable[[BaseException], None] = lambda _error: None

    def load(self, connection: sa.Connection) -> None:
        """Read everything; part of `open_journal`.

        Raises:
            IexecError: ``BAD_SETTINGS`` when the folder belongs to another worker, pool or chain.
        """
        row = connection.execute(sa.select(tables.channel)).first()
        if row is None:
            connection.execute(tables.channel.insert().values(identity=self._identity, received=0, sent=0))
        elif row.identity != self._identity:
            raise IexecError(
                "BAD_SETTINGS", f"data_dir belongs to {row.identity}, not to {self._identity}: name another folder"
            )
        else:
            self.received, self.sent, self.committed = row.received, row.sent, row.sent
        for body in connection.execute(sa.select(tables.tasks.c.record).order_by(tables.tasks.c.changed)).scalars():
            record = _decoder.decode(body)
            self._records[record.task_id] = record
            self._closed += record.closed
        for seq, body in connection.execute(sa.select(tables.reports).order_by(tables.reports.c.seq)):
            self._reports.append(Report(seq, body))

    def get(self, task_id: TaskId) -> TaskRecord | None:
        """What is remembered of a task."""
        return self._records.get(task_id)

    def open_records(self) -> list[TaskRecord]:
        """The tasks that are not closed."""
        return [record for record in self._records.values() if not record.closed]

    def ended(self) -> dict[str, int]:
        """How many closed tasks are remembered, by their status."""
        return dict(Counter(str(record.status) for record in self._records.values() if record.closed))

    def lately_closed(self) -> list[TaskRecord]:
        """The tasks whose end may not be final, the newest first."""
        closed = (record for record in reversed(self._records.values()) if record.closed)
        return list(islice(closed, LATELY_CLOSED))

    def reports_after(self, seq: int) -> Iterator[Report]:
        """Durable reports with a number above `seq`, in order."""
        return (report for report in tuple(self._reports) if seq < report.seq <= self.committed)

    def change(
        self,
        record: TaskRecord | None,
        reports: tuple[Progress, ...],
        *,
        received: int | None = None,
        may_wait: bool = False,
    ) -> asyncio.Task[None] | None:
        """Record the outcome of an event: the task, the reports it makes and the command that brought it.

        Memory changes at once; the task returned ends when the change is durable. With `may_wait` the change is worth
        no write of its own: it goes with the next one, or after `LONGEST_WAIT`, and None is returned.
        """
        if record is not None:
            self._remember(record)
        for report in reports:
            self.sent += 1
            queued = Report(self.sent, encode_message(report))
            self._reports.append(queued)
            self._unwritten.reports.append(queued)
        if received is not None:
            self.received = received
        self._forget()
        if may_wait:
            self._flush_later()
            return None
        return self._flush()

    def acknowledged(self, seq: int) -> None:
        """The scheduler has kept every report up to `seq`."""
        if not self._reports or self._reports[0].seq > seq:
            return
        while self._reports and self._reports[0].seq <= seq:
            self._reports.popleft()
        self._unwritten.acknowledged = seq
        self._flush_later()

    async def close(self) -> None:
        """Write what is not written; to be called before the database is closed, once nothing changes any more."""
        if self._timer is not None:
            self._flush()
        await asyncio.gather(*self._writes, return_exceptions=True)

    async def resume_after(self, seq: int) -> None:
        """The scheduler begins a conversation in which the last report it has kept is `seq`.

        When it has lost some, or this folder is younger than its memory, the reports that are owed are numbered anew.
        """
        oldest = self._reports[0].seq if self._reports else self.sent + 1
        if oldest - 1 <= seq <= self.sent:
            self.acknowledged(seq)
            return
        log.warning("scheduler and worker remember different reports", ours=self.sent, theirs=seq)
        self._epoch += 1
        owed = [Report(seq + number, report.body) for number, report in enumerate(self._reports, start=1)]
        self._reports = deque(owed)
        self.sent, self.committed = seq + len(owed), seq
        self._unwritten.reports, self._unwritten.renumbered = list(owed), True
        await self._flush()

    def _remember(self, record: TaskRecord) -> None:
        before = self._records.pop(record.task_id, None)
        self._closed += record.closed - (before.closed if before else False)
        self._records[record.task_id] = record
        if record.has_stake and not (before and before.has_stake):
            self.on_stake()
        self._unwritten.records[record.task_id] = record

    def _forget(self) -> None:
        if self._closed <= CLOSED_KEPT:
            return
        closed = [task_id for task_id, record in self._records.items() if record.closed]
        for task_id in closed[: len(closed) - CLOSED_KEPT // 2]:
            del self._records[task_id]
            self._unwritten.records[task_id] = None
            self._closed -= 1

    def _flush_later(self) -> None:
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(LONGEST_WAIT, self._flush)

    def _flush(self) -> asyncio.Task[None]:
        """Queue the write of all that is not written."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        unwritten, self._unwritten = self._unwritten, _Unwritten()
        unwritten.received, unwritten.sent, now = self.received, self.sent, self._clock.now()

        epoch = self._epoch

        async def run() -> None:
            await self._database.write(lambda connection: unwritten.write(connection, now))
            if epoch == self._epoch and unwritten.sent > self.committed:
                self.committed = unwritten.sent
                self.on_reports()

        # The loop starts tasks in the order they are made, so that the order of calls is the order of writes.
        task = asyncio.get_running_loop().create_task(run())
        self._writes.add(task)
        task.add_done_callback(self._written)
        return task

    def _written(self, task: asyncio.Task[None]) -> None:
        self._writes.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.on_failure(error)


async def open_journal(database: Database, clock: Clock, identity: str) -> Journal:
    """The memory kept in `database`, which has the `MIGRATIONS` of this module.

    Args:
        identity: worker, workerpool, chain and hub in one line; a folder serves one of them for ever.

    Raises:
        IexecError: ``BAD_SETTINGS``.
    """
    journal = Journal(database, clock, identity)
    await database.write(journal.load)
    return journal
