"""A scheduler sells what its workers can do, through a real order book, and no more than that."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from tests.services.scheduler.conftest import Net, until_shown
from tests.services.scheduler.test_failures import join
from tests.services.serving import served

from pyiexec.chain import calls, token
from pyiexec.chain.anvil import free_port
from pyiexec.chain.orderbook import OrderBook, PublishedOrder
from pyiexec.chain.sending import Call, send_all
from pyiexec.devnet import roles
from pyiexec.market.service import serve as serve_market
from pyiexec.market.settings import MarketSettings
from pyiexec.protocol.messages import Assign
from pyiexec.protocol.money import scheduler_stake
from pyiexec.protocol.orders import WorkerpoolOrder
from pyiexec.protocol.primitives import OrderHash
from pyiexec.protocol.tasks import TaskStatus
from pyiexec.scheduler.pool_policy import Admission, Offer, Sales

pytestmark = pytest.mark.anyio

PRICE = 1_000_000
MANAGER = roles.account(roles.POOL_MANAGER)


class Stall:
    """An order book that can be closed and opened again, and a client that looks into it."""

    def __init__(self, net: Net, folder: Path) -> None:
        self.net = net
        self.folder = folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.book = OrderBook(self.url, net.manifest.chain_id)

    @asynccontextmanager
    async def open(self, name: str = "market") -> AsyncIterator[None]:
        """The order book over the database of this name, for the time of the block."""
        settings = MarketSettings(
            database_url=f"sqlite:///{self.folder / name}.db",
            rpc_url=self.net.url,
            chain_id=self.net.manifest.chain_id,
            hub=self.net.hub.address,
            start_block=self.net.manifest.deployed_at,
            port=self.port,
            rate_limit=0,
        )
        async with served(serve_market, settings):
            yield

    def sales(self, *offers: Offer, **more: Any) -> Sales:
        return Sales(market_url=self.url, offers=offers or (Offer(category=0, price=PRICE),), **more)

    async def listed(self) -> list[PublishedOrder]:
        """The pool's open orders, those for certain buyers alone included."""
        parties = {"requester": "any", "app": "any", "dataset": "any"}
        return await self.book.orders("workerpoolorder", workerpool=self.net.workerpool, **parties)

    async def until_volume(self, volume: int, seconds: float = 20) -> list[PublishedOrder]:
        """The open orders once they offer so many tasks."""
        found: list[PublishedOrder] = []
        with anyio.move_on_after(seconds):
            while True:
                found = await self.listed()
                if sum(order.remaining for order in found) == volume:
                    return found
                # What is read is the book's page, as buyers see it.
                await anyio.sleep(0.05)
        raise AssertionError(f"on offer are {[order.remaining for order in found]}, not {volume}")


@pytest.fixture
async def stall(net: Net, tmp_path: Path) -> AsyncIterator[Stall]:
    stall = Stall(net, tmp_path)
    yield stall
    await stall.book.close()


def pool_order(published: PublishedOrder) -> WorkerpoolOrder:
    assert isinstance(published.order, WorkerpoolOrder)
    return published.order


def hashes(orders: list[PublishedOrder]) -> set[OrderHash]:
    return {order.order_hash for order in orders}


def says(code: str) -> Callable[[Any], bool]:
    """Whether the first offer gives this reason for not being more."""
    return lambda shown: bool(shown["offers"][0]["notMore"]) and shown["offers"][0]["notMore"]["code"] == code


async def test_what_is_on_offer_follows_the_free_slots(net: Net, stall: Stall) -> None:
    first, second, *_ = net.workers
    first.slots, second.slots = 3, 2
    release = anyio.Event()

    async def later(assign: Assign) -> None:
        await release.wait()
        await first.vote(assign)

    first.on_assign = later
    async with stall.open(), net.scheduler(sales=stall.sales()) as url, anyio.create_task_group() as group:
        await until_shown(url, "/offers", says("NO_WORKER"))
        assert await stall.listed() == []
        await join(group, url, first)
        (published,) = await stall.until_volume(3)
        assert pool_order(published).workerpoolprice == PRICE

        deal = await net.buy(volume=2, pool=pool_order(published))
        await first.until(lambda: sum(isinstance(command, Assign) for command in first.commands) == 2)
        await until_shown(url, "/offers", lambda shown: shown["owed"] == 2 and shown["offers"][0]["volume"] == 1)
        await stall.until_volume(1)

        await join(group, url, second)
        await stall.until_volume(3)
        release.set()
        assert await net.settled(deal) == [TaskStatus.COMPLETED] * 2
        await stall.until_volume(5)
        second.stop()
        await stall.until_volume(3)
        first.stop()
        await stall.until_volume(0)
        shown = await until_shown(url, "/offers", says("NO_WORKER"))
        assert (shown["copies"], shown["workers"], shown["trouble"]) == (5, 0, None)
        group.cancel_scope.cancel()


async def test_orders_survive_a_restart_and_a_new_price_replaces_them(net: Net, stall: Stall) -> None:
    worker = net.workers[0]
    worker.slots = 3
    async with stall.open():
        async with net.scheduler(sales=stall.sales()) as url, anyio.create_task_group() as group:
            await join(group, url, worker)
            before = hashes(await stall.until_volume(3))
            group.cancel_scope.cancel()
        async with net.scheduler(sales=stall.sales()) as url, anyio.create_task_group() as group:
            group.start_soon(worker.run, url)
            await until_shown(url, "/offers", lambda shown: shown["workers"] == 1 and shown["offers"][0]["volume"] == 3)
            # Perhaps withdrawn before the worker came back, and then published again, but never another one.
            assert hashes(await stall.until_volume(3)) == before
            group.cancel_scope.cancel()
        dearer = stall.sales(Offer(category=0, price=2 * PRICE))
        async with net.scheduler(sales=dearer) as url, anyio.create_task_group() as group:
            group.start_soon(worker.run, url)
            await until_shown(url, "/offers", lambda shown: shown["offers"][0]["volume"] == 3)
            (published,) = await stall.until_volume(3)
            assert pool_order(published).workerpoolprice == 2 * PRICE
            group.cancel_scope.cancel()
        async with net.scheduler(sales=stall.sales(enabled=False)) as url:
            await stall.until_volume(0)
            shown = await until_shown(url, "/offers", says("SALES_OFF"))
            assert shown["selling"] is False


async def test_publication_waits_for_the_order_book_and_repairs_one_that_has_forgotten(net: Net, stall: Stall) -> None:
    worker = net.workers[0]
    worker.slots = 2
    async with net.scheduler(sales=stall.sales()) as url, anyio.create_task_group() as group:
        await join(group, url, worker)
        shown = await until_shown(url, "/offers", lambda shown: shown["trouble"] and shown["offers"][0]["orders"])
        assert shown["trouble"]["code"] == "MARKET_UNREACHABLE"
        (waiting,) = shown["offers"][0]["orders"]
        assert (waiting["standing"], waiting["remaining"]) == ("SIGNED", 2)
        async with stall.open():
            (published,) = await stall.until_volume(2)
            assert published.order_hash == waiting["orderHash"]
            await until_shown(url, "/offers", lambda shown: shown["trouble"] is None)
        async with stall.open("another"):
            assert hashes(await stall.until_volume(2)) == {published.order_hash}
        group.cancel_scope.cancel()


async def test_the_owners_stake_bounds_what_is_on_offer(net: Net, stall: Stall) -> None:
    worker = net.workers[0]
    worker.slots = 5
    per_task = scheduler_stake(PRICE)
    async with stall.open(), net.scheduler(sales=stall.sales()) as url, anyio.create_task_group() as group:
        await join(group, url, worker)
        await stall.until_volume(5)
        has = (await net.hub.account(MANAGER.address)).stake
        await send_all(net.rpc, MANAGER, [Call(net.hub.address, calls.withdraw(has - 2 * per_task))])
        await until_shown(url, "/offers", says("STAKE_TOO_LOW"))
        await stall.until_volume(2)
        deposit = token.approve_and_call(net.hub.address, 10 * per_task)
        await send_all(net.rpc, MANAGER, [Call(net.manifest.token, deposit)])
        await stall.until_volume(5)
        group.cancel_scope.cancel()


async def test_withdrawn_orders_can_be_closed_on_chain(net: Net, stall: Stall) -> None:
    worker = net.workers[0]
    worker.slots = 2
    async with (
        stall.open(),
        net.scheduler(sales=stall.sales(cancel_on_chain=True)) as url,
        anyio.create_task_group() as group,
    ):
        await join(group, url, worker)
        (published,) = await stall.until_volume(2)
        worker.stop()
        await stall.until_volume(0)
        with anyio.fail_after(20):
            while await net.hub.consumed(published.order_hash) < published.order.volume:  # noqa: ASYNC110 - a chain
                await anyio.sleep(0.05)
        await until_shown(url, "/offers", lambda shown: not shown["offers"][0]["orders"])
        assert (await until_shown(url, "/offers", says("NO_WORKER")))["copies"] == 0
        group.cancel_scope.cancel()


async def test_what_the_pool_admits_is_said_in_its_orders(net: Net, stall: Stall) -> None:
    worker, requester = net.workers[0], roles.account(roles.REQUESTER).address
    worker.slots = 4
    offers = (Offer(category=0, price=PRICE, trust=1), Offer(category=1, price=PRICE, trust=1))
    admission = Admission(apps=(net.app,), requesters=(requester,), price_floor=PRICE)
    async with (
        stall.open(),
        net.scheduler(sales=stall.sales(*offers, margin=50), admission=admission) as url,
        anyio.create_task_group() as group,
    ):
        await join(group, url, worker)
        published = await stall.until_volume(6)
        found = [pool_order(order) for order in published]
        assert {(order.apprestrict, order.requesterrestrict) for order in found} == {(net.app, requester)}
        assert sorted((order.category, order.volume) for order in found) == [(0, 3), (1, 3)]
        deal = await net.buy(pool=next(order for order in found if order.category == 0))
        assert await net.settled(deal) == [TaskStatus.COMPLETED]
        group.cancel_scope.cancel()


async def test_nothing_is_added_while_as_many_tasks_wait_as_may(net: Net, stall: Stall) -> None:
    worker = net.workers[0]
    worker.slots = 2

    async def never(_assign: Assign) -> None:
        pass

    worker.on_assign = never
    admission = Admission(max_waiting=1)
    async with (
        stall.open(),
        net.scheduler(sales=stall.sales(margin=100), admission=admission) as url,
        anyio.create_task_group() as group,
    ):
        await join(group, url, worker)
        (published,) = await stall.until_volume(4)
        await net.buy(volume=3, pool=pool_order(published))
        await until_shown(url, "/offers", says("TOO_MANY_WAITING"))
        await stall.until_volume(1)
        group.cancel_scope.cancel()
