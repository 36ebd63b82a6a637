"""The secret management service: HTTP in front, the chain asked who owns what."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack
from pathlib import Path

import anyio

from pyiexec.chain.observed import observe_nodes
from pyiexec.chain.rpc import JsonRpc
from pyiexec.foundation import http
from pyiexec.foundation.clock import Clock, SystemClock
from pyiexec.foundation.database import Database, Migrations
from pyiexec.foundation.observation import Observation
from pyiexec.foundation.rate_limit import Budgets, Limit, RateLimit, read_networks
from pyiexec.protocol.eip712 import Domain
from pyiexec.sms.app import create_app
from pyiexec.sms.counter import Counter
from pyiexec.sms.keyring import KeyFile
from pyiexec.sms.ownership import Ownership
from pyiexec.sms.settings import SmsSettings
from pyiexec.sms.vault import Vault

MIGRATIONS = Migrations("pyiexec.sms.migrations", lineage="sms")


async def serve(settings: SmsSettings, *, ready: http.Ready, stop: anyio.Event, clock: Clock | None = None) -> None:
    """Serve until `stop` is set. What can be asked of anybody is answered while the chain is down; changes may need it.

    Args:
        settings: see `SmsSettings`.
        ready: called with the base URL once the service answers.
        stop: ends the service.
        clock: where the time comes from.

    Raises:
        IexecError: ``PORT_TAKEN``, ``DATABASE_UNAVAILABLE``, ``BAD_SETTINGS``; when the key ring does not open what is
            stored, ``KEY_RING_MISSING``, ``KEY_RING_UNSAFE``, ``KEY_RING_WRONG``, ``SECRET_CORRUPT``.
    """
    time = clock or SystemClock()
    observation = Observation("sms", time)
    async with AsyncExitStack() as stack:
        database = await Database.open(settings.database_url, [MIGRATIONS], durable=True)
        stack.push_async_callback(database.close)
        observation.database(database)
        vault = Vault(database, KeyFile(Path(settings.key_file)), time, os.urandom)
        await vault.open()
        rpc = await stack.enter_async_context(JsonRpc(settings.rpc_url))
        observe_nodes(observation, rpc)
        counter = Counter(
            vault,
            Ownership(rpc, settings.hub),
            Domain(settings.chain_id, settings.hub),
            time,
            origins={origin.rstrip("/") for origin in settings.origins},
            accept_legacy=settings.accept_legacy,
        )

        def told(url: str) -> None:
            # Where nobody says how clients reach it, it is by the address it listens on.
            if not settings.origins:
                counter.origins.add(url)
            ready(url)

        app: http.Application = create_app(counter, vault, observation)
        if settings.rate_limit:
            budgets = Budgets(None, os.urandom)
            stack.callback(budgets.close)
            limit = Limit(settings.rate_limit, settings.rate_limit_seconds)
            app = RateLimit(app, limit, budgets, time, trusted=read_networks(settings.trusted_proxies))
        await http.serve(observation.around(app), settings.host, settings.port, ready=told, stop=stop)
