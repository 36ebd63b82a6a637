"""The index as a process: what it answers, and that several of them share one database."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import anyio
import msgspec
import pytest
from tests.services.serving import served

from pyiexec.chain.anvil import free_port
from pyiexec.foundation.database import Database
from pyiexec.foundation.http import http_session
from pyiexec.foundation.lifetime import tie_to_parent
from pyiexec.indexer import queries
from pyiexec.indexer.service import serve
from pyiexec.indexer.settings import IndexerSettings

from .marketplace import Marketplace

pytestmark = pytest.mark.anyio

PROCESS = """
import asyncio, sys
import anyio, msgspec
from pyiexec.indexer.service import serve
from pyiexec.indexer.settings import IndexerSettings

async def main():
    settings = msgspec.json.decode(sys.stdin.readline(), type=IndexerSettings)
    await serve(settings, ready=lambda url: print(url, flush=True), stop=anyio.Event())

asyncio.run(main())
"""


class Process:
    """An index in a process of its own."""

    def __init__(self, settings: IndexerSettings) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", PROCESS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=tie_to_parent(signal.SIGKILL),
        )
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(settings).decode() + "\n")
        self._process.stdin.flush()
        self.url = ""

    async def started(self) -> None:
        assert self._process.stdout is not None
        with anyio.fail_after(60):
            self.url = (await anyio.to_thread.run_sync(self._process.stdout.readline)).strip()
        assert self.url

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


def settings_of(market: Marketplace, database_url: str, **options: Any) -> IndexerSettings:
    return IndexerSettings(
        database_url=database_url,
        **{"rpc_url": market.rpc.url, "chain_id": market.manifest.chain_id, "hub": market.hub} | options,
    )


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with http_session() as session:
        yield session


async def ask(session: aiohttp.ClientSession, url: str, chain_id: int, query: str) -> Any:
    async with session.post(f"{url}/graphql/{chain_id}", json={"query": query}) as response:
        answer = await response.json()
    assert "errors" not in answer, answer
    return answer["data"]


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    with anyio.fail_after(30):
        while not await condition():  # noqa: ASYNC110 - the index does not push
            await anyio.sleep(0.02)


async def test_how_far_it_has_come(market: Marketplace, session: aiohttp.ClientSession, database_url: str) -> None:
    await market.match()
    head = await market.rpc.block_number()

    async def status(url: str) -> Any:
        async with session.get(f"{url}/status") as response:
            assert response.status == 200
            return await response.json()

    async def is_up() -> bool:
        return (await status(url))["lag"] == 0

    async with served(serve, settings_of(market, database_url)) as url:
        await until(is_up)
        told = await status(url)
        assert (told["indexed"]["number"], told["head"]["number"]) == (head, head)
        assert told["indexed"]["hash"] == told["head"]["hash"]
        async with session.get(f"{url}/health") as response:
            assert (await response.json())["service"] == "indexer"
        async with session.get(f"{url}/docs/openapi.json") as response:
            assert {"/status", "/health"} <= (await response.json())["paths"].keys()


async def test_a_chain_that_is_away_at_the_start(
    market: Marketplace, session: aiohttp.ClientSession, database_url: str
) -> None:
    """What was read before is answered, and the rest follows when the chain is back."""
    deal = await market.match()
    chain_id = market.manifest.chain_id

    async def has_deal() -> bool:
        found = await ask(session, url, chain_id, "{ deals { id } }")
        return bool(found["deals"])

    async with served(serve, settings_of(market, database_url)) as url:
        await until(has_deal)
    away = f"http://127.0.0.1:{free_port()}"
    async with served(serve, settings_of(market, database_url, rpc_url=away)) as url:
        assert await ask(session, url, chain_id, "{ deals { id } }") == {"deals": [{"id": deal}]}
        async with session.get(f"{url}/status") as response:
            assert (await response.json())["head"] is None


async def test_another_process_goes_on_when_the_leader_is_killed(
    market: Marketplace, session: aiohttp.ClientSession, database_url: str
) -> None:
    chain_id = market.manifest.chain_id
    settings = settings_of(market, database_url)
    async with AsyncExitStack() as stack:
        processes = [Process(settings) for _ in range(2)]
        for process in processes:
            stack.callback(process.kill)
        for process in processes:
            await process.started()
        deals = [await market.match()]

        async def knows_all(url: str) -> bool:
            found = await ask(session, url, chain_id, "{ deals(orderBy: timestamp) { id } }")
            return {deal["id"] for deal in found["deals"]} == set(deals)

        for process in processes:
            await until(lambda url=process.url: knows_all(url))
        # One of the two leads. Whichever it is, when it is gone the other, started again if need be, goes on.
        for number in range(2):
            processes[number].kill()
            deals.append(await market.match())
            await until(lambda url=processes[1 - number].url: knows_all(url))
            again = Process(settings)
            stack.callback(again.kill)
            processes[number] = again
            await again.started()
            await until(lambda url=again.url: knows_all(url))


async def test_a_chain_on_which_nothing_happens_costs_no_write_and_is_known_all_the_same(
    market: Marketplace, session: aiohttp.ClientSession, database_url: str
) -> None:
    await market.match()
    chain_id = market.manifest.chain_id

    async def place() -> int:
        database = await Database.open(database_url)
        try:
            stored = await database.read(queries.place)
        finally:
            await database.close()
        return stored.number if stored else -1

    async with served(serve, settings_of(market, database_url, every_block=False)) as url:

        async def knows(number: int) -> bool:
            found = (await ask(session, url, chain_id, "{_meta {block {number}}}"))["_meta"]
            return found is not None and found["block"]["number"] >= number

        head = await market.rpc.block_number()
        await until(lambda: knows(head))
        before = await place()
        await market.rpc.call("anvil_mine", hex(20))
        await until(lambda: knows(head + 20))
        assert await place() == before
        newest = f"{{deals(block: {{number_gte: {head + 20}}}) {{id}}}}"
        assert (await ask(session, url, chain_id, newest))["deals"]
        async with session.get(f"{url}/status") as response:
            assert (await response.json())["lag"] == 0
        await market.match()
        await until(lambda: knows(head + 21))
        assert await place() > head + 20
