"""Announcements on their way to who listens in this process."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import anyio

#: Announcements that wait for a slow reader; more are replaced by the news that some were missed.
BACKLOG = 10_000


class Inbox(AsyncIterator["str | None"]):
    """What one reader has not taken yet."""

    def __init__(self) -> None:
        self._waiting: deque[str | None] = deque()
        self._filled = anyio.Event()

    def put(self, payload: str | None) -> None:
        """Add an announcement, or None for those that were missed."""
        if len(self._waiting) >= BACKLOG:
            self._waiting.clear()
            payload = None
        self._waiting.append(payload)
        self._filled.set()

    async def __anext__(self) -> str | None:
        while not self._waiting:
            self._filled = anyio.Event()
            await self._filled.wait()
        return self._waiting.popleft()


class Switchboard:
    """The inboxes of a process, by channel."""

    def __init__(self) -> None:
        self._inboxes: dict[str, list[Inbox]] = {}

    @property
    def channels(self) -> list[str]:
        """Those somebody listens to."""
        return list(self._inboxes)

    @contextmanager
    def inbox(self, channel: str) -> Iterator[Inbox]:
        """An inbox that is filled for the time of the block."""
        inbox = Inbox()
        self._inboxes.setdefault(channel, []).append(inbox)
        try:
            yield inbox
        finally:
            self._inboxes[channel].remove(inbox)
            if not self._inboxes[channel]:
                del self._inboxes[channel]

    def deliver(self, channel: str, payload: str | None) -> None:
        """Give an announcement to all who listen to its channel."""
        for inbox in self._inboxes.get(channel, ()):
            inbox.put(payload)

    def missed(self) -> None:
        """Tell all readers that announcements may have been lost."""
        for channel in self._inboxes:
            self.deliver(channel, None)
