"""The result store as a service: content-addressed files over HTTP."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import aiohttp
import anyio
from litestar.handlers import BaseRouteHandler

from pyiexec.chain.hub import Hub
from pyiexec.chain.observed import observe_nodes
from pyiexec.chain.rpc import JsonRpc
from pyiexec.foundation import http
from pyiexec.foundation.clients import unreachable
from pyiexec.foundation.clock import Clock, SystemClock
from pyiexec.foundation.database import Database, Migrations
from pyiexec.foundation.observation import Observation
from pyiexec.protocol.errors import IexecError
from pyiexec.results.app import create_app
from pyiexec.results.proxy import Proxy
from pyiexec.results.proxy_routes import proxy_routes
from pyiexec.results.sessions import Sessions
from pyiexec.results.settings import ResultsSettings
from pyiexec.results.tokens import Tokens, load_keys
from pyiexec.storage.kubo import KuboNode
from pyiexec.storage.node import ContentNode
from pyiexec.storage.store import ContentStore

MIGRATIONS = Migrations("pyiexec.results.migrations", lineage="results")


async def serve(settings: ResultsSettings, *, ready: http.Ready, stop: anyio.Event, clock: Clock | None = None) -> None:
    """Serve until `stop` is set.

    Args:
        settings: see `ResultsSettings`.
        ready: called with the base URL once the service answers.
        stop: ends the service.
        clock: where the time comes from.

    Raises:
        IexecError: ``PORT_TAKEN``, ``STORE_UNWRITABLE``; with a chain also ``BAD_SETTINGS``,
            ``DATABASE_UNAVAILABLE``.
    """
    clock = clock or SystemClock()
    observation = Observation("results", clock)
    async with AsyncExitStack() as stack:
        store = ContentStore(Path(settings.directory), settings.capacity_bytes)
        store.discard_unfinished()
        node: ContentNode = store
        if settings.kubo_url is not None:
            session = await stack.enter_async_context(aiohttp.ClientSession())
            node = KuboNode(settings.kubo_url, session)
            observation.health.needs("kubo", partial(unreachable, session, settings.kubo_url))
        sessions = Sessions(
            store.incoming,
            node,
            clock,
            entropy=os.urandom,
            lifetime=settings.upload_seconds,
            make_room=store.space.check,
        )
        await sessions.forget_expired()
        observation.health.needs("disk", partial(_unwritable, store.incoming))
        proxied = await _proxied(settings, store, node, clock, stack, observation)
        app = create_app(node, sessions, settings.max_upload_bytes, [*proxied, *observation.routes()])
        await http.serve(observation.around(app), settings.host, settings.port, ready=ready, stop=stop)


async def _unwritable(folder: Path) -> str:
    """Why nothing can be written to a folder; empty when it can."""
    return "" if os.access(folder, os.W_OK) else "it cannot be written to"


async def _proxied(
    settings: ResultsSettings,
    store: ContentStore,
    node: ContentNode,
    clock: Clock,
    stack: AsyncExitStack,
    observation: Observation,
) -> list[BaseRouteHandler]:
    """The routes of the result proxy, none without a chain."""
    if settings.rpc_url is None or settings.hub is None or settings.chain_id is None:
        if any(setting is not None for setting in (settings.rpc_url, settings.hub, settings.chain_id)):
            raise IexecError("BAD_SETTINGS", "rpc_url, chain_id and hub are given together, for the result proxy")
        return []
    directory = Path(settings.directory)
    key_file = Path(settings.token_key_file) if settings.token_key_file else directory / "token.key"
    tokens = Tokens(load_keys(key_file, os.urandom), settings.token_seconds)
    database_url = settings.database_url or f"sqlite:///{directory / 'results.db'}"
    database = await Database.open(database_url, [MIGRATIONS], durable=True)
    stack.push_async_callback(database.close)
    rpc = await stack.enter_async_context(JsonRpc(settings.rpc_url))
    observation.database(database)
    observe_nodes(observation, rpc)
    proxy = Proxy(
        database,
        node,
        Hub(rpc, settings.hub),
        settings.chain_id,
        tokens,
        clock,
        entropy=os.urandom,
        incoming=store.incoming,
        max_bytes=settings.max_result_bytes,
        daily_bytes=settings.daily_bytes,
    )
    return proxy_routes(proxy, settings.chain_id, settings.max_result_bytes)
