"""Where the parts of a local network run: each in its own process, or all in this event loop."""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import os
import signal
from collections.abc import Callable
from importlib import import_module
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Protocol

import anyio
import anyio.abc
import anyio.to_thread
import msgspec

from pyiexec.devnet.parts import Kind, Part, entry_point
from pyiexec.devnet.process import child_main
from pyiexec.foundation.logs import get_logger
from pyiexec.foundation.settings import save_settings
from pyiexec.protocol.errors import CATALOGUE, IexecError

log = get_logger(__name__)

#: Seconds in which a part must answer after its start, and end after being told to.
START_TIMEOUT, STOP_TIMEOUT = 30.0, 10.0


#: What the parts import, together with what they import only once they open a database.
PARTS_IMPORT = (*(f"pyiexec.{kind}.service" for kind in Kind), "alembic.command")


class Host(Protocol):
    """Runs parts."""

    def warm_up(self) -> None:
        """Begin to import what the parts need, beside whatever else there is to do meanwhile."""

    async def start(self, part: Part) -> str:
        """Start a part; its URL once it answers."""

    async def stop(self, name: str) -> None:
        """End a part in order."""


def _import_parts() -> None:
    # A tenth of the time is the collector's, that finds nothing among modules.
    collects = gc.isenabled()
    gc.disable()
    try:
        for module in PARTS_IMPORT:
            import_module(module)
    finally:
        if collects:
            gc.enable()


class EmbeddedHost:
    """Runs every part as tasks of the current event loop: nothing to spawn, one log."""

    def __init__(self, group: anyio.abc.TaskGroup) -> None:
        self._group = group
        self._running: dict[str, tuple[anyio.Event, anyio.Event]] = {}
        self._importing = anyio.Lock()

    def warm_up(self) -> None:
        """Begin to import the parts in a thread."""
        self._group.start_soon(self._import)

    async def _import(self) -> None:
        async with self._importing:
            await anyio.to_thread.run_sync(_import_parts)

    async def start(self, part: Part) -> str:
        """Start a part.

        Raises:
            IexecError: whatever kept the part from starting.
        """
        await self._import()
        stop, ended, answered = anyio.Event(), anyio.Event(), anyio.Event()
        urls: list[str] = []
        failures: list[BaseException] = []

        def ready(url: str) -> None:
            urls.append(url)
            answered.set()

        async def run() -> None:
            try:
                await entry_point(part.kind)(part.settings, ready=ready, stop=stop)
            except Exception as error:
                if urls:
                    raise
                failures.append(error)
            finally:
                ended.set()
                answered.set()

        self._running[part.name] = (stop, ended)
        self._group.start_soon(run, name=part.name)
        await answered.wait()
        if not urls:
            raise IexecError("SERVICE_FAILED", f"{part.name} did not start") from (failures[0] if failures else None)
        return urls[0]

    async def stop(self, name: str) -> None:
        """End a part in order."""
        if name not in self._running:
            return
        stop, ended = self._running.pop(name)
        stop.set()
        await ended.wait()


class ProcessHost:
    """Runs every part in its own process, forked from a server that has imported them all once.

    Args:
        directory: for settings files (``settings/``) and logs (``logs/``).
        on_exit: told when a process ends without being stopped, with the part's name and exit code.
    """

    def __init__(
        self, directory: Path, group: anyio.abc.TaskGroup, on_exit: Callable[[str, int | None], None] | None = None
    ) -> None:
        self._directory = directory
        self._group = group
        self._on_exit = on_exit
        self._context: ForkServerContext = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(list(PARTS_IMPORT))
        self._running: dict[str, BaseProcess] = {}
        self._stopping: set[str] = set()

    def warm_up(self) -> None:
        """Start the fork server, which imports by itself."""
        from multiprocessing import resource_tracker
        from multiprocessing.forkserver import ensure_running

        # Started on its own: it unblocks the signal again.
        resource_tracker.ensure_running()
        # Ctrl-C is answered by the network alone. What is blocked here stays so in the fork server and its children.
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            ensure_running()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

    def log_file(self, name: str) -> Path:
        """Where a part writes its log."""
        return self._directory / "logs" / f"{name}.log"

    def pid(self, name: str) -> int:
        """Process id of a running part."""
        pid = self._running[name].pid
        assert pid is not None, f"{name} was started"
        return pid

    async def start(self, part: Part) -> str:
        """Start a part.

        Raises:
            IexecError: what kept it from starting, as its log says; ``SERVICE_FAILED`` when it stays silent.
        """
        settings_file = self._directory / "settings" / f"{part.name}.json"
        save_settings(part.settings, settings_file)
        log_file = self.log_file(part.name)
        log_file.parent.mkdir(parents=True, exist_ok=True)
        logged = log_file.stat().st_size if log_file.exists() else 0
        reader, writer = os.pipe()
        try:
            arguments = (str(part.kind), str(settings_file), str(log_file))
            process = self._context.Process(
                target=_forked,
                args=(*arguments, _Descriptor(writer), str(self._directory)),
                name=part.name,
                # Should nobody come to stop it, it is ended with this process and not waited for.
                daemon=True,
            )
            # Known before it exists: whoever interrupts the start finds it, and stops it.
            self._running[part.name] = process
            self._stopping.discard(part.name)
            await anyio.to_thread.run_sync(process.start)
        finally:
            os.close(writer)
        url = await self._first_line(reader, process)
        if not url:
            raise _failure(part.name, log_file, logged)
        self._group.start_soon(self._watch, part.name, process)
        return "" if url == "-" else url

    async def _first_line(self, descriptor: int, process: BaseProcess) -> str:
        """What the part tells once it answers; empty when it ends or stays silent instead."""
        os.set_blocking(descriptor, False)
        received = b""
        try:
            with anyio.move_on_after(START_TIMEOUT):
                async with anyio.create_task_group() as group:

                    async def give_up_with_it() -> None:
                        await anyio.wait_readable(process.sentinel)
                        group.cancel_scope.cancel()

                    group.start_soon(give_up_with_it)
                    while not received.endswith(b"\n"):
                        await anyio.wait_readable(descriptor)
                        received += os.read(descriptor, 4096)
                    group.cancel_scope.cancel()
        finally:
            os.close(descriptor)
        return received.decode().strip()

    async def _watch(self, name: str, process: BaseProcess) -> None:
        await anyio.wait_readable(process.sentinel)
        process.join()
        if self._running.get(name) is process and name not in self._stopping:
            log.warning("a part ended", part_name=name, exit_code=process.exitcode)
            if self._on_exit:
                self._on_exit(name, process.exitcode)

    async def stop(self, name: str) -> None:
        """End a part in order, by force when it takes too long."""
        process = self._running.pop(name, None)
        if process is None or process.pid is None:
            return
        self._stopping.add(name)
        process.terminate()
        await anyio.to_thread.run_sync(process.join, STOP_TIMEOUT)
        if process.exitcode is None:
            process.kill()
            await anyio.to_thread.run_sync(process.join)

    def kill(self, name: str) -> None:
        """End a part as a crash would: SIGKILL."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid(name), signal.SIGKILL)


def _failure(name: str, log_file: Path, logged: int) -> IexecError:
    """Why a part did not start, from what it logged beyond `logged` bytes."""
    with log_file.open("rb") if log_file.exists() else open(os.devnull, "rb") as file:
        file.seek(logged)
        lines = file.read().splitlines()
    for line in reversed(lines):
        with contextlib.suppress(msgspec.DecodeError):
            said = msgspec.json.decode(line, type=dict[str, Any])
            if said.get("code") in CATALOGUE:
                return IexecError(said["code"], f"{name} did not start: {said['cause']}", remedy=said["remedy"])
    return IexecError("SERVICE_FAILED", f"{name} did not start, see {log_file}")


class _Descriptor:
    """A file descriptor that survives the way to the forked process."""

    def __init__(self, number: int) -> None:
        self.number = number

    def __reduce__(self) -> tuple[object, ...]:
        from multiprocessing.reduction import DupFd

        return (_received, (DupFd(self.number),))


def _received(duplicate: object) -> int:
    number: int = duplicate.detach()  # type: ignore[attr-defined]
    return number


def _forked(kind: str, settings_file: str, log_file: str, pipe: int, directory: str) -> None:
    child_main(kind, settings_file, log_file, pipe, directory)
