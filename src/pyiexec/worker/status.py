"""What a running worker tells of itself, to whoever may enter its folder: a socket in it, one JSON document a line.

Nothing listens on the network. A visitor sends ``status`` and gets one line, or ``watch`` and gets one a second.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import msgspec

from pyiexec.foundation.clock import Clock
from pyiexec.foundation.logs import get_logger
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address, TaskId
from pyiexec.protocol.replicates import ReplicateStatus

log = get_logger(__name__)

#: Name of the socket in the worker's folder.
SOCKET = "status.sock"
#: Seconds between two lines for those who watch.
WATCH_SECONDS = 1.0
#: Longest line, bytes.
_LONGEST = 1 << 22


class TaskLine(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A task that the worker takes part in."""

    task_id: TaskId
    status: ReplicateStatus
    contribution_deadline: int


class Cover(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Free stake against what is needed, nRLC.

    Attributes:
        free: in the hub.
        needed: what the votes on the tasks given to the worker will lock.
        tasks: how many those are.
    """

    free: int
    needed: int
    tasks: int

    @property
    def short(self) -> int:
        """How much too little is free."""
        return max(self.needed - self.free, 0)


class WorkerStatus(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A worker at one moment.

    Attributes:
        started_at: seconds since the Unix epoch.
        connected: whether the scheduler has let it in.
        mode: run, finish or pause, see `presence.Mode`.
        because: why it does not take tasks, in words; empty when it does.
        slots: tasks at a time that are taken now.
        ended: tasks of which it remembers the end, by status.
        disk_used: bytes that its folder takes.
        disk_bytes: what it may take; None for any number.
        stake: what is free in the hub against what votes to come lock; None before a task needed any.
    """

    worker: Address
    workerpool: Address
    chain_id: int
    pid: int
    started_at: float
    connected: bool
    mode: str
    because: str
    slots: int
    tasks: list[TaskLine]
    ended: dict[str, int]
    disk_used: int
    disk_bytes: int | None
    stake: Cover | None = None


@asynccontextmanager
async def telling(data_dir: Path, tell: Callable[[], Awaitable[WorkerStatus]], clock: Clock) -> AsyncIterator[None]:
    """Answer visitors for as long as the block lasts. The folder must be this process's alone."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            wanted = (await reader.readline()).strip()
            if wanted in (b"status", b"watch"):
                writer.write(msgspec.json.encode(await tell()) + b"\n")
                await writer.drain()
            while wanted == b"watch":
                await clock.sleep(WATCH_SECONDS)
                writer.write(msgspec.json.encode(await tell()) + b"\n")
                await writer.drain()
        except (ConnectionError, ValueError):
            # Gone, or asking for more than a line holds: nobody is owed an answer.
            log.debug("a visitor left")
        finally:
            writer.close()

    visits: set[asyncio.Task[None]] = set()

    def visit(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(answer(reader, writer))
        visits.add(task)
        task.add_done_callback(visits.discard)

    server = await asyncio.start_unix_server(visit, sock=_listen(data_dir))
    try:
        yield
    finally:
        server.close()
        for task in list(visits):
            task.cancel()
        await asyncio.gather(*visits, return_exceptions=True)
        _tidy(data_dir)


def _listen(data_dir: Path) -> socket.socket:
    # What an earlier life left: the folder's lock says that it is over.
    _tidy(data_dir)
    listener = socket.socket(socket.AF_UNIX)
    with _place(data_dir) as place:
        listener.bind(place)
        os.chmod(place, 0o600)
    return listener


def _tidy(data_dir: Path) -> None:
    (data_dir / SOCKET).unlink(missing_ok=True)


def watch_status(data_dir: Path) -> Iterator[WorkerStatus]:
    """The status of the worker in a folder, again and again until it ends; blocks in between.

    Raises:
        IexecError: ``WORKER_STOPPED`` when none runs there.
    """
    return _ask(data_dir, b"watch\n")


def read_status(data_dir: Path) -> WorkerStatus:
    """The status of the worker in a folder.

    Raises:
        IexecError: ``WORKER_STOPPED`` when none runs there.
    """
    for status in _ask(data_dir, b"status\n"):
        return status
    raise IexecError("WORKER_STOPPED", f"the worker in {data_dir} ended instead of answering")


def _ask(data_dir: Path, what: bytes) -> Iterator[WorkerStatus]:
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            with _place(data_dir) as place:
                connection.connect(place)
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
            raise IexecError("WORKER_STOPPED", f"no worker runs in {data_dir}") from None
        except PermissionError:
            raise IexecError(
                "WORKER_STOPPED", f"{data_dir} belongs to another user", remedy="Ask as the user that runs the worker."
            ) from None
        connection.sendall(what)
        with connection.makefile("rb") as lines, suppress(ConnectionError):
            while line := lines.readline(_LONGEST):
                yield msgspec.json.decode(line, type=WorkerStatus)


@contextmanager
def _place(data_dir: Path) -> Iterator[str]:
    """The socket's path, short enough for the 108 bytes that the kernel takes, however deep the folder lies."""
    folder = os.open(data_dir, os.O_PATH | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{SOCKET}"
    finally:
        os.close(folder)
