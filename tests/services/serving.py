"""Services that run inside the test that asks them, and time that tests move."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import anyio


class SetClock:
    """Time that tests move."""

    def __init__(self) -> None:
        self.offset = 0.0

    def now(self) -> float:
        return 1_800_000_000.0 + self.offset

    def monotonic(self) -> float:
        return anyio.current_time()

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)


@asynccontextmanager
async def served(serve: Callable[..., Awaitable[None]], settings: Any, **more: Any) -> AsyncIterator[str]:
    """The URL of a service, which is told to stop in the end, and waited for.

    Args:
        serve: the service's own.
        more: what it takes besides its settings, `ready` and `stop`.
    """
    stop, started, urls = anyio.Event(), anyio.Event(), list[str]()

    def ready(url: str) -> None:
        urls.append(url)
        started.set()

    async with anyio.create_task_group() as group:
        group.start_soon(partial(serve, settings, ready=ready, stop=stop, **more))
        with anyio.fail_after(30):
            await started.wait()
        try:
            yield urls[0]
        finally:
            stop.set()
