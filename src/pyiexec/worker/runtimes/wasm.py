"""Applications compiled to WebAssembly with WASI preview 1, run by wasmtime: metered, and the same everywhere.

What could differ between two runs is taken away: clock, randomness, folder order, file times and numbers are virtual
(see `wasi`), NaNs are canonical, relaxed SIMD is deterministic, threads are off, and fuel ends a run at the same
instruction on every machine. Wall time cannot be made so; it only stops what the fuel did not.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.lowlevel
import anyio.to_thread

from pyiexec.foundation.clock import Clock, SystemClock
from pyiexec.protocol.errors import IexecError
from pyiexec.worker.runtimes.base import Application, Image, RunOutcome, RunRequest, RunStatus
from pyiexec.worker.runtimes.cell import Cell
from pyiexec.worker.runtimes.lane import Interruption, Lane
from pyiexec.worker.runtimes.modules import ModuleCache, is_wasm, variant

T = TypeVar("T")

#: Schemes under which content is fetched as it is, so that it may turn out to be a module.
_CONTENT_ADDRESSES = ("/ipfs/", "/p2p/", "http://", "https://")


class WasmRuntime:
    """Runs WebAssembly applications, each run in a thread of its own, or in a process where it may have to stand still.

    Args:
        cache_dir: where compiled modules are kept, a folder private to this user; None keeps them in memory only.
        concurrency: runs at a time, the number of processors if None. More of them wait, which counts against nobody's
            time.
        clock: what `RunOutcome.seconds` is measured with.
    """

    name = "wasm"

    def __init__(
        self, cache_dir: Path | None = None, *, concurrency: int | None = None, clock: Clock | None = None
    ) -> None:
        concurrency = concurrency or os.cpu_count() or 1
        self._clock = clock or SystemClock()
        self._modules = ModuleCache(cache_dir, variant())
        self._running = anyio.CapacityLimiter(concurrency)
        # A run may hold a thread while it is cancelled and the next one takes its place.
        self._threads = anyio.CapacityLimiter(2 * concurrency)
        self._free: list[Lane] = []
        self._cache_dir = cache_dir
        self._cells: list[Cell] = []

    def accepts(self, multiaddr: str, content: bytes | None) -> bool:
        """Whether an application is a WebAssembly module, or may be one as long as it has not been fetched."""
        return multiaddr.startswith(_CONTENT_ADDRESSES) if content is None else is_wasm(content)

    async def open(self) -> None:
        """Nothing is needed, and a run leaves nothing behind."""

    async def prepare(self, app: Application) -> None:
        """Compile an application, so that its first run need not.

        Raises:
            IexecError: ``APP_INVALID_MODULE`` when it is no module, or asks for what WASI preview 1 does not have.
        """
        async with self._lane() as lane:
            await self._in_thread(lambda: lane.prepare(*source_of(app)))

    async def run(self, request: RunRequest) -> RunOutcome:
        """Run an application to its end. Cancelling the call stops it within milliseconds.

        A run that fails for the application's reasons returns; only the worker's own trouble raises.
        """
        if isinstance(request.app, Image):
            return never_ran(_not_a_module(request.app))
        if request.suspension is not None:
            async with self._cell() as cell:
                return await cell.run(request, request.suspension)
        async with self._lane() as lane:
            interruption = Interruption(lane.interrupt, self._clock.monotonic)

            def prepare_and_run() -> RunOutcome | Exception:
                # Errors are carried out of the task group by hand: it would wrap them into a group.
                try:
                    prepared = lane.prepare(*source_of(request.app))
                    return lane.run(prepared, request, interruption)
                except IexecError as error:
                    return never_ran(error) if error.code == "APP_INVALID_MODULE" else error
                except Exception as error:
                    return error

            async with _stopping_after(request.limits.seconds, interruption):
                outcome = await self._in_thread(prepare_and_run)
        # A cancelled run has an outcome too, which is nobody's.
        await anyio.lowlevel.checkpoint_if_cancelled()
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    async def collect(self, size: int) -> int:
        """Delete `size` bytes of compiled modules from the disk, the longest unused first; the bytes deleted."""
        return await anyio.to_thread.run_sync(self._modules.collect, size)

    async def close(self) -> None:
        """Free the engines."""
        cells, self._cells = self._cells, []
        for cell in cells:
            await cell.close()
        lanes, self._free = self._free, []
        for lane in lanes:
            lane.close()

    @asynccontextmanager
    async def _lane(self) -> AsyncIterator[Lane]:
        async with self._running:
            lane = self._free.pop() if self._free else Lane(self._modules)
            try:
                yield lane
            finally:
                self._free.append(lane)

    @asynccontextmanager
    async def _cell(self) -> AsyncIterator[Cell]:
        async with self._running:
            cell = self._cells.pop() if self._cells else Cell(self._cache_dir, self._clock.monotonic)
            try:
                yield cell
            finally:
                self._cells.append(cell)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        # Never abandoned: a lane is free again only once its thread is.
        return await anyio.to_thread.run_sync(work, abandon_on_cancel=False, limiter=self._threads)


def source_of(app: Application) -> tuple[str, bytes]:
    """SHA-256 and content of an application.

    Raises:
        IexecError: ``APP_INVALID_MODULE`` when it is an image.
    """
    if isinstance(app, Image):
        raise _not_a_module(app)
    source = app if isinstance(app, bytes) else app.read_bytes()
    return hashlib.sha256(source).hexdigest(), source


def _not_a_module(image: Image) -> IexecError:
    return IexecError("APP_INVALID_MODULE", f"{image.name} is a container image, not a WebAssembly module")


def never_ran(error: IexecError) -> RunOutcome:
    """What comes of an application that cannot be run."""
    return RunOutcome(
        status=RunStatus.FAILED,
        exit_code=None,
        cause=error.code,
        message=error.what,
        stdout=b"",
        stderr=b"",
        fuel_used=0,
        seconds=0.0,
    )


@asynccontextmanager
async def _stopping_after(seconds: float, interruption: Interruption) -> AsyncIterator[None]:
    """Interrupt the run inside once it has taken `seconds`, or as soon as the caller is cancelled."""

    async def watch() -> None:
        try:
            while (left := seconds - interruption.elapsed()) > 0:  # noqa: ASYNC110 - time is all it waits for
                await anyio.sleep(left)
        finally:
            interruption.interrupt()

    async with anyio.create_task_group() as group:
        group.start_soon(watch)
        yield
        interruption.disarm()
        group.cancel_scope.cancel()
