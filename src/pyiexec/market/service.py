"""The order book as a service: HTTP in front, the chain behind."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack

import anyio

from pyiexec.chain.follower import MIGRATIONS as FOLLOWER_MIGRATIONS
from pyiexec.chain.follower import LogFollower, load_cursor
from pyiexec.chain.heads import HeadFeed
from pyiexec.chain.rpc import JsonRpc
from pyiexec.foundation import http
from pyiexec.foundation.clock import Clock, SystemClock
from pyiexec.foundation.database import Database, Migrations
from pyiexec.foundation.rate_limit import Budgets, Limit, RateLimit, read_networks
from pyiexec.market.app import create_app
from pyiexec.market.chain_facts import ChainFacts
from pyiexec.market.desk import Desk
from pyiexec.market.settings import MarketSettings
from pyiexec.market.watcher import CURSOR, TOPICS, watch
from pyiexec.protocol.eip712 import Domain

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
    async with AsyncExitStack() as stack:
        database = await Database.open(settings.database_url, [MIGRATIONS, FOLLOWER_MIGRATIONS])
        stack.push_async_callback(database.close)
        rpc = await stack.enter_async_context(JsonRpc(settings.rpc_url))
        desk = Desk(
            database,
            ChainFacts(rpc, settings.hub),
            Domain(settings.chain_id, settings.hub),
            clock,
            entropy=os.urandom,
            quota=settings.open_orders_per_wallet,
            challenge_seconds=settings.challenge_seconds,
        )
        feed = await stack.enter_async_context(HeadFeed(settings.rpc_url))
        follower = LogFollower(
            rpc,
            feed,
            addresses=[settings.hub],
            topics=[TOPICS],
            cursor=await database.read(lambda connection: load_cursor(connection, CURSOR)),
            start_block=settings.start_block,
        )
        async with anyio.create_task_group() as group:
            group.start_soon(watch, follower, database)
            app = _limited(create_app(database, desk, settings.chain_id), settings, clock, stack)
            await http.serve(app, settings.host, settings.port, ready=ready, stop=stop)
            group.cancel_scope.cancel()


def _limited(app: http.Application, settings: MarketSettings, clock: Clock, stack: AsyncExitStack) -> http.Application:
    if not settings.rate_limit:
        return app
    budgets = Budgets(settings.rate_limit_file, os.urandom)
    stack.callback(budgets.close)
    limit = Limit(settings.rate_limit, settings.rate_limit_seconds)
    return RateLimit(app, limit, budgets, clock, trusted=read_networks(settings.trusted_proxies))
