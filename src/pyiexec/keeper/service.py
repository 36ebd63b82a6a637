"""The keeper as a service."""

from __future__ import annotations

from contextlib import AsyncExitStack

import anyio

from pyiexec.chain.follower import MIGRATIONS as FOLLOWER_MIGRATIONS
from pyiexec.chain.heads import HeadFeed
from pyiexec.chain.hub import Hub
from pyiexec.chain.keystore import read_key_file
from pyiexec.chain.observed import observe_chain
from pyiexec.chain.rpc import JsonRpc
from pyiexec.chain.transactions import MIGRATIONS as TRANSACTION_MIGRATIONS
from pyiexec.foundation import http
from pyiexec.foundation.clock import Clock, SystemClock
from pyiexec.foundation.database import Database
from pyiexec.foundation.observation import Observation
from pyiexec.keeper.app import create_app
from pyiexec.keeper.keeping import Keeper
from pyiexec.keeper.observed import observe_keeper
from pyiexec.keeper.settings import KeeperSettings
from pyiexec.keeper.store import MIGRATIONS

#: Under which one process of those on a database works.
LEADERSHIP = "keeper"


async def serve(settings: KeeperSettings, *, ready: http.Ready, stop: anyio.Event, clock: Clock | None = None) -> None:
    """Look after deals until `stop` is set.

    Args:
        settings: see `KeeperSettings`.
        ready: called with the base URL once the service answers.
        stop: ends the service.
        clock: where the time comes from between two blocks.

    Raises:
        IexecError: ``BAD_KEY``, ``CHAIN_UNREACHABLE``, ``DATABASE_UNAVAILABLE``, ``PORT_TAKEN``.
    """
    clock = clock or SystemClock()
    signer = read_key_file(settings.key_file, settings.password_file)
    observation = Observation("keeper", clock)
    async with AsyncExitStack() as stack:
        database = await Database.open(settings.database_url, [MIGRATIONS, TRANSACTION_MIGRATIONS, FOLLOWER_MIGRATIONS])
        stack.push_async_callback(database.close)
        observation.database(database)
        rpc = await stack.enter_async_context(JsonRpc(settings.rpc_url))
        feed = await stack.enter_async_context(HeadFeed(settings.heads_url or settings.rpc_url))
        hub = Hub(rpc, settings.hub)
        chain_id = await rpc.chain_id()
        keeper = Keeper(settings, database=database, hub=hub, feed=feed, signer=signer, chain_id=chain_id, clock=clock)
        observe_chain(observation, rpc, feed, clock)
        observe_keeper(observation, keeper, feed)
        async with anyio.create_task_group() as group:
            group.start_soon(database.keep_leading, LEADERSHIP, keeper.lead)
            app = create_app(
                keeper, feed, account=signer.address, hub=settings.hub, chain_id=chain_id, more=observation.routes()
            )
            await http.serve(observation.around(app), settings.host, settings.port, ready=ready, stop=stop)
            group.cancel_scope.cancel()
