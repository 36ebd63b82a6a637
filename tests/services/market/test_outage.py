"""The database server goes away under running order books, and everything goes on when it is back."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator

import anyio
import pytest
from tests.databases import PostgresqlServer

from pyiexec.foundation import postgresql
from pyiexec.protocol.errors import IexecError

from .conftest import APP_OWNER, POOL_OWNER, REQUESTER, Chain, Market, running

pytestmark = pytest.mark.anyio


@pytest.fixture
def server() -> Iterator[PostgresqlServer]:
    server = PostgresqlServer()
    yield server
    server.remove()


async def refused(market: Market) -> None:
    status, body = await market.get("/apporders", app=market.chain.app)
    assert (status, body["code"], body["retry"]) == (503, "DATABASE_UNAVAILABLE", True)


async def test_two_books_on_one_database_outlive_its_crash(
    chain: Chain, server: PostgresqlServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = server.create_database()
    async with running(chain, url) as one, running(chain, url) as other:
        app, pool = chain.app_order(), chain.pool_order()
        await one.book.publish(app, APP_OWNER)
        assert (await other.book.order("apporder", chain.hash(app))).status == "open"

        await asyncio.to_thread(server.stop, signal.SIGQUIT)
        with monkeypatch.context() as context:
            context.setattr(postgresql, "PATIENCE", 0.2)
            await refused(one)
            with pytest.raises(IexecError):
                await other.book.publish(pool, POOL_OWNER)
        # What happens on chain meanwhile is caught up with.
        await chain.match(app, pool, chain.request_order(volume=1))
        server.start()

        for market in (one, other):
            await market.until_status("apporder", app, "open", 9)
        await other.book.publish(pool, POOL_OWNER)
        request = chain.request_order(volume=2)
        await one.book.publish(request, REQUESTER)
        await chain.match(app, pool, request)
        for market in (one, other):
            await market.until_status("requestorder", request, "filled", 0)
            await market.until_status("workerpoolorder", pool, "open", 7)


async def test_the_book_that_is_left_follows_the_chain(chain: Chain, postgresql_url: str) -> None:
    app, pool = chain.app_order(), chain.pool_order()
    async with running(chain, postgresql_url) as stays:
        async with running(chain, postgresql_url) as goes:
            await goes.book.publish(app, APP_OWNER)
        await chain.match(app, pool, chain.request_order(volume=1))
        await stays.until_status("apporder", app, "open", 9)
    # The first to start led, so it is its turn to leave before the other one.
    first, second = anyio.Event(), anyio.Event()

    async def book(ready: anyio.Event, leave: anyio.Event) -> None:
        async with running(chain, postgresql_url):
            ready.set()
            await leave.wait()

    async with anyio.create_task_group() as group:
        group.start_soon(book, first, second)
        await first.wait()
        async with running(chain, postgresql_url) as stays:
            second.set()
            await chain.match(app, pool, chain.request_order(volume=2))
            await stays.until_status("apporder", app, "open", 7)
