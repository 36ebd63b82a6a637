"""A compass on a real socket, over a real chain and a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest
from tests.databases import database_url, postgresql, postgresql_url  # noqa: F401 - fixtures
from tests.services.serving import SetClock, served
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
    entry = CompassChain(
        chain_id=chain.manifest.chain_id,
        hub=chain.manifest.hub,
        workerpools=known or {},
        **{"rpc_url": chain.url} | options,
    )
    settings = CompassSettings(database_url=database, chains=(entry,))
    clock = clock or SetClock()
    async with served(serve, settings, clock=clock) as url, http_session() as session:
        yield Running(url, Compass(url, chain.domain, clock, session), session, chain, clock)


@pytest.fixture
async def compass(marketplace: Marketplace, database_url: str) -> AsyncIterator[Running]:  # noqa: F811
    async with running(marketplace, database_url) as service:
        yield service
