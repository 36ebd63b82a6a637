"""Keeps the pool's orders in the order book in step with what the pool can do.

Before anything is said outside it is written down: an order is stored before it is published, and marked before it is
withdrawn. After a crash the same is said again, which the order book takes for what it is, so that no capacity is sold
by a second order.

What was sold is read from the chain as of the block up to which the engine has followed it: volumes that are gone are
tasks that the engine knows, and neither is counted twice or not at all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

import anyio
import anyio.abc
from msgspec.structs import replace

from pyiexec.chain import calls
from pyiexec.chain.chain_time import ChainTime
from pyiexec.chain.heads import HeadFeed, may_hold
from pyiexec.chain.hub import EVENTS, Hub
from pyiexec.chain.orderbook import OrderBook
from pyiexec.chain.reading import Reading, read_each
from pyiexec.chain.signer import Signer
from pyiexec.foundation.clock import Clock
from pyiexec.foundation.database import Database
from pyiexec.foundation.logs import get_logger
from pyiexec.protocol.eip712 import Domain
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.orders import OrderOperation
from pyiexec.protocol.primitives import Address, OrderHash
from pyiexec.scheduler.chain_work import Transactions
from pyiexec.scheduler.engine import Engine
from pyiexec.scheduler.own_orders import OwnOrder, forget_orders, keep_orders, load_orders, new_order
from pyiexec.scheduler.pool_policy import Admission, Sales
from pyiexec.scheduler.rules import Policy
from pyiexec.scheduler.sales_plan import COMMITTED, Capacity, Hindrance, Standing, Terms, plan
from pyiexec.scheduler.workload import capacity_of

log = get_logger(__name__)

KIND = "workerpoolorder"
#: Between two looks, however much happens: what happens together is answered together.
PAUSE_SECONDS = 0.3
#: Before something that failed is tried again, first and at most.
RETRY_FIRST, RETRY_LAST = 0.5, 30.0


class Followed(Protocol):
    """How far the engine has followed the chain."""

    @property
    def number(self) -> int | None:
        """The last block all of whose logs took effect; None while some are being dealt with."""


class Situation(NamedTuple):
    """What the last look found.

    Attributes:
        capacity: None before the first look.
        block: as of which orders and stake were read.
        hindrances: why there is not more on offer.
        trouble: what the order book or the chain had against it; None while nothing is wrong.
    """

    capacity: Capacity | None
    block: int
    hindrances: dict[Terms, Hindrance]
    trouble: IexecError | None


class SalesDesk:
    """Sells what one pool can do.

    Args:
        sales: the manager's choices.
        terms: of the orders to be on offer.
        domain: of the hub, which orders are signed for.
        entropy: random bytes, for salts.
    """

    def __init__(
        self,
        *,
        sales: Sales,
        admission: Admission,
        terms: Sequence[Terms],
        engine: Engine,
        policy: Policy,
        hub: Hub,
        domain: Domain,
        signer: Signer,
        workerpool: Address,
        book: OrderBook,
        database: Database,
        transactions: Transactions,
        followed: Followed,
        feed: HeadFeed,
        chain_time: ChainTime,
        clock: Clock,
        entropy: Callable[[int], bytes],
    ) -> None:
        self.sales = sales
        self.terms = tuple(terms)
        self.orders: dict[OrderHash, OwnOrder] = {}
        self.situation = Situation(None, 0, dict.fromkeys(terms, Hindrance.CHAIN_BEHIND), None)
        self._admission = admission
        self._engine = engine
        self._policy = policy
        self._hub = hub
        self._domain = domain
        self._signer = signer
        self._workerpool = workerpool
        self._book = book
        self._database = database
        self._transactions = transactions
        self._followed = followed
        self._feed = feed
        self._chain_time = chain_time
        self._clock = clock
        self._entropy = entropy
        self._failures = 0
        #: Whether the order book may have lost, or kept, what we do not know of.
        self._compare = True
        self._closing: set[OrderHash] = set()

    async def run(self) -> None:
        """Sell until cancelled."""
        self.orders = await self._database.read(load_orders)
        async with anyio.create_task_group() as self._group:
            self._group.start_soon(self._hear_chain)
            self._group.start_soon(self._hear_book)
            while True:
                self._engine.stepped.hush()
                await self._engine.stepped.wait(await self._round())
                await self._clock.sleep(PAUSE_SECONDS)

    # --- what happens outside -----------------------------------------------------------------------------------------

    async def _hear_chain(self) -> None:
        """Look again after every block that may have changed what was sold, or the owner's stake."""
        own = ["0x" + account.lower()[2:].rjust(64, "0") for account in (self._signer.address, self._workerpool)]
        items = [*own, EVENTS["ClosedWorkerpoolOrder"].topic]
        async with self._feed.subscribe() as heads:
            while True:
                if any(may_hold(head.logs_bloom, item) for head in await heads.take_all() for item in items):
                    self._engine.stepped.ring()

    async def _hear_book(self) -> None:
        """Compare with the order book whenever it may have changed without us."""
        failures = 0
        while True:
            try:
                async with self._book.listen("orders", kind=KIND, workerpool=self._workerpool) as events:
                    async for event in events:
                        failures = 0
                        if event.name in ("snapshot", "reset", f"{KIND}_unpublished"):
                            self._compare = True
                            self._engine.stepped.ring()
            except IexecError as error:
                log.info("the order book is not heard", reason=error.what)
            failures += 1
            await self._clock.sleep(retry_pause(failures))
            # One that tells nothing is asked instead, as often as it is tried.
            self._compare = True
            self._engine.stepped.ring()

    # --- a look -------------------------------------------------------------------------------------------------------

    async def _round(self) -> float:
        """Look, and do what follows; for how many seconds nothing is to be done unless something happens."""
        try:
            await self._look()
            if self._compare and self.sales.enabled:
                await self._compare_with_book()
        except IexecError as error:
            self._failures += 1
            log.warning("orders are not kept in step", attempt=self._failures, reason=str(error))
            self.situation = self.situation._replace(trouble=error)
            return retry_pause(self._failures)
        self._failures = 0
        self.situation = self.situation._replace(trouble=None)
        return math.inf

    async def _compare_with_book(self) -> None:
        """Find out which orders the book has lost; they are published again."""
        on_offer = self._standing(Standing.OPEN)
        self._compare = False
        try:
            lost = [order for order in on_offer if await self._is_lost(order.order_hash)]
        except IexecError:
            self._compare = True
            raise
        await self._keep(*(replace(order, standing=Standing.SIGNED) for order in lost))
        if lost:
            log.warning("the order book has lost orders", orders=len(lost))
            self._engine.stepped.ring()

    async def _is_lost(self, order_hash: OrderHash) -> bool:
        try:
            return (await self._book.order(KIND, order_hash)).status == "dead"
        except IexecError as error:
            if error.code != "ORDER_UNKNOWN":
                raise
            return True

    async def _look(self) -> None:
        block = self._followed.number
        if block is None or block < 0 or not self._engine.knows_all_deals:
            # The step that ends this rings.
            waits = dict.fromkeys(self.terms, Hindrance.CHAIN_BEHIND)
            self.situation = self.situation._replace(hindrances=waits)
            return
        free_stake, categories = await self._count(block)
        # From here to the plan nothing is awaited: it is made for the pool as it is.
        capacity = capacity_of(
            self._engine.crew,
            (tracked.state for tracked in self._engine.tasks.values()),
            now=self._chain_time.now(),
            policy=self._policy,
            admission=self._admission,
            margin=self.sales.margin,
            free_stake=free_stake,
            categories=categories,
        )
        listed = [order.listed for order in self.orders.values() if order.remaining]
        found = plan(self.terms, capacity, listed, enabled=self.sales.enabled)
        self.situation = self.situation._replace(capacity=capacity, block=block, hindrances=found.hindrances)
        leaving = Standing.CLOSING if self.sales.cancel_on_chain else Standing.WITHDRAWING
        await self._keep(
            *(replace(self.orders[name], standing=leaving, reason=why) for name, why in found.withdraw.items())
        )
        for order in self._standing(Standing.CLOSING):
            self._close(order)
        for order in self._standing(Standing.WITHDRAWING):
            await self._withdraw(order)
        if found.withdraw:
            # What became free may be sold on other terms.
            self._engine.stepped.ring()
        signed = [replace(self.orders[name], standing=Standing.SIGNED, reason="") for name in found.publish]
        signed += [self._sign(terms, volume) for terms, volume in found.sign]
        await self._keep(*signed)
        for order in self._standing(Standing.SIGNED):
            await self._publish(order)

    async def _count(self, block: int) -> tuple[int, int]:
        """Note what was sold as of a block; the owner's free stake and the number of categories then."""
        names = list(self.orders)
        readings: list[Reading[Any]] = [self._hub.consumed(name) for name in names]
        readings += [self._hub.account(self._signer.address), self._hub.count_category()]
        *consumed, account, categories = await read_each([reading.at(block) for reading in readings])
        counted = [self.orders[name].counted(used, block) for name, used in zip(names, consumed, strict=True)]
        await self._keep(*(order for order in counted if order != self.orders[order.order_hash]))
        over = [order.order_hash for order in self.orders.values() if order.is_over(block)]
        if over:
            await self._database.insist(lambda connection: forget_orders(connection, over))
            for name in over:
                del self.orders[name]
        return account.stake, categories

    def _standing(self, standing: Standing) -> list[OwnOrder]:
        return [order for order in self.orders.values() if order.standing is standing and order.remaining]

    # --- what is done -------------------------------------------------------------------------------------------------

    def _sign(self, terms: Terms, volume: int) -> OwnOrder:
        return new_order(
            terms,
            volume,
            workerpool=self._workerpool,
            signer=self._signer,
            domain=self._domain,
            entropy=self._entropy,
        )

    async def _keep(self, *orders: OwnOrder) -> None:
        """Write orders down; only what is written counts."""
        if orders:
            await self._database.insist(lambda connection: keep_orders(connection, orders))
            self.orders |= {order.order_hash: order for order in orders}

    async def _publish(self, order: OwnOrder) -> None:
        try:
            await self._book.publish(order.order, self._signer)
        except IexecError as error:
            if error.code not in ("ORDER_PUBLISHED", "MARKET_UNREACHABLE"):
                # The book may have it all the same, suspended; when its reason is gone the order is taken up again.
                await self._keep(replace(order, standing=Standing.WITHDRAWING, reason=error.code))
            if error.code != "ORDER_PUBLISHED":
                raise
        await self._keep(replace(order, standing=Standing.OPEN, reason=""))
        log.info("order published", order=order.order_hash, category=order.order.category, volume=order.remaining)

    async def _withdraw(self, order: OwnOrder) -> None:
        try:
            await self._book.unpublish(KIND, self._signer, order_hash=order.order_hash)
        except IexecError as error:
            if error.code not in ("ORDER_NOT_PUBLISHED", "ORDER_UNKNOWN"):
                raise
        await self._keep(replace(order, standing=Standing.WITHDRAWN))
        log.info("order withdrawn", order=order.order_hash, volume=order.remaining, reason=order.reason)

    def _close(self, order: OwnOrder) -> None:
        """Close an order on chain, unless that is under way; the next look finds nothing of it left."""
        if order.order_hash in self._closing:
            return
        self._closing.add(order.order_hash)

        async def close() -> None:
            data = calls.manage_order(order.order, OrderOperation.CLOSE)
            try:
                record = await self._transactions.submit(
                    order.order_hash, "close", self._hub.address, data, retry=self._failures > 0
                )
                await self._transactions.wait(record)
                log.info("order closed", order=order.order_hash, volume=order.remaining, reason=order.reason)
            except IexecError as error:
                log.warning("an order is not closed", order=order.order_hash, reason=str(error))
                await self._clock.sleep(RETRY_LAST)
            finally:
                self._closing.discard(order.order_hash)
                self._engine.stepped.ring()

        self._group.start_soon(close)

    @property
    def copies(self) -> list[OwnOrder]:
        """Orders that are out of the book and that who has a copy can still match."""
        return [order for order in self.orders.values() if order.standing not in COMMITTED and order.remaining]


def retry_pause(failures: int) -> float:
    """Seconds to wait after so many failures in a row."""
    return min(RETRY_FIRST * 2.0 ** (failures - 1), RETRY_LAST)
