"""The compass as a service."""

from __future__ import annotations

from contextlib import AsyncExitStack

import anyio

from pyiexec.chain.hub import Hub
from pyiexec.chain.observed import observe_nodes
from pyiexec.chain.rpc import JsonRpc
from pyiexec.compass.app import create_app
from pyiexec.compass.register import Register
from pyiexec.compass.settings import CompassSettings
from pyiexec.foundation import http
from pyiexec.foundation.clock import Clock, SystemClock
from pyiexec.foundation.database import Database, Migrations
from pyiexec.foundation.observation import Observation
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.pool_urls import check_origin
from pyiexec.protocol.primitives import Address, checksum

MIGRATIONS = Migrations("pyiexec.compass.migrations", lineage="compass")


async def serve(settings: CompassSettings, *, ready: http.Ready, stop: anyio.Event, clock: Clock | None = None) -> None:
    """Serve until `stop` is set. Reading works while the chains are down; registering needs the pool's own.

    Args:
        settings: see `CompassSettings`.
        ready: called with the base URL once the service answers.
        stop: ends the service.
        clock: where the time comes from.

    Raises:
        IexecError: ``BAD_SETTINGS`` for a pool's address or URL; ``PORT_TAKEN``, ``DATABASE_UNAVAILABLE``.
    """
    known = {
        (chain.chain_id, _pool(address)): _origin(address, url)
        for chain in settings.chains
        for address, url in chain.workerpools.items()
    }
    time = clock or SystemClock()
    observation = Observation("compass", time)
    async with AsyncExitStack() as stack:
        database = await Database.open(settings.database_url, [MIGRATIONS], durable=True)
        stack.push_async_callback(database.close)
        observation.database(database)
        hubs = {
            chain.chain_id: Hub(await stack.enter_async_context(JsonRpc(chain.rpc_url)), chain.hub)
            for chain in settings.chains
        }
        observe_nodes(observation, *(hub.rpc for hub in hubs.values()))
        app = create_app(Register(database, hubs, known, time), observation.routes())
        await http.serve(observation.around(app), settings.host, settings.port, ready=ready, stop=stop)


def _pool(address: str) -> Address:
    try:
        return checksum(address)
    except IexecError as error:
        raise IexecError("BAD_SETTINGS", f"chains.workerpools: {error.what}") from None


def _origin(address: str, url: str) -> str:
    try:
        return check_origin(url)
    except IexecError as error:
        raise IexecError("BAD_SETTINGS", f"chains.workerpools[{address}]: {error.what}") from None
