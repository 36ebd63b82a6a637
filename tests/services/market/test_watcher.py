"""The chain moves orders: matched, cancelled, and taken back; nothing is lost over a restart or doubled."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import pytest
from tests.databases import state_of

from pyiexec.chain.heads import HeadFeed
from pyiexec.chain.rpc import JsonRpc
from pyiexec.protocol.errors import IexecError

from .conftest import APP_OWNER, POOL_OWNER, REQUESTER, Chain, Market, running

pytestmark = pytest.mark.anyio


async def test_a_match_takes_tasks_off_all_its_orders(market: Market, chain: Chain) -> None:
    app, pool, request = chain.app_order(), chain.pool_order(), chain.request_order(volume=4)
    for order, signer in ((app, APP_OWNER), (pool, POOL_OWNER), (request, REQUESTER)):
        await market.book.publish(order, signer)
    await chain.match(app, pool, request)
    await market.until_status("apporder", app, "open", 6)
    await market.until_status("workerpoolorder", pool, "open", 6)
    await market.until_status("requestorder", request, "filled", 0)
    assert await market.book.orders("requestorder") == []
    assert len(await market.book.orders("workerpoolorder", minVolume=6)) == 1
    assert await market.book.orders("workerpoolorder", minVolume=7) == []
    with pytest.raises(IexecError, match="order already published"):
        await market.book.publish(request, REQUESTER)


async def test_an_order_finds_its_past_when_it_is_published(market: Market, chain: Chain) -> None:
    app, pool, request = chain.app_order(), chain.pool_order(), chain.request_order(volume=4)
    await chain.match(app, pool, request)
    await market.book.publish(app, APP_OWNER)
    await market.until_status("apporder", app, "open", 6)
    with pytest.raises(IexecError, match="order already consumed"):
        await market.book.publish(request, REQUESTER)


async def test_closing_an_order_cancels_it_for_good(market: Market, chain: Chain) -> None:
    order = chain.app_order()
    await market.book.publish(order, APP_OWNER)
    await chain.close(order, APP_OWNER)
    await market.until_status("apporder", order, "canceled", 0)
    assert await market.book.orders("apporder", app=chain.app) == []
    with pytest.raises(IexecError, match="order already published"):
        await market.book.publish(order, APP_OWNER)
    unpublished = chain.app_order()
    await chain.close(unpublished, APP_OWNER)
    with pytest.raises(IexecError, match="order already consumed"):
        await market.book.publish(unpublished, APP_OWNER)


async def test_what_the_chain_takes_back_is_open_again(market: Market, chain: Chain) -> None:
    app, pool, request = chain.app_order(), chain.pool_order(), chain.request_order(volume=4)
    closed = chain.app_order()
    for order, signer in ((app, APP_OWNER), (pool, POOL_OWNER), (request, REQUESTER), (closed, APP_OWNER)):
        await market.book.publish(order, signer)
    async with JsonRpc(chain.url) as rpc:
        snapshot = await rpc.call("evm_snapshot")
        await chain.match(app, pool, request)
        await chain.close(closed, APP_OWNER)
        await market.until_status("requestorder", request, "filled", 0)
        await market.until_status("apporder", closed, "canceled", 0)
        await rpc.call("evm_revert", snapshot)
        await rpc.call("anvil_mine", "0x4")
    await market.until_status("requestorder", request, "open", 4)
    await market.until_status("workerpoolorder", pool, "open", 10)
    await market.until_status("apporder", app, "open", 10)
    await market.until_status("apporder", closed, "open", 10)


async def test_what_happened_while_the_book_was_down_is_caught_up(
    chain: Chain, new_database: Callable[[], str]
) -> None:
    app, pool = chain.app_order(), chain.pool_order()
    database_url = new_database()
    async with running(chain, database_url) as market:
        await market.book.publish(app, APP_OWNER)
        await market.book.publish(pool, POOL_OWNER)
        await chain.match(app, pool, chain.request_order(volume=1))
        await market.until_status("apporder", app, "open", 9)
    await chain.match(app, pool, chain.request_order(volume=3))
    await chain.close(pool, POOL_OWNER)
    async with running(chain, database_url) as market:
        await market.until_status("apporder", app, "open", 6)
        await market.until_status("workerpoolorder", pool, "canceled", 0)
    async with running(chain, new_database()) as market:
        await market.book.publish(app, APP_OWNER)
        await market.until_status("apporder", app, "open", 6)


async def test_an_idle_book_writes_nothing(market: Market, chain: Chain, database_url: str) -> None:
    await market.book.publish(chain.app_order(), APP_OWNER)

    async def caught_up() -> bool:
        # Made by the deployment, of which the book heard in its first batch.
        return bool((await market.get("/categories"))[1]["count"])

    await market.until(caught_up)
    async with HeadFeed(chain.url) as feed, feed.subscribe() as heads, JsonRpc(chain.url) as rpc:
        before = await state_of(database_url)
        await rpc.call("anvil_mine", "0x5")
        mined = await rpc.block_number()
        with anyio.fail_after(10):
            while (await heads.newest()).number < mined:
                pass
        for _ in range(10):
            await market.book.orders("apporder", app=chain.app)
        assert await state_of(database_url) == before
