"""A queue that is emptied many at a time, by one reader of the same event loop."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """Things put in never wait, also when nobody reads any more."""

    def __init__(self) -> None:
        self._waiting: deque[T] = deque()
        self._filled = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, thing: T) -> None:
        """Add one."""
        self._waiting.append(thing)
        self._filled.set()

    async def take(self, limit: int) -> list[T]:
        """Wait until there is something; up to `limit` of what is there, oldest first."""
        while not self._waiting:
            self._filled.clear()
            await self._filled.wait()
        return [self._waiting.popleft() for _ in range(min(limit, len(self._waiting)))]
