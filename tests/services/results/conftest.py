"""A content store on a real socket, with a node of another one behind it if a test wants, or a chain."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest
from tests.services.serving import served

from pyiexec.chain.anvil import Anvil, AnvilOptions
from pyiexec.chain.rpc import JsonRpc
from pyiexec.foundation.http import http_session
from pyiexec.results.service import serve
from pyiexec.results.settings import ResultsSettings
from pyiexec.storage.client import ContentClient

from .pool import Pool

UPLOAD_LIMIT = 3_000_000


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class MovableClock:
    """The machine's time and what a test adds to it."""

    def __init__(self) -> None:
        self.offset = 0.0

    def now(self) -> float:
        return time.time() + self.offset

    def monotonic(self) -> float:
        return time.monotonic() + self.offset

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)


@asynccontextmanager
async def running(directory: Path, clock: MovableClock | None = None, **settings: Any) -> AsyncIterator[str]:
    """The URL of a content store, stopped in the end."""
    values = ResultsSettings(directory=str(directory), **settings)
    async with served(serve, values, clock=clock) as url:
        yield url


@pytest.fixture
async def base_url(tmp_path: Path) -> AsyncIterator[str]:
    async with running(tmp_path / "content", max_upload_bytes=UPLOAD_LIMIT) as url:
        yield url


@pytest.fixture
async def client(base_url: str) -> AsyncIterator[ContentClient]:
    async with ContentClient(base_url) as client:
        yield client


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with http_session() as session:
        yield session


@pytest.fixture(scope="session")
def chain() -> Iterator[str]:
    """The URL of a chain that mines when it is asked to."""
    with asyncio.Runner() as runner:
        anvil = runner.run(Anvil(AnvilOptions()).start())
        try:
            yield anvil.url
        finally:
            runner.run(anvil.stop())


@pytest.fixture(scope="session")
def marketplace(chain: str) -> Pool:
    """A pool on that chain; its connection is of no use to tests."""

    async def open_pool() -> Pool:
        async with JsonRpc(chain) as rpc:
            return await Pool.open(rpc, chain)

    return asyncio.run(open_pool())


@pytest.fixture
async def pool(marketplace: Pool) -> AsyncIterator[Pool]:
    """The pool, with a connection of the test's own."""
    async with JsonRpc(marketplace.url) as rpc:
        yield marketplace.connected(rpc)
