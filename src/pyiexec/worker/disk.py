"""What a worker may take of the disk: every task's room is promised before it starts, and what is kept for speed alone
makes way for it, the longest unused first.

The budget covers the whole folder of the worker, as the disk counts it: a file that is linked twice counts once.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol, runtime_checkable

import anyio.to_thread

from pyiexec.foundation.logs import get_logger
from pyiexec.protocol.errors import IexecError

log = get_logger(__name__)

#: Folders of a worker whose content comes and goes with tasks, or makes way for them.
_OF_TASKS = ("content", "runtimes", "tasks")
#: What `st_blocks` counts in, whatever the file system.
_BLOCK = 512


@runtime_checkable
class Keeper(Protocol):
    """Whoever keeps things that can be had again: fetched content, compiled modules, images."""

    async def collect(self, size: int) -> int:
        """Throw away `size` bytes of them, the longest unused first, or all there is; the bytes thrown away.

        Their place on the disk may be free only later, when a task that uses them has ended.
        """
        ...


def missing_bytes(budget: int, *, used: int, promised: int, wanted: int) -> int:
    """What has to go before `wanted` bytes more may be promised; 0 when they fit."""
    return max(used + promised + wanted - budget, 0)


def used_bytes(folder: Path, without: Collection[str] = ()) -> int:
    """What a folder takes of the disk, `without` those of its own folders that are named so.

    Files that vanish meanwhile are not counted.
    """
    seen: set[tuple[int, int]] = set()
    total = 0
    for place, folders, names in os.walk(folder):
        if place == str(folder):
            folders[:] = [name for name in folders if name not in without]
        for name in names:
            try:
                status = os.lstat(os.path.join(place, name))
            except FileNotFoundError:
                continue
            if status.st_nlink == 1 or (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                total += status.st_blocks * _BLOCK
    return total


class Disk:
    """The budget of one worker.

    Args:
        folder: all that the worker keeps.
        budget: bytes; None for any number.
        keepers: asked in their order to make room.

    Attributes:
        full: whether the last task found no room, as far as was looked since.
        on_full: called when that begins.
    """

    def __init__(self, folder: Path, budget: int | None, keepers: Sequence[Keeper] = ()) -> None:
        self._folder = folder
        self._budget = budget
        self._keepers = list(keepers)
        self._promised = 0
        self.full = False
        self.on_full: Callable[[], None] = lambda: None

    @property
    def budget(self) -> int | None:
        """Bytes that the worker may take; None for any number."""
        return self._budget

    async def used(self) -> int:
        """Bytes taken now."""
        return await anyio.to_thread.run_sync(used_bytes, self._folder)

    async def lent(self) -> int:
        """Bytes that tasks may take together: of the budget, or of what other programs leave if that is less."""
        return await anyio.to_thread.run_sync(self._lent)

    def _lent(self) -> int:
        free = shutil.disk_usage(self._folder).free + used_bytes(self._folder)
        whole = free if self._budget is None else min(free, self._budget)
        return max(whole - used_bytes(self._folder, _OF_TASKS), 0)

    @asynccontextmanager
    async def room(self, wanted: int) -> AsyncIterator[None]:
        """Keep `wanted` bytes free for the block, beside those promised to others.

        What the block writes counts twice until it ends: as promised and as used. Better too little than too much.

        Raises:
            IexecError: ``WORKER_DISK_FULL``.
        """
        if self._budget is None:
            yield
            return
        self._promised += wanted
        try:
            missing = await self._make_room(self._budget)
            if missing:
                if not self.full:
                    self.full = True
                    self.on_full()
                raise IexecError(
                    "WORKER_DISK_FULL", f"a task needs {missing} bytes more than disk_bytes, {self._budget}, leaves it"
                )
            yield
        finally:
            self._promised -= wanted

    async def fits(self, size: int) -> bool:
        """Whether a file of `size` bytes fits beside what is promised, once what can go has gone."""
        if self._budget is None:
            return True
        self._promised += size
        try:
            return not await self._make_room(self._budget)
        finally:
            self._promised -= size

    async def look_again(self, wanted: int) -> None:
        """See whether there is room for a task of `wanted` bytes by now."""
        if self.full:
            self.full = not await self.fits(wanted)

    async def _make_room(self, budget: int) -> int:
        """Bytes still missing after everything was done to keep to the promises."""
        missing = missing_bytes(budget, used=await self.used(), promised=self._promised, wanted=0)
        for keeper in self._keepers:
            if not missing:
                break
            gone = await keeper.collect(missing)
            if gone:
                log.info("made room on the disk", bytes=gone, kept_by=type(keeper).__name__)
                missing = missing_bytes(budget, used=await self.used(), promised=self._promised, wanted=0)
        return missing
