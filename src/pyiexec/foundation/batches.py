"""What many ask for at once, done for all of them together."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


class Batches(Generic[Item, Outcome]):
    """Whoever comes while a batch is under way is in the next one; nobody waits for a batch to fill up.

    To be used in one event loop.

    Args:
        work: does a batch; one outcome for each item. What it raises is raised to all of the batch.
        limit: items in a batch at most.
    """

    def __init__(self, work: Callable[[Sequence[Item]], Awaitable[Sequence[Outcome]]], limit: int) -> None:
        self._do = work
        self._limit = limit
        self._waiting: list[tuple[Item, asyncio.Future[Outcome]]] = []
        self._task: asyncio.Task[None] | None = None

    async def add(self, item: Item) -> Outcome:
        """The outcome for an item. A caller that is cancelled does not hold the others up."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Outcome] = loop.create_future()
        self._waiting.append((item, future))
        if self._task is None:
            self._task = loop.create_task(self._work())
        return await future

    async def _work(self) -> None:
        batch: list[tuple[Item, asyncio.Future[Outcome]]] = []
        try:
            while self._waiting:
                batch, self._waiting = self._waiting[: self._limit], self._waiting[self._limit :]
                try:
                    outcomes = await self._do([item for item, _ in batch])
                except Exception as error:
                    for _, future in batch:
                        if not future.done():
                            future.set_exception(error)
                    continue
                for (_, future), outcome in zip(batch, outcomes, strict=True):
                    if not future.done():
                        future.set_result(outcome)
        finally:
            self._task = None
            # The loop ends: so does everybody's waiting.
            for _, future in [*batch, *self._waiting]:
                future.cancel()
            self._waiting = []
