"""Telling all who listen in this process what happens in the book, in whatever process it happened.

The database says that there is something new; what it is comes from the journal. So every listener of every process is
told the same events in the same order, and a word lost on the way loses no event.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import anyio
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream

from pyiexec.foundation.clock import Clock
from pyiexec.foundation.database import Database
from pyiexec.foundation.logs import get_logger
from pyiexec.market import events
from pyiexec.market.events import Event, Interest
from pyiexec.protocol.errors import IexecError

log = get_logger(__name__)

#: Events read at a time.
_BATCH = 500
#: Seconds until the journal is read again after the database failed.
_RETRY = 1.0


class Listener:
    """Someone who is told of events.

    Args:
        interest: which ones.
        backlog: how many may wait to be taken.
        since: number after which they are told; what was before is in the journal.

    Attributes:
        events: what was not taken yet, oldest first; at its end nothing more will come.
        since: see above; raised for who knows of more.
        cut_off: set when it does not keep up, missed events or the service ends.
    """

    def __init__(self, interest: Interest, backlog: int, since: int) -> None:
        self._interest = interest
        self.since = since
        self._into: MemoryObjectSendStream[Event]
        self.events: MemoryObjectReceiveStream[Event]
        self._into, self.events = anyio.create_memory_object_stream[Event](backlog)
        self.cut_off = anyio.Event()

    def tell(self, event: Event) -> None:
        """Pass an event on, if it is wanted."""
        if event.seq <= self.since or self.cut_off.is_set() or not self._interest.covers(event):
            return
        try:
            self._into.send_nowait(event)
        except anyio.WouldBlock:
            log.info("a listener did not keep up", room=self._interest.room)
            self.cut()

    def cut(self) -> None:
        """Tell nothing more."""
        self.cut_off.set()
        self._into.close()

    def close(self) -> None:
        """Let go of what was not taken."""
        self.cut()
        self.events.close()


class Broadcast:
    """The listeners of one process.

    Args:
        database: the book.
        clock: for pauses while the database is away.
        relay: told of every event, listeners or not; it must not wait for anybody.
        backlog: events that a listener may be behind before it is cut off.
        capacity: listeners at a time.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        relay: Callable[[Event], Awaitable[None]],
        backlog: int,
        capacity: int,
    ) -> None:
        self._database = database
        self._clock = clock
        self._relay = relay
        self._backlog = backlog
        self._capacity = capacity
        self._listeners: set[Listener] = set()
        self._ended = False
        #: Number of the last event told.
        self.seq = 0

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Tell events as they happen, until cancelled; started once none can be missed."""
        async with self._database.listen(events.CHANNEL) as news:
            self.seq = (await self._database.read(events.extent)).newest
            task_status.started()
            async for newest in news:
                # What several announcements tell of is read at once.
                if newest is None or int(newest) > self.seq:
                    await self._catch_up()

    @contextmanager
    def listener(self, interest: Interest) -> Iterator[Listener]:
        """Someone who is told of what comes during the block.

        Raises:
            IexecError: ``LISTENERS_TOO_MANY``.
        """
        if self._ended or len(self._listeners) >= self._capacity:
            raise IexecError("LISTENERS_TOO_MANY", "no more listeners can be served")
        listener = Listener(interest, self._backlog, self.seq)
        self._listeners.add(listener)
        try:
            yield listener
        finally:
            self._listeners.discard(listener)
            listener.close()

    def end(self) -> None:
        """Cut everybody off: the service ends."""
        self._ended = True
        for listener in self._listeners:
            listener.cut()

    async def _catch_up(self) -> None:
        while True:
            try:
                reach, found = await self._database.read(
                    lambda connection: (events.extent(connection), events.after(connection, self.seq, limit=_BATCH))
                )
            except IexecError as error:
                if error.code != "DATABASE_UNAVAILABLE":
                    raise
                log.warning("events wait for the database", reason=error.what)
                await self._clock.sleep(_RETRY)
                continue
            if not reach.follows(self.seq):
                # So much happened unseen that not all of it was kept: nobody can be told what was missed.
                log.warning("events were missed", since=self.seq, oldest=reach.oldest)
                for listener in self._listeners:
                    listener.cut()
                self.seq = reach.newest
                return
            for event in found:
                for listener in self._listeners:
                    listener.tell(event)
                self.seq = event.seq
                await self._relay(event)
            if len(found) < _BATCH:
                return
