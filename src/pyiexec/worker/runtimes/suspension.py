"""Making runs stand still and go on: one switch, and all runs under it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import anyio


class Holdable(Protocol):
    """A run that can stand still. Neither method waits."""

    def hold(self) -> None:
        """Stand still as soon as may be."""
        ...

    def release(self) -> None:
        """Go on."""
        ...


class Suspension:
    """Whether runs are to stand still. An object belongs to one event loop.

    A run under it keeps its memory and all it has done; its processor is free, and its time stands still.
    """

    def __init__(self) -> None:
        self._runs: list[Holdable] = []
        self._lifted = anyio.Event()
        self._lifted.set()

    @property
    def in_force(self) -> bool:
        """Whether runs stand still now."""
        return not self._lifted.is_set()

    def impose(self) -> None:
        """Have all runs stand still, and those that begin."""
        if not self.in_force:
            self._lifted = anyio.Event()
            for run in self._runs:
                run.hold()

    def lift(self) -> None:
        """Let them go on."""
        if self.in_force:
            self._lifted.set()
            for run in self._runs:
                run.release()

    async def lifted(self) -> None:
        """Return once runs may go on; at once when they may."""
        await self._lifted.wait()

    @contextmanager
    def over(self, run: Holdable) -> Iterator[None]:
        """Have the switch hold and release a run for as long as the block lasts."""
        self._runs.append(run)
        try:
            if self.in_force:
                run.hold()
            yield
        finally:
            self._runs.remove(run)
