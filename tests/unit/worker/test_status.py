"""A worker tells of itself to whoever may enter its folder, however deep that lies, and to nobody else."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from pyiexec.foundation.clock import SystemClock
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address
from pyiexec.worker.status import SOCKET, WorkerStatus, read_status, telling, watch_status

pytestmark = pytest.mark.anyio
WORKER = Address("0x" + "11" * 20)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    # Longer than a socket's address may be.
    deep = tmp_path / ("a" * 100) / ("b" * 100)
    deep.mkdir(parents=True)
    return deep


class Teller:
    """Tells how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.was_asked = anyio.Event()

    async def tell(self) -> WorkerStatus:
        self.asked += 1
        self.was_asked.set()
        return WorkerStatus(
            worker=WORKER,
            workerpool=WORKER,
            chain_id=1,
            pid=2,
            started_at=3.0,
            connected=True,
            mode="run",
            because="",
            slots=self.asked,
            tasks=[],
            ended={},
            disk_used=0,
            disk_bytes=None,
        )


async def test_a_visitor_is_told_once_or_until_it_leaves(folder: Path) -> None:
    teller = Teller()
    async with telling(folder, teller.tell, SystemClock()):
        assert stat.S_IMODE((folder / SOCKET).stat().st_mode) == 0o600
        assert (await anyio.to_thread.run_sync(read_status, folder)).slots == 1

        def two() -> list[int]:
            seen = watch_status(folder)
            return [next(seen).slots, next(seen).slots]

        assert await anyio.to_thread.run_sync(two) == [2, 3]
    assert not (folder / SOCKET).exists()


async def test_who_watches_sees_the_end(folder: Path) -> None:
    teller, seen = Teller(), list[int]()

    def watch() -> None:
        seen.extend(status.slots for status in watch_status(folder))

    async with anyio.create_task_group() as group, telling(folder, teller.tell, SystemClock()):
        group.start_soon(anyio.to_thread.run_sync, watch)
        await teller.was_asked.wait()
    assert seen == list(range(1, len(seen) + 1))
    assert seen


async def test_what_a_killed_worker_left_does_not_keep_the_next_one_from_telling(folder: Path) -> None:
    with pytest.raises(IexecError) as refusal:
        read_status(folder)
    assert refusal.value.code == "WORKER_STOPPED"
    left = socket.socket(socket.AF_UNIX)
    place = folder.parent.parent / "s"
    left.bind(str(place))
    place.rename(folder / SOCKET)
    left.close()
    with pytest.raises(IexecError) as refusal:
        read_status(folder)
    assert refusal.value.code == "WORKER_STOPPED"
    async with telling(folder, Teller().tell, SystemClock()):
        assert (await anyio.to_thread.run_sync(read_status, folder)).worker == WORKER


async def test_no_folder_no_worker(tmp_path: Path) -> None:
    with pytest.raises(IexecError, match="no worker runs") as refusal:
        read_status(tmp_path / "nowhere")
    assert refusal.value.code == "WORKER_STOPPED"


async def test_a_visitor_who_asks_for_something_else_is_shown_out(folder: Path) -> None:
    teller = Teller()
    async with telling(folder, teller.tell, SystemClock()):

        def ask() -> bytes:
            with socket.socket(socket.AF_UNIX) as visitor:
                descriptor = os.open(folder, os.O_PATH)
                visitor.connect(f"/proc/self/fd/{descriptor}/{SOCKET}")
                os.close(descriptor)
                visitor.sendall(b"something else\n")
                return visitor.recv(10)

        assert await anyio.to_thread.run_sync(ask) == b""
    assert not teller.asked
