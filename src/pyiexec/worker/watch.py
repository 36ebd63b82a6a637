"""What the chain does to the worker's tasks, without asking it: heads say by their bloom filter whom they concern.

A head whose filter names neither the hub nor one of the tasks costs no request. The filter may err towards a hit, never
towards a miss; what it announces is read from the chain before anything follows from it.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager

from pyiexec.chain.heads import Head, HeadFeed, may_hold
from pyiexec.chain.hub import EVENTS
from pyiexec.protocol.primitives import Address, TaskId

#: Events after which a worker may have to act without having waited for them.
NEWS = ("TaskConsensus", "TaskReopen", "TaskFinalize", "TaskClaimed")
#: Events that a task may be waiting for.
AWAITED = ("TaskInitialize", "TaskContribute")

#: Called with the tasks a block concerns and the events it may hold for each; None for events when blocks were missed.
OnNews = Callable[[Mapping[TaskId, frozenset[str] | None]], None]


class Watch:
    """Follows the heads for one worker.

    Attributes:
        newest: the newest head seen.
    """

    def __init__(self, feed: HeadFeed, hub: Address, tasks: Callable[[], Iterable[TaskId]], on_news: OnNews) -> None:
        self._feed = feed
        self._hub = hub
        self._tasks = tasks
        self._on_news = on_news
        self._waiting: dict[TaskId, set[asyncio.Event]] = {}
        self._next = asyncio.Event()
        self.newest: Head | None = None

    @property
    def chain_time(self) -> int:
        """Seconds of chain time that have certainly come; 0 before the first head."""
        return self.newest.timestamp if self.newest else 0

    async def next_head(self) -> None:
        """Return once there is another head."""
        await self._next.wait()

    async def run(self) -> None:
        """Follow until cancelled."""
        async with self._feed.subscribe() as heads:
            async for head in heads:
                self._take(head)

    @asynccontextmanager
    async def changes(self, task_id: TaskId) -> AsyncIterator[asyncio.Event]:
        """An event that is set whenever the task may have been initialized or voted on; clear it before looking."""
        event = asyncio.Event()
        self._waiting.setdefault(task_id, set()).add(event)
        try:
            yield event
        finally:
            self._waiting[task_id].discard(event)
            if not self._waiting[task_id]:
                del self._waiting[task_id]

    def _take(self, head: Head) -> None:
        previous, self.newest = self.newest, head
        self._next.set()
        self._next = asyncio.Event()
        if previous is not None and head.parent_hash != previous.hash:
            self._on_news(dict.fromkeys(self._tasks()))
            self._wake(list(self._waiting))
            return
        bloom = head.logs_bloom
        if not may_hold(bloom, self._hub):
            return
        news = frozenset(name for name in NEWS if may_hold(bloom, EVENTS[name].topic))
        if news:
            concerned = [task_id for task_id in self._tasks() if may_hold(bloom, task_id)]
            if concerned:
                self._on_news(dict.fromkeys(concerned, news))
        if any(may_hold(bloom, EVENTS[name].topic) for name in AWAITED):
            self._wake([task_id for task_id in self._waiting if may_hold(bloom, task_id)])

    def _wake(self, task_ids: list[TaskId]) -> None:
        for task_id in task_ids:
            for event in self._waiting[task_id]:
                event.set()
