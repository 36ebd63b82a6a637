"""The order book as a service: HTTP in front, the chain behind."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AsyncExitStack

import anyio
import msgspec

from pyiexec.chain.follower import MIGRATIONS as FOLLOWER_MIGRATIONS
from pyiexec.chain.follower import LogFollower, load_cursor
from pyiexec.chain.heads import HeadFeed
from pyiexec.chain.observed import observe_chain, observe_follower
from pyiexec.chain.rpc import JsonRpc
from pyiexec.foundation import http
from pyiexec.foundation.clock import Clock, SystemClock
from pyiexec.foundation.database import Database, Leadership, Migrations
from pyiexec.foundation.glances import Glances
from pyiexec.foundation.logs import get_logger
from pyiexec.foundation.observation import Observation
from pyiexec.foundation.rate_limit import Budgets, Limit, RateLimit, Scope, read_networks
from pyiexec.market import watcher
from pyiexec.market.app import create_app
from pyiexec.market.broadcast import Broadcast
from pyiexec.market.chain_facts import ChainFacts
from pyiexec.market.chain_reader import ChainReader
from pyiexec.market.chain_routes import chain_routes
from pyiexec.market.counter import Counter
from pyiexec.market.desk import Desk
from pyiexec.market.order_routes import order_routes
from pyiexec.market.pages import Pages
from pyiexec.market.progress import Progress
from pyiexec.market.queries import CURSOR
from pyiexec.market.settings import MarketSettings
from pyiexec.market.socketio import Rooms
from pyiexec.market.streams import create_stream
from pyiexec.protocol.eip712 import Domain
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address

log = get_logger(__name__)

#: Seconds before a hub that could not be read is asked again.
_RETRY_SECONDS = 1.0
MIGRATIONS = Migrations("pyiexec.market.migrations", lineage="market")


async def serve(settings: MarketSettings, *, ready: http.Ready, stop: anyio.Event, clock: Clock | None = None) -> None:
    """Serve until `stop` is set. Reading works while the chain is down; publishing needs it.

    Args:
        settings: see `MarketSettings`.
        ready: called with the base URL once the service answers.
        stop: ends the service.
        clock: where the time comes from.

    Raises:
        IexecError: ``PORT_TAKEN``, ``DATABASE_UNAVAILABLE``.
    """
    clock = clock or SystemClock()
    observation = Observation("market", clock)
    async with AsyncExitStack() as stack:
        # What is answered as published is on disk, whatever happens to the machine.
        database = await Database.open(settings.database_url, [MIGRATIONS, FOLLOWER_MIGRATIONS], durable=True)
        stack.push_async_callback(database.close)
        observation.database(database)
        glances = Glances(database, settings.database_url)
        stack.callback(glances.close)
        pages = Pages(glances, settings.chain_id)
        rpc = await stack.enter_async_context(JsonRpc(settings.rpc_url))
        facts = ChainFacts(rpc, settings.hub)
        desk = Desk(
            database,
            glances,
            facts,
            Domain(settings.chain_id, settings.hub),
            clock,
            entropy=os.urandom,
            quota=settings.open_orders_per_wallet,
            challenge_seconds=settings.challenge_seconds,
        )
        counter = Counter(desk, settings.chain_id)
        feed = await stack.enter_async_context(HeadFeed(settings.rpc_url))
        progress = Progress(feed, clock)
        observe_chain(observation, rpc, feed, clock)
        observe_follower(observation, feed, progress.followed)
        if settings.rebuild:
            await database.write(lambda connection: watcher.forget(connection, int(clock.now() * 1000)))
        bounds = {"backlog": settings.listener_backlog, "capacity": settings.listeners}
        rooms = Rooms(settings.chain_id, **bounds)
        broadcast = Broadcast(database, clock, relay=rooms.tell, **bounds)
        async with anyio.create_task_group() as group:
            follow = _Follow(database, rpc, feed, facts, settings, clock, progress)
            group.start_soon(database.keep_leading, CURSOR, follow.run)
            await group.start(broadcast.run)
            group.start_soon(_end_with, stop, broadcast, rooms)
            stream = create_stream(database, broadcast, settings.chain_id, settings.heartbeat_seconds)
            routes = [
                *order_routes(database, pages, counter, desk, settings.chain_id),
                *chain_routes(database, progress, settings.chain_id, observation),
                *observation.routes(metrics=False),
            ]
            app = rooms.beside(pages.before(counter.before(create_app([*routes, stream]))))
            limited = _limited(app, settings, clock, stack, rooms.is_known)
            observed = observation.around(limited)
            await http.serve(
                observed, settings.host, settings.port, ready=ready, stop=stop, share_port=settings.share_port
            )
            group.cancel_scope.cancel()


class _Follow:
    """Following the chain: the job of one process among those that serve a book."""

    def __init__(
        self,
        database: Database,
        rpc: JsonRpc,
        feed: HeadFeed,
        facts: ChainFacts,
        settings: MarketSettings,
        clock: Clock,
        progress: Progress,
    ) -> None:
        self._database = database
        self._rpc = rpc
        self._feed = feed
        self._facts = facts
        self._settings = settings
        self._clock = clock
        self._progress = progress

    async def run(self, leadership: Leadership) -> None:
        """Follow for as long as this process leads."""
        settings = self._settings
        registries = await self._registries()
        follower = LogFollower(
            self._rpc,
            self._feed,
            addresses=[settings.hub, *registries],
            topics=[watcher.TOPICS],
            cursor=await self._database.read(lambda connection: load_cursor(connection, CURSOR)),
            start_block=settings.start_block,
        )
        self._progress.follower = follower
        try:
            reader = ChainReader(self._rpc, settings.hub)
            await watcher.watch(follower, reader, settings.hub, settings.chain_id, leadership.write, self._clock)
        finally:
            self._progress.follower = None

    async def _registries(self) -> list[Address]:
        while True:
            try:
                return list(msgspec.structs.astuple(await self._facts.registries()))
            except IexecError as error:
                log.info("the hub cannot be read yet", reason=str(error))
                await self._clock.sleep(_RETRY_SECONDS)


async def _end_with(stop: anyio.Event, broadcast: Broadcast, rooms: Rooms) -> None:
    await stop.wait()
    broadcast.end()
    await rooms.end()


def _limited(
    app: http.Application,
    settings: MarketSettings,
    clock: Clock,
    stack: AsyncExitStack,
    uncounted: Callable[[Scope], bool],
) -> http.Application:
    if not settings.rate_limit:
        return app
    budgets = Budgets(settings.rate_limit_file, os.urandom)
    stack.callback(budgets.close)
    limit = Limit(settings.rate_limit, settings.rate_limit_seconds)
    trusted = read_networks(settings.trusted_proxies)
    return RateLimit(app, limit, budgets, clock, trusted=trusted, uncounted=uncounted)
