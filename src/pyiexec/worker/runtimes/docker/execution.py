"""One container from its start to its end: what it prints, how long it takes, and what makes it stop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from pyiexec.foundation.clock import Clock
from pyiexec.protocol.errors import IexecError
from pyiexec.worker.runtimes.base import RunRequest, StreamName
from pyiexec.worker.runtimes.docker.engine import Engine, Found
from pyiexec.worker.runtimes.docker.frames import Frames
from pyiexec.worker.runtimes.docker.processes import refusals, refusals_file
from pyiexec.worker.runtimes.endings import Log, Stop
from pyiexec.worker.runtimes.stopwatch import Stopwatch

#: How many times what is kept of a stream may be printed before the run is ended for it.
LOG_FLOOD = 64
#: Seconds between two counts of processes: the first, and the longest.
_COUNT_SECONDS = (0.05, 1.0)
#: What the engine answers when it is the image's fault that it cannot be started.
_NOT_STARTABLE = (400, 404)
#: Seconds that the last of what was printed may take to arrive after the end.
_DRAIN_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a container ended.

    Attributes:
        stop: why it was ended; None when it ended by itself.
        exit_code: of its first process.
        out_of_memory: whether a process of it was killed for the memory it used.
        seconds: from its start to its end, without those in which it stood still.
    """

    stop: Stop | None
    exit_code: int
    out_of_memory: bool
    seconds: float
    stdout: bytes
    stderr: bytes


class Execution:
    """A run of a container that has been created.

    Args:
        name: of the container.
        processes: it may have.
    """

    def __init__(self, engine: Engine, name: str, request: RunRequest, processes: int, clock: Clock) -> None:
        self._engine = engine
        self._name = name
        self._limits = request.limits
        self._on_output = request.on_output
        self._processes = processes
        self._suspension = request.suspension
        self._stopwatch = Stopwatch(clock.monotonic)
        self._held, self._frozen, self._turned = False, False, asyncio.Event()
        self._logs: dict[StreamName, Log] = {name: Log(request.limits.log_bytes) for name in ("stdout", "stderr")}
        self._stop: Stop | None = None

    async def run(self) -> Ended:
        """Start it, and return once it has ended. Cancelled, it leaves the container to who created it.

        Raises:
            IexecError: ``APP_INVALID_IMAGE`` when it cannot be started, and those of `Engine`.
        """
        engine, name, limit = self._engine, self._name, self._limits.seconds
        async with engine.attached(name) as printed, engine.exit_of(name) as ended:
            if self._suspension is not None:
                await self._suspension.lifted()
            await self._start()
            self._stopwatch.start()
            with nullcontext() if self._suspension is None else self._suspension.over(self):
                watchers = {
                    (reader := asyncio.create_task(self._read(printed), name=f"output of {name}")),
                    asyncio.create_task(self._count_processes(), name=f"processes of {name}"),
                    asyncio.create_task(self._freeze_and_thaw(), name=f"suspension of {name}"),
                }
                try:
                    await self._watch(ended, watchers)
                    if not ended.done():
                        await self._end(Stop("APP_TIMEOUT", f"the application was stopped after {limit:g} seconds"))
                    await ended
                    seconds = self._stopwatch.elapsed()
                    # A process that the application left behind has gone with it, and its end of the stream too.
                    await asyncio.wait({reader}, timeout=_DRAIN_SECONDS)
                finally:
                    for task in watchers:
                        task.cancel()
                    await asyncio.gather(*watchers, return_exceptions=True)
        state = (await engine.inspect(name))["State"]
        return Ended(
            stop=self._stop,
            exit_code=state["ExitCode"],
            out_of_memory=state["OOMKilled"],
            seconds=seconds,
            stdout=self._logs["stdout"].text(),
            stderr=self._logs["stderr"].text(),
        )

    async def _start(self) -> None:
        try:
            await self._engine.start(self._name)
        except IexecError as error:
            if error.details.get("status") in _NOT_STARTABLE:
                raise IexecError("APP_INVALID_IMAGE", f"the image cannot be started: {error.what}") from None
            raise

    def hold(self) -> None:
        """Stand still as soon as the engine has seen to it."""
        self._held = True
        self._stopwatch.hold()
        self._turned.set()

    def release(self) -> None:
        """Go on."""
        self._held = False
        self._stopwatch.release()
        self._turned.set()

    async def _freeze_and_thaw(self) -> None:
        """Have the engine do what was last asked for."""
        while True:
            await self._turned.wait()
            self._turned.clear()
            if self._frozen is not self._held:
                freeze = self._held
                await (self._engine.pause(self._name) if freeze else self._engine.unpause(self._name))
                self._frozen = freeze

    async def _watch(self, ended: asyncio.Future[Found], watchers: Iterable[asyncio.Task[None]]) -> None:
        """Return at the end or when its time is up; what goes wrong with a watcher is raised at once."""
        waiting: set[asyncio.Future[Any]] = {ended, *watchers}
        while not ended.done() and (left := self._limits.seconds - self._stopwatch.elapsed()) > 0:
            done, waiting = await asyncio.wait(waiting, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            for future in done:
                future.result()

    async def _read(self, printed: AsyncIterator[bytes]) -> None:
        frames = Frames()
        async for piece in printed:
            for stream, content in frames.feed(piece):
                log = self._logs[stream]
                log.write(content)
                if self._on_output is not None:
                    self._on_output(stream, content)
                if log.size > LOG_FLOOD * self._limits.log_bytes:
                    what = f"the application printed more than {LOG_FLOOD * self._limits.log_bytes} bytes to {stream}"
                    await self._end(Stop("APP_LOG_FLOOD", what))
                    return

    async def _count_processes(self) -> None:
        """End a run that has been refused a process: it has as many as it may, or tried to have more.

        The kernel tells nobody of it: hence a look every now and then, more and more rarely. An application that ends
        before the next one is told as it ended.
        """
        pause, longest = _COUNT_SECONDS
        state = (await self._engine.inspect(self._name))["State"]
        file = refusals_file(state["Pid"])
        while True:
            if file is not None:
                is_full = refusals(file) > 0
            else:
                is_full = await self._engine.processes(self._name) >= self._processes
            if is_full:
                what = f"the application started more than the {self._processes} processes and threads it may have"
                await self._end(Stop("APP_TOO_MANY_PROCESSES", what))
                return
            await asyncio.sleep(pause)
            pause = min(2 * pause, longest)

    async def _end(self, stop: Stop) -> None:
        """Kill the container; the first reason is the one that counts."""
        if self._stop is None:
            self._stop = stop
            await self._engine.kill(self._name)
