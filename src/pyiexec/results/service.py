"""The result store as a service: content-addressed files over HTTP."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack
from pathlib import Path

import aiohttp
import anyio

from pyiexec.foundation import http
from pyiexec.foundation.clock import Clock, SystemClock
from pyiexec.results.app import create_app
from pyiexec.results.sessions import Sessions
from pyiexec.results.settings import ResultsSettings
from pyiexec.storage.kubo import KuboNode
from pyiexec.storage.node import ContentNode
from pyiexec.storage.store import ContentStore


async def serve(settings: ResultsSettings, *, ready: http.Ready, stop: anyio.Event, clock: Clock | None = None) -> None:
    """Serve until `stop` is set.

    Args:
        settings: see `ResultsSettings`.
        ready: called with the base URL once the service answers.
        stop: ends the service.
        clock: where the time comes from.

    Raises:
        IexecError: ``PORT_TAKEN``, ``STORE_UNWRITABLE``.
    """
    clock = clock or SystemClock()
    async with AsyncExitStack() as stack:
        store = ContentStore(Path(settings.directory), settings.capacity_bytes)
        store.discard_unfinished()
        node: ContentNode = store
        if settings.kubo_url is not None:
            session = await stack.enter_async_context(aiohttp.ClientSession())
            node = KuboNode(settings.kubo_url, session)
        sessions = Sessions(
            store.incoming,
            node,
            clock,
            entropy=os.urandom,
            lifetime=settings.upload_seconds,
            make_room=store.space.check,
        )
        await sessions.forget_expired()
        app = create_app(node, sessions, settings.max_upload_bytes)
        await http.serve(app, settings.host, settings.port, ready=ready, stop=stop)
