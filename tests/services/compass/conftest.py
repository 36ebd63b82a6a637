"""A compass on a real socket, over a real chain and a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import anyio
import pytest
from tests.databases import database_url, postgresql, postgresql_url  # noqa: F401 - fixtures
from tests.services.sms.conftest import SetClock
from tests.services.sms.marketplace import Marketplace, marketplace  # noqa: F401 - fixture

from pyiexec.compass.service import serve
from pyiexec.compass.settings import CompassChain, CompassSettings
from pyiexec.foundation.http import http_session
from pyiexec.sdk.compass import Compass


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Running:
    """A running compass and its client."""

    url: str
    client: Compass
    session: aiohttp.ClientSession
    chain: Marketplace
    clock: SetClock

    async def send(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        async with self.session.request(method, self.url + path, json=body) as response:
            assert response.content_type == "application/json"
            return response.status, await response.json()

    def path(self, pool: str) -> str:
        return f"/{self.chain.manifest.chain_id}/workerpools/{pool}"


@asynccontextmanager
async def running(
    chain: Marketplace, database: str, known: dict[str, str] | None = None, *, clock: Any = None, **options: Any
) -> AsyncIterator[Running]:
    """A compass over a database, stopped in the end."""
    stop, started = anyio.Event(), anyio.Event()
    urls: list[str] = []

    def ready(url: str) -> None:
        urls.append(url)
        started.set()

    served = CompassChain(
        chain_id=chain.manifest.chain_id,
        hub=chain.manifest.hub,
        workerpools=known or {},
        **{"rpc_url": chain.url} | options,
    )
    settings = CompassSettings(database_url=database, chains=(served,))
    clock = clock or SetClock()
    async with AsyncExitStack() as stack:
        group = await stack.enter_async_context(anyio.create_task_group())
        stack.callback(stop.set)
        group.start_soon(lambda: serve(settings, ready=ready, stop=stop, clock=clock))
        with anyio.fail_after(30):
            await started.wait()
        session = await stack.enter_async_context(http_session())
        yield Running(urls[0], Compass(urls[0], chain.domain, clock, session), session, chain, clock)


@pytest.fixture
async def compass(marketplace: Marketplace, database_url: str) -> AsyncIterator[Running]:  # noqa: F811
    async with running(marketplace, database_url) as service:
        yield service
