"""A worker keeps to its share of the disk: rooms are promised, what can go makes way, and tasks beyond are refused."""

from __future__ import annotations

import os
from pathlib import Path

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyiexec.protocol.errors import IexecError
from pyiexec.worker.disk import Disk, missing_bytes, used_bytes
from pyiexec.worker.runtimes.modules import ModuleCache

pytestmark = pytest.mark.anyio
PAGE = 4096
WASM = b"\0asm\x01\0\0\0"


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


def file(folder: Path, name: str, pages: int, used_at: float = 0) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(os.urandom(pages * PAGE))
    os.utime(path, (used_at, used_at))
    return path


class Shelf:
    """A keeper of real files, the longest unused first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    async def collect(self, size: int) -> int:
        gone = 0
        for path in sorted(self.folder.iterdir(), key=lambda path: path.stat().st_mtime):
            if gone >= size:
                break
            gone += path.stat().st_size
            path.unlink()
        return gone


@given(*[st.integers(0, 10**6)] * 4)
def test_what_is_missing_is_just_what_makes_it_fit(budget: int, used: int, promised: int, wanted: int) -> None:
    missing = missing_bytes(budget, used=used, promised=promised, wanted=wanted)
    assert used - missing + promised + wanted <= budget
    assert missing == 0 or used - missing + promised + wanted == budget


async def test_a_file_under_two_names_counts_once(tmp_path: Path) -> None:
    path = file(tmp_path / "content", "one", 10)
    alone = used_bytes(tmp_path)
    assert alone >= 10 * PAGE
    (tmp_path / "other").hardlink_to(path)
    assert used_bytes(tmp_path) == alone


async def test_what_was_longest_unused_makes_way_and_no_more_of_it_than_must(tmp_path: Path) -> None:
    for age, name in enumerate(("oldest", "older", "newest")):
        file(tmp_path / "shelf", name, 10, age)
    disk = Disk(tmp_path, 40 * PAGE, [Shelf(tmp_path / "shelf")])
    async with disk.room(15 * PAGE):
        assert {path.name for path in (tmp_path / "shelf").iterdir()} == {"older", "newest"}
    assert not disk.full


async def test_a_task_without_room_is_refused_until_there_is_some(tmp_path: Path) -> None:
    result = file(tmp_path / "tasks", "result", 30)
    disk = Disk(tmp_path, 40 * PAGE)
    with pytest.raises(IexecError) as refusal:
        async with disk.room(15 * PAGE):
            pass
    assert refusal.value.code == "WORKER_DISK_FULL"
    assert disk.full
    await disk.look_again(15 * PAGE)
    assert disk.full
    result.unlink()
    await disk.look_again(15 * PAGE)
    assert not disk.full
    async with disk.room(15 * PAGE):
        pass


async def test_room_is_promised_once(tmp_path: Path) -> None:
    disk = Disk(tmp_path, 40 * PAGE)
    second = anyio.Event()
    async with disk.room(25 * PAGE):
        with pytest.raises(IexecError):
            async with disk.room(25 * PAGE):
                second.set()
        async with disk.room(15 * PAGE):
            pass
    async with disk.room(25 * PAGE):
        pass
    assert not second.is_set()


async def test_without_a_budget_nothing_is_measured_or_thrown_away(tmp_path: Path) -> None:
    kept = file(tmp_path / "shelf", "kept", 1)
    disk = Disk(tmp_path, None, [Shelf(tmp_path / "shelf")])
    async with disk.room(1 << 60):
        assert await disk.fits(1 << 60)
    assert kept.exists()


async def test_compiled_modules_go_the_longest_unused_first(tmp_path: Path) -> None:
    folder = tmp_path / "modules"
    folder.mkdir(mode=0o700)
    cache = ModuleCache(folder, "variant")
    for age, name in enumerate(("a", "b", "c")):
        file(folder, f"{name}.cwasm", 1, age)
    assert cache.collect(PAGE + 1) == 2 * PAGE
    assert [path.name for path in folder.iterdir()] == ["c.cwasm"]
    assert cache.collect(10**9) == PAGE
    assert cache.collect(1) == 0
