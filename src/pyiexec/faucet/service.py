"""The faucet as a service."""

from __future__ import annotations

import os
from contextlib import AsyncExitStack

import anyio

from pyiexec.chain.escrow import is_native
from pyiexec.chain.heads import HeadFeed
from pyiexec.chain.hub import Hub
from pyiexec.chain.keystore import read_key_file
from pyiexec.chain.networks import NetworkKind
from pyiexec.chain.observed import observe_chain, observe_transactions
from pyiexec.chain.rpc import JsonRpc
from pyiexec.chain.transactions import MIGRATIONS as TRANSACTION_MIGRATIONS
from pyiexec.chain.transactions import Totals, TransactionManager
from pyiexec.faucet.app import create_app
from pyiexec.faucet.rules import Terms
from pyiexec.faucet.settings import FaucetSettings
from pyiexec.faucet.till import Till
from pyiexec.foundation import http
from pyiexec.foundation.clock import Clock, SystemClock
from pyiexec.foundation.database import Database, Migrations
from pyiexec.foundation.observation import Observation
from pyiexec.foundation.rate_limit import Budgets, Limit, RateLimit, read_networks
from pyiexec.protocol.errors import IexecError

MIGRATIONS = Migrations("pyiexec.faucet.migrations", lineage="faucet")


async def serve(settings: FaucetSettings, *, ready: http.Ready, stop: anyio.Event, clock: Clock | None = None) -> None:
    """Serve until `stop` is set; what was promised before a crash is paid first.

    Args:
        settings: see `FaucetSettings`.
        ready: called with the base URL once the service answers.
        stop: ends the service.
        clock: where the time comes from.

    Raises:
        IexecError: ``FAUCET_REFUSED`` on a main network; ``BAD_KEY``, ``PORT_TAKEN``, ``DATABASE_UNAVAILABLE``,
            ``CHAIN_UNREACHABLE``.
    """
    if settings.network is NetworkKind.MAIN:
        raise IexecError("FAUCET_REFUSED", "nothing is given away on a main network")
    clock = clock or SystemClock()
    signer = read_key_file(settings.key_file, settings.password_file)
    observation, totals = Observation("faucet", clock), Totals()
    async with AsyncExitStack() as stack:
        database = await Database.open(settings.database_url, [MIGRATIONS, TRANSACTION_MIGRATIONS])
        stack.push_async_callback(database.close)
        observation.database(database)
        rpc = await stack.enter_async_context(JsonRpc(settings.rpc_url))
        feed = await stack.enter_async_context(HeadFeed(settings.rpc_url))
        chain_id, rlc = await rpc.chain_id(), await Hub(rpc, settings.hub).token()
        transactions = await stack.enter_async_context(
            TransactionManager(rpc, signer, database, feed, chain_id=chain_id, clock=clock, totals=totals)
        )
        observe_chain(observation, rpc, feed, clock)
        observe_transactions(observation, totals, lambda: transactions)
        terms = Terms(
            chain_id=chain_id,
            account=signer.address,
            nrlc=settings.nrlc,
            wei="0" if is_native(rlc) else str(settings.wei),
            most_nrlc=settings.most_nrlc,
            cooldown_seconds=settings.cooldown_seconds,
        )
        till = Till(rpc, database, transactions, terms, rlc, clock)
        budgets = Budgets(None, os.urandom)
        stack.callback(budgets.close)
        async with anyio.create_task_group() as group:
            group.start_soon(till.keep_promises)
            app = RateLimit(
                create_app(till, observation.routes(refusals=(429,))),
                Limit(settings.rate_limit, settings.rate_limit_seconds),
                budgets,
                clock,
                trusted=read_networks(settings.trusted_proxies),
            )
            await http.serve(observation.around(app), settings.host, settings.port, ready=ready, stop=stop)
            group.cancel_scope.cancel()
