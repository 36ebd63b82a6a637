"""A marketplace for each test, on one chain that is brought back to its beginning."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from pyiexec.chain.anvil import Anvil, AnvilOptions
from pyiexec.chain.rpc import JsonRpc

from .indexing import Index
from .marketplace import GAS, Marketplace


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def opened() -> Iterator[Marketplace]:
    with asyncio.Runner() as runner:
        anvil = runner.run(Anvil(AnvilOptions(block_time=10**6, block_gas_limit=100 * GAS)).start())
        market = runner.run(Marketplace.open(anvil.url))
        runner.run(market.rpc.close())
        try:
            yield market
        finally:
            runner.run(anvil.stop())


@pytest.fixture
async def market(opened: Marketplace) -> AsyncIterator[Marketplace]:
    async with JsonRpc(opened.rpc.url) as rpc:
        market = Marketplace(rpc, opened.manifest)
        market.app, market.dataset, market.workerpool = opened.app, opened.dataset, opened.workerpool
        market.salts = opened.salts
        snapshot = await rpc.call("evm_snapshot")
        yield market
        await rpc.call("evm_revert", snapshot)


@pytest.fixture
async def index(market: Marketplace, database_url: str) -> AsyncIterator[Index]:
    """An empty index over the marketplace, on either database."""
    async with Index.open(database_url, market.rpc.url, market.hub) as index:
        yield index
