"""Whoever watches a task from outside is woken when there is something new about it, and looks for himself.

Nothing is queued for followers: one that is slow sees fewer steps, and none costs the engine more than a bell.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import anyio

from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import TaskId

#: Followers at a time, of all tasks together.
MOST_FOLLOWERS = 1_024


class Bell:
    """Rung when there is news; what happened before the last `hush` is known to have been looked at."""

    def __init__(self) -> None:
        self._rung = anyio.Event()
        #: Whether the service ends.
        self.closing = False

    def ring(self) -> None:
        """There is news."""
        self._rung.set()

    def hush(self) -> None:
        """What has happened until now is about to be looked at."""
        self._rung = anyio.Event()

    async def wait(self, seconds: float) -> bool:
        """Whether it was rung since the last `hush`, waiting for `seconds` at most."""
        with anyio.move_on_after(seconds):
            await self._rung.wait()
        return self._rung.is_set()


class Followers:
    """All bells, by task."""

    def __init__(self, most: int = MOST_FOLLOWERS) -> None:
        self._bells: dict[TaskId, set[Bell]] = {}
        self._most = most
        self._closing = False
        self.count = 0

    def admit(self) -> None:
        """Refuse another follower while there are too many.

        Raises:
            IexecError: ``LISTENERS_TOO_MANY``.
        """
        if self.count >= self._most or self._closing:
            raise IexecError("LISTENERS_TOO_MANY", f"{self.count} streams are open, which is as many as are served")

    @contextmanager
    def follow(self, task_id: TaskId) -> Iterator[Bell]:
        """A bell that is rung whenever there is news of the task, and once at the end of the service."""
        bell = Bell()
        bell.closing = self._closing
        self._bells.setdefault(task_id, set()).add(bell)
        self.count += 1
        try:
            yield bell
        finally:
            self.count -= 1
            self._bells[task_id].discard(bell)
            if not self._bells[task_id]:
                del self._bells[task_id]

    def tell(self, task_id: TaskId) -> None:
        """There is news of a task."""
        for bell in self._bells.get(task_id, ()):
            bell.ring()

    def close(self) -> None:
        """The service ends: let every follower go."""
        self._closing = True
        for bells in self._bells.values():
            for bell in bells:
                bell.closing = True
                bell.ring()
