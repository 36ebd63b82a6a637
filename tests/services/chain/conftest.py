"""A real chain for each test, and what talks to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from pyiexec.chain.anvil import MNEMONIC, Anvil, AnvilOptions
from pyiexec.chain.follower import MIGRATIONS as FOLLOWER_MIGRATIONS
from pyiexec.chain.heads import HeadFeed
from pyiexec.chain.mnemonic import derive
from pyiexec.chain.rpc import JsonRpc
from pyiexec.chain.signer import Signer
from pyiexec.chain.transactions import MIGRATIONS, TransactionManager
from pyiexec.foundation.database import Database

from . import bell

CHAIN_ID = 31337
OpenManager = Callable[..., AbstractAsyncContextManager[TransactionManager]]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def options() -> AnvilOptions:
    """How the test's chain runs; test modules override it."""
    return AnvilOptions()


@pytest.fixture
async def anvil(options: AnvilOptions) -> AsyncIterator[Anvil]:
    async with Anvil(options) as node:
        yield node


@pytest.fixture
async def rpc(anvil: Anvil) -> AsyncIterator[JsonRpc]:
    async with JsonRpc(anvil.url) as client:
        await bell.hang(client)
        yield client


@pytest.fixture
async def feed(anvil: Anvil) -> AsyncIterator[HeadFeed]:
    async with HeadFeed(anvil.url) as feed:
        yield feed


@pytest.fixture
def signer() -> Signer:
    return derive(MNEMONIC, 0)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    database = await Database.open(database_url, [MIGRATIONS, FOLLOWER_MIGRATIONS])
    yield database
    await database.close()


@pytest.fixture
def open_manager(rpc: JsonRpc, signer: Signer, database: Database, feed: HeadFeed) -> OpenManager:
    """Starts a transaction manager; keyword arguments replace what it is given."""

    @asynccontextmanager
    async def open_it(**given: Any) -> AsyncIterator[TransactionManager]:
        arguments = {"rpc": rpc, "signer": signer, "database": database, "feed": feed, "chain_id": CHAIN_ID} | given
        async with TransactionManager(**arguments) as manager:
            yield manager

    return open_it
