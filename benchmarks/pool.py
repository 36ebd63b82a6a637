"""A workerpool to measure: a chain with the market on it, the scheduler as a process, and bags of tasks bought from it."""

from __future__ import annotations

import asyncio
import itertools
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import anyio
import msgspec
import uvloop

from pyiexec.chain import calls, registries
from pyiexec.chain.anvil import Anvil, AnvilOptions
from pyiexec.chain.hub import EVENTS, Hub
from pyiexec.chain.rpc import JsonRpc
from pyiexec.chain.sending import Call, send_all
from pyiexec.chain.signer import Signer
from pyiexec.devnet import roles
from pyiexec.devnet.provision import Provision, provision
from pyiexec.foundation.settings import from_json, save_settings
from pyiexec.protocol.eip712 import Domain, order_hash
from pyiexec.protocol.orders import NO_DATASET, AppOrder, Order, RequestOrder, WorkerpoolOrder
from pyiexec.protocol.primitives import Address, DealId, bytes32, to_bytes, to_hex
from pyiexec.scheduler.service import serve
from pyiexec.scheduler.settings import SchedulerSettings

#: How a benchmark is told to be the scheduler that it measures.
SERVE = "--serve-scheduler"


class Pool:
    """A chain with a workerpool and an app on it, whose tasks are free of charge.

    Attributes:
        app: registered; its file is nowhere, for workers that only act as if they ran it.
    """

    def __init__(self, anvil: Anvil, rpc: JsonRpc, provisioned: Provision, app: Address) -> None:
        self.anvil = anvil
        self.rpc = rpc
        self.hub = Hub(rpc, provisioned.manifest.hub)
        self.manifest = provisioned.manifest
        self.workerpool = provisioned.workerpool
        self.app = app
        self._salts = itertools.count(1)

    async def buy(self, volume: int, *, trust: int, category: int) -> DealId:
        """Match one set of orders for a bag of tasks, and wait until it is mined."""
        requester = roles.account(roles.REQUESTER)
        common: dict[str, Any] = {"volume": volume, "category": category, "trust": trust}
        orders = (
            self._signed(AppOrder(app=self.app, volume=volume, salt=self._salt()), roles.APP_PROVIDER),
            NO_DATASET,
            self._signed(WorkerpoolOrder(workerpool=self.workerpool, salt=self._salt(), **common), roles.POOL_MANAGER),
            self._signed(
                RequestOrder(
                    app=self.app, workerpool=self.workerpool, requester=requester.address, salt=self._salt(), **common
                ),
                roles.REQUESTER,
            ),
        )
        match = calls.match_orders(*orders)
        receipt, *_ = await send_all(self.rpc, requester, [Call(self.hub.address, match, 2_000_000)])
        notice = EVENTS["SchedulerNotice"]
        log = next(entry for entry in receipt["logs"] if entry["topics"][0] == notice.topic)
        return DealId(notice.decode(log)["dealid"])

    def _salt(self) -> Any:
        return bytes32(next(self._salts))

    def _signed(self, order: Any, role: int) -> Any:
        domain = Domain(self.manifest.chain_id, self.hub.address)
        typed: Order = order
        signature = roles.account(role).sign_digest(to_bytes(order_hash(typed, domain)))
        return msgspec.structs.replace(order, sign=to_hex(signature))


@asynccontextmanager
async def pool(options: AnvilOptions, workers: Sequence[Signer] = ()) -> AsyncIterator[Pool]:
    """A chain made for it; `workers` get their stakes."""
    async with Anvil(options) as anvil, JsonRpc(anvil.url) as rpc:
        provisioned = await provision(rpc, workers, category_seconds=5)
        provider, registry = roles.account(roles.APP_PROVIDER), provisioned.manifest.registries.app
        checksum = bytes32(sha256(b"app").digest())
        creation = registries.create_app(provider.address, "app", "DOCKER", b"/ipfs/x", checksum)
        created, *_ = await send_all(rpc, provider, [Call(registry, creation)])
        yield Pool(anvil, rpc, provisioned, registries.created_asset(created, registry))


@asynccontextmanager
async def scheduler(pool: Pool, folder: Path, **settings: Any) -> AsyncIterator[str]:
    """The URL of the pool's scheduler, in a process of its own, with SQLite in `folder`."""
    key = folder / "pool.key"
    key.touch(mode=0o600)
    key.write_text(to_hex(roles.account(roles.POOL_MANAGER).secret))
    values: dict[str, Any] = {
        "key_file": key,
        "rpc_url": pool.anvil.url,
        "hub": pool.hub.address,
        "workerpool": pool.workerpool,
        "gateway_url": "http://127.0.0.1:1",
        "data_dir": folder / "scheduler",
        "start_block": pool.manifest.deployed_at,
    }
    file = folder / "scheduler.json"
    save_settings(SchedulerSettings(**values | settings), file)
    process = await asyncio.create_subprocess_exec(
        sys.executable, sys.argv[0], SERVE, str(file), stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None, "it was asked for"
        url = (await process.stdout.readline()).decode().strip()
        if not url:
            raise SystemExit("the scheduler did not start")
        yield url
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


def be_the_scheduler_if_told() -> bool:
    """To be called first by a benchmark that starts a scheduler; whether the process was one, and is over."""
    if SERVE not in sys.argv:
        return False
    settings = from_json(Path(sys.argv[-1]).read_bytes(), SchedulerSettings)
    uvloop.run(_serve(settings))
    return True


async def _serve(settings: SchedulerSettings) -> None:
    stop = anyio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await serve(settings, ready=lambda url: print(url, flush=True), stop=stop)
