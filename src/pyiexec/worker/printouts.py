"""What runs print while they run, on its way to the scheduler.

The run's thread only appends to the end of its streams, and the end has a bounded size; the channel takes from there
what it has not sent yet, at its own pace. So an application that prints without end, or a connection that is slow,
costs gaps in what is seen live and neither time nor memory. The run's last report carries the end of both streams.
"""

from __future__ import annotations

import asyncio
import codecs
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from pyiexec.foundation.clock import Clock
from pyiexec.protocol.messages import Output
from pyiexec.protocol.primitives import TaskId
from pyiexec.protocol.printed import Printed, StreamTail
from pyiexec.worker.runtimes.base import StreamName

#: Seconds between two rounds of sending, and characters sent in one by all runs together.
ROUND_SECONDS, ROUND_CHARACTERS = 0.2, 65_536
#: Least share of a run in a round, characters of each stream.
_LEAST_SHARE = 1_024
#: Bytes decoded at a time.
_SLICE = 65_536


class Printout:
    """What one run has printed; written on the thread of the run, read in the event loop."""

    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell = tell
        self._lock = threading.Lock()
        make = codecs.getincrementaldecoder("utf-8")
        self._decoders = {"stdout": make("replace"), "stderr": make("replace")}
        self._tails = {"stdout": StreamTail(), "stderr": StreamTail()}
        #: Whether anything was written.
        self.told = False

    def write(self, stream: StreamName, content: bytes) -> None:
        """The application printed `content`."""
        decode = self._decoders[stream].decode
        with self._lock:
            self.told = True
            for start in range(0, len(content), _SLICE):
                self._tails[stream].append(decode(content[start : start + _SLICE]))
        self._tell()

    def since(self, stdout: int, stderr: int, limit: int) -> Printed:
        """What came after these positions, at most `limit` characters of each stream."""
        with self._lock:
            return Printed(self._tails["stdout"].since(stdout, limit), self._tails["stderr"].since(stderr, limit))

    def end(self) -> Printed:
        """The end of both streams, once the run is over."""
        with self._lock:
            for stream, decoder in self._decoders.items():
                # A character cut in its middle by the end of the run.
                self._tails[stream].append(decoder.decode(b"", final=True))
            return Printed(self._tails["stdout"].since(0), self._tails["stderr"].since(0))


class Printouts:
    """The printouts of all runs under way."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._running: dict[TaskId, Printout] = {}
        self._news = asyncio.Event()
        self._told = False

    @contextmanager
    def of(self, task_id: TaskId) -> Iterator[Printout]:
        """The printout of a run that lasts as long as the block."""
        loop = asyncio.get_running_loop()

        def tell() -> None:
            # Once a round is enough: waking the loop costs more than appending.
            if not self._told:
                self._told = True
                loop.call_soon_threadsafe(self._news.set)

        printout = self._running[task_id] = Printout(tell)
        try:
            yield printout
        finally:
            if self._running.get(task_id) is printout:
                del self._running[task_id]

    async def ship(self, send: Callable[[Output], Awaitable[None]]) -> None:
        """Send what is printed until cancelled, beginning with all that is kept of what was printed before."""
        sent: dict[TaskId, tuple[int, int]] = {}
        self._news.set()
        while True:
            await self._news.wait()
            self._news.clear()
            # Before anything is read: what is printed from here on is told again.
            self._told = False
            running = dict(self._running)
            sent = {task_id: sent[task_id] for task_id in running if task_id in sent}
            share = max(ROUND_CHARACTERS // (2 * len(running) or 1), _LEAST_SHARE)
            shipped = False
            for task_id, printout in running.items():
                printed = printout.since(*sent.get(task_id, (0, 0)), share)
                if not printed:
                    continue
                await send(Output(task_id=task_id, stdout=printed.stdout, stderr=printed.stderr))
                sent[task_id] = printed.stdout.end, printed.stderr.end
                shipped = True
            if shipped:
                # There may be more than a share; if not, the next round finds nothing and waits.
                self._news.set()
                await self._clock.sleep(ROUND_SECONDS)
