"""A sandbox in a process of its own, which can be made to stand still: nothing less stops compiled code.

A signal that stops a process stops all of its threads between two instructions, and one that lets it go on changes
nothing in it, so that a run that stood still ends with the same result. Starting a process costs a few tenths of a
second; it serves one run after the other.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from pathlib import Path

import anyio

from pyiexec.foundation.lifetime import tie_to_parent
from pyiexec.protocol.errors import IexecError
from pyiexec.worker.runtimes.base import Image, RunOutcome, RunRequest
from pyiexec.worker.runtimes.cell_messages import (
    PREFIX_BYTES,
    Answer,
    Ended,
    Failed,
    Interrupt,
    Printed,
    Run,
    Started,
    body_length,
    decode_answer,
    frame,
)
from pyiexec.worker.runtimes.stopwatch import Stopwatch
from pyiexec.worker.runtimes.suspension import Suspension

#: Seconds that an interrupted run has to end before its process is killed.
_STOP_SECONDS = 1.0


class Cell:
    """Serves one run at a time; use from one event loop.

    Args:
        cache_dir: where compiled modules are kept, None keeps them in the process only.
    """

    def __init__(self, cache_dir: Path | None, monotonic: Callable[[], float]) -> None:
        self._cache_dir = cache_dir
        self._monotonic = monotonic
        self._process: Process | None = None

    async def run(self, request: RunRequest, suspension: Suspension) -> RunOutcome:
        """Run an application to its end. Cancelling the call stops it.

        Raises:
            IexecError: ``SANDBOX_LOST``; whatever the run failed with that is not the application's.
        """
        await suspension.lifted()
        process = await self._alive()
        occupied = _Occupied(process, request, Stopwatch(self._monotonic))
        try:
            with suspension.over(occupied):
                return await occupied.run(suspension)
        finally:
            if not occupied.ended:
                with anyio.CancelScope(shield=True):
                    await self._clear(occupied)

    async def close(self) -> None:
        """End the process."""
        if self._process is not None:
            await self._kill(self._process)

    async def _alive(self) -> Process:
        if self._process is None or self._process.returncode is not None:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *("-m", "pyiexec.worker.runtimes.cell_process", str(self._cache_dir or "")),
                stdin=PIPE,
                stdout=PIPE,
                # What this process imports, and nothing of what its environment may hold.
                env={"PYTHONPATH": os.pathsep.join(sys.path)},
                preexec_fn=tie_to_parent(signal.SIGKILL),
            )
        return self._process

    async def _clear(self, occupied: _Occupied) -> None:
        """Make ready for the next run, by force if need be."""
        # Before the start it imports or compiles, and hears nothing.
        if occupied.has_started:
            with anyio.move_on_after(_STOP_SECONDS):
                await occupied.stop()
        if not occupied.ended and self._process is not None:
            await self._kill(self._process)

    async def _kill(self, process: Process) -> None:
        self._process = None
        if process.returncode is None:
            process.kill()
        await process.wait()


class _Occupied:
    """A process and the run it is busy with."""

    def __init__(self, process: Process, request: RunRequest, stopwatch: Stopwatch) -> None:
        assert process.stdin is not None, "made with a pipe"
        assert process.stdout is not None, "made with a pipe"
        self._process = process
        self._questions, self._answers = process.stdin, process.stdout
        self._request = request
        self._stopwatch = stopwatch
        self._started = anyio.Event()
        self.ended = False

    @property
    def has_started(self) -> bool:
        """Whether the application runs, or ran."""
        return self._started.is_set()

    # --- the switch's side ------------------------------------------------------------------------------------------

    def hold(self) -> None:
        """Stand still."""
        self._stopwatch.hold()
        self._signal(signal.SIGSTOP)

    def release(self) -> None:
        """Go on."""
        self._signal(signal.SIGCONT)
        self._stopwatch.release()

    def _signal(self, number: signal.Signals) -> None:
        if self._process.returncode is None:
            self._process.send_signal(number)

    # --- the runtime's side -----------------------------------------------------------------------------------------

    async def run(self, suspension: Suspension) -> RunOutcome:
        """Have it run, and stop it when its time is up."""
        limit = self._request.limits.seconds

        async def watch() -> None:
            await self._started.wait()
            while (left := limit - self._stopwatch.elapsed()) > 0:
                await suspension.lifted()
                # Time is all it waits for; while the run stood still none has passed.
                await anyio.sleep(left)
            self._interrupt()

        self._questions.write(frame(_question(self._request)))
        watcher = asyncio.create_task(watch())
        try:
            outcome = await self._until_ended()
        finally:
            watcher.cancel()
        return dataclasses.replace(outcome, seconds=self._stopwatch.elapsed())

    async def stop(self) -> None:
        """Return once the run has been interrupted and has ended."""
        self._signal(signal.SIGCONT)
        self._interrupt()
        while not self.ended:
            await self._answer()

    def _interrupt(self) -> None:
        self._questions.write(frame(Interrupt()))

    async def _until_ended(self) -> RunOutcome:
        while True:
            match await self._answer():
                case Started():
                    self._stopwatch.start()
                    self._started.set()
                case Printed(stream, content):
                    if self._request.on_output is not None:
                        self._request.on_output(stream, content)
                case Ended(outcome):
                    return outcome
                case Failed("", what):
                    raise RuntimeError(f"the sandbox failed: {what}")
                case Failed(code, what):
                    raise IexecError(code, what)

    async def _answer(self) -> Answer:
        try:
            size = body_length(await self._answers.readexactly(PREFIX_BYTES))
            answer = decode_answer(await self._answers.readexactly(size))
        except asyncio.IncompleteReadError:
            self.ended = True
            code = await self._process.wait()
            raise IexecError("SANDBOX_LOST", f"the process of a sandbox ended with {code}") from None
        self.ended = isinstance(answer, Ended | Failed)
        return answer


def _question(request: RunRequest) -> Run:
    assert not isinstance(request.app, Image), "images are not run here"
    return Run(
        app=str(request.app) if isinstance(request.app, Path) else None,
        content=request.app if isinstance(request.app, bytes) else b"",
        args=list(request.args),
        environment=dict(request.environment),
        input_dir=str(request.input_dir),
        output_dir=str(request.output_dir),
        limits=request.limits,
        seed=request.seed,
    )
