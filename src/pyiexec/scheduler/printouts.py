"""What applications print, as it comes from the workers, kept for the requesters of their tasks.

While a run is under way its printout is in memory and written down now and then; with the run's last report the end of
both streams is written in the same transaction as the report. A worker speaks for its own replicates alone, as fast as
an honest one needs to; what it says beyond that is dropped and shows as a gap.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import anyio
import sqlalchemy as sa

from pyiexec.foundation.clock import Clock
from pyiexec.foundation.database import Database
from pyiexec.foundation.logs import get_logger
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.messages import Output
from pyiexec.protocol.primitives import Address, TaskId
from pyiexec.protocol.printed import Printed, StreamTail
from pyiexec.scheduler.followers import Followers
from pyiexec.scheduler.rules import occupies_slot
from pyiexec.scheduler.state import TaskState
from pyiexec.scheduler.store import Printout, find_printouts, printout_rows, purge_printouts, write_printouts

log = get_logger(__name__)

#: Printouts in memory; the one quiet for longest makes room.
MOST_PRINTOUTS = 512
#: Seconds that something printed may wait to be written down, and between two looks for what is to be forgotten.
WRITE_SECONDS, PURGE_SECONDS = 1.0, 3_600.0
#: Characters a worker may send in a second, lastingly and at once; twice what an honest one does.
LASTING_RATE, BURST = 1_000_000, 2_000_000


class Allowance(NamedTuple):
    """What a worker may still send: `left` characters at second `at` of the monotonic clock."""

    left: float
    at: float

    def spend(self, characters: int, now: float) -> Allowance | None:
        """The allowance after `characters` more; None when it does not cover them."""
        left = min(self.left + (now - self.at) * LASTING_RATE, BURST)
        return Allowance(left - characters, now) if characters <= left else None


class _Live:
    """The printout of one replicate."""

    def __init__(self, purge_at: int, known: Printed = Printed()) -> None:  # noqa: B008 - immutable
        self.purge_at = purge_at
        self.stdout, self.stderr = StreamTail(known.stdout), StreamTail(known.stderr)
        self.unwritten = False

    @property
    def printed(self) -> Printed:
        return Printed(self.stdout.since(0), self.stderr.since(0))


class Printouts:
    """All printouts of one scheduler.

    Args:
        keep_seconds: for how long after a task's final deadline its printouts are kept.
        now: chain time in seconds.
    """

    def __init__(
        self,
        database: Database,
        followers: Followers,
        *,
        clock: Clock,
        now: Callable[[], int],
        keep_seconds: int,
    ) -> None:
        self._database = database
        self._followers = followers
        self._clock = clock
        self._now = now
        self._keep_seconds = keep_seconds
        self._live: OrderedDict[tuple[TaskId, Address], _Live] = OrderedDict()
        self._allowances: dict[Address, Allowance] = {}
        self._unwritten = anyio.Event()

    def take(self, state: TaskState | None, worker: Address, output: Output) -> None:
        """A worker sent what an application printed; `state` is that of the task, if it is one of ours."""
        replicate = state.find(worker) if state else None
        if state is None or replicate is None or not occupies_slot(replicate):
            return
        now = self._clock.monotonic()
        size = len(output.stdout.text) + len(output.stderr.text)
        allowance = self._allowances.get(worker, Allowance(BURST, now)).spend(size, now)
        if allowance is None:
            return
        self._allowances[worker] = allowance
        key = (state.task_id, worker)
        live = self._live.get(key) or self._enter(key, _Live(self._purge_at(state)))
        self._live.move_to_end(key)
        news = live.stdout.join(output.stdout)
        if live.stderr.join(output.stderr) or news:
            live.unwritten = True
            self._unwritten.set()
            self._followers.tell(state.task_id)

    def conclude(self, state: TaskState, worker: Address, printed: Printed) -> Printout:
        """The run is over and this is how its streams end; the caller writes it down."""
        live = _Live(self._purge_at(state), printed)
        self._enter((state.task_id, worker), live)
        return Printout(printed, live.purge_at)

    async def of(self, state: TaskState) -> dict[Address, Printed]:
        """What the replicates of a task printed, by worker."""
        stored = await self._database.read(lambda connection: find_printouts(connection, state.task_id))
        return stored | self.at_hand(state)

    def at_hand(self, state: TaskState) -> dict[Address, Printed]:
        """The same of those replicates whose printouts are in memory."""
        keys = ((state.task_id, replicate.worker) for replicate in state.replicates)
        return {key[1]: self._live[key].printed for key in keys if key in self._live}

    async def run(self) -> None:
        """Write down and forget until cancelled."""
        async with anyio.create_task_group() as group:
            group.start_soon(self._write_down)
            group.start_soon(self._purge)

    async def write(self) -> None:
        """Write down what is not written yet."""
        self._unwritten = anyio.Event()
        rows = printout_rows({key: Printout(live.printed, live.purge_at) for key, live in self._take_unwritten()})
        if rows:
            await self._database.write(lambda connection: write_printouts(connection, rows))

    def _take_unwritten(self) -> list[tuple[tuple[TaskId, Address], _Live]]:
        found = [(key, live) for key, live in self._live.items() if live.unwritten]
        for _, live in found:
            live.unwritten = False
        return found

    async def _write_down(self) -> None:
        while True:
            await self._unwritten.wait()
            await self._clock.sleep(WRITE_SECONDS)
            try:
                await self.write()
            except IexecError as error:
                log.warning("what applications print was not written down", error=str(error))

    async def _purge(self) -> None:
        while True:
            now = self._now()
            try:
                gone = await self._database.write(partial(_forget, now))
            except IexecError as error:
                log.warning("old printouts were not forgotten", error=str(error))
            else:
                if gone:
                    log.info("forgot what tasks long over had printed", replicates=gone)
            for key in [key for key, live in self._live.items() if live.purge_at <= now]:
                del self._live[key]
            await self._clock.sleep(PURGE_SECONDS)

    def _purge_at(self, state: TaskState) -> int:
        return state.chain.final_deadline + self._keep_seconds

    def _enter(self, key: tuple[TaskId, Address], live: _Live) -> _Live:
        self._live[key] = live
        self._live.move_to_end(key)
        while len(self._live) > MOST_PRINTOUTS:
            # What was not written of it is lost unless its run ends, whose report has it again.
            self._live.popitem(last=False)
        return live


def _forget(now: int, connection: sa.Connection) -> int:
    return purge_printouts(connection, now)
