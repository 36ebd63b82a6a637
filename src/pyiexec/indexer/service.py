"""The index as a service: GraphQL in front, the chain behind."""

from __future__ import annotations

from contextlib import AsyncExitStack

import anyio

from pyiexec.chain.follower import MIGRATIONS as FOLLOWER_MIGRATIONS
from pyiexec.chain.heads import HeadFeed
from pyiexec.chain.observed import observe_chain, observe_follower
from pyiexec.chain.rpc import JsonRpc
from pyiexec.foundation import http
from pyiexec.foundation.clock import Clock, SystemClock
from pyiexec.foundation.database import Database, Migrations
from pyiexec.foundation.observation import Observation
from pyiexec.indexer.app import create_app
from pyiexec.indexer.bulk import BulkFetcher
from pyiexec.indexer.following import IndexFollower
from pyiexec.indexer.graphql.answering import Answerer
from pyiexec.indexer.graphql.app import routes
from pyiexec.indexer.settings import IndexerSettings
from pyiexec.storage.client import ContentClient

MIGRATIONS = Migrations("pyiexec.indexer.migrations", lineage="indexer")
#: Under which one process of those on a database follows the chain.
LEADERSHIP = "indexer"


async def serve(settings: IndexerSettings, *, ready: http.Ready, stop: anyio.Event, clock: Clock | None = None) -> None:
    """Serve until `stop` is set. Queries are answered while the chain is down.

    Args:
        settings: see `IndexerSettings`.
        ready: called with the base URL once the service answers.
        stop: ends the service.
        clock: bounds how long a query may take; all else goes by the chain's time.

    Raises:
        IexecError: ``PORT_TAKEN``, ``DATABASE_UNAVAILABLE``.
    """
    time = clock or SystemClock()
    observation = Observation("indexer", time)
    async with AsyncExitStack() as stack:
        database = await Database.open(settings.database_url, [MIGRATIONS, FOLLOWER_MIGRATIONS])
        stack.push_async_callback(database.close)
        observation.database(database)
        rpc = await stack.enter_async_context(JsonRpc(settings.rpc_url))
        feed = await stack.enter_async_context(HeadFeed(settings.rpc_url))
        bulks = None
        if settings.gateway_url:
            gateway = await stack.enter_async_context(ContentClient(settings.gateway_url))
            bulks = BulkFetcher(database, gateway, seconds=settings.fetch_seconds, max_bytes=settings.fetch_bytes)
        follower = IndexFollower(database, rpc, feed, settings, bulks)
        observe_chain(observation, rpc, feed, time)
        observe_follower(observation, feed, follower.followed)
        async with anyio.create_task_group() as group:
            group.start_soon(database.keep_leading, LEADERSHIP, follower.lead)
            deployment = f"poco-{settings.chain_id}-{settings.hub.lower()}"
            answerer = Answerer(database, deployment, time, reached=follower.reached)
            graphql = routes(answerer, settings.chain_id, settings.subgraph_ids, settings.subgraph_names)
            routes_of_all = [*graphql, *observation.routes()]
            app = create_app(database, feed, settings.chain_id, routes_of_all, follower.reached)
            await http.serve(observation.around(app), settings.host, settings.port, ready=ready, stop=stop)
            group.cancel_scope.cancel()
