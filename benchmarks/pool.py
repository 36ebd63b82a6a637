"""A workerpool to measure: a chain, contracts, services as processes of their own, and bags of tasks bought from it."""

from __future__ import annotations

import itertools
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import anyio
import msgspec

from pyiexec.chain import calls, registries
from pyiexec.chain.anvil import Anvil, AnvilOptions
from pyiexec.chain.hub import EVENTS, Hub
from pyiexec.chain.rpc import JsonRpc
from pyiexec.chain.sending import Call, send_all
from pyiexec.chain.signer import Signer
from pyiexec.devnet import roles
from pyiexec.devnet.hosting import ProcessHost
from pyiexec.devnet.parts import Kind, Part, settings_type
from pyiexec.devnet.provision import Provision, provision
from pyiexec.protocol.eip712 import Domain, order_hash
from pyiexec.protocol.multiaddr import encode_multiaddr
from pyiexec.protocol.orders import NO_DATASET, AppOrder, Order, RequestOrder, WorkerpoolOrder
from pyiexec.protocol.primitives import Address, DealId, bytes32, to_bytes, to_hex
from pyiexec.storage.client import ContentClient

#: Where nothing listens.
NOWHERE = "http://127.0.0.1:1"


class Pool:
    """A chain with a workerpool and an app on it, whose tasks are free of charge.

    Attributes:
        url: of the scheduler, once it is started.
        gateway_url: of the content store, likewise.
    """

    def __init__(self, folder: Path, anvil: Anvil, rpc: JsonRpc, provisioned: Provision, host: ProcessHost) -> None:
        self.folder = folder
        self.anvil = anvil
        self.rpc = rpc
        self.hub = Hub(rpc, provisioned.manifest.hub)
        self.manifest = provisioned.manifest
        self.workerpool = provisioned.workerpool
        self.url = self.gateway_url = NOWHERE
        self._host = host
        self._running: list[str] = []
        self._salts = itertools.count(1)

    async def start_store(self) -> None:
        """Start the content store."""
        self.gateway_url = await self._start("results", Kind.RESULTS, directory=str(self.folder / "content"))

    async def start_scheduler(self, **settings: Any) -> int:
        """Start the scheduler, with SQLite; its process id."""
        key = self._key("scheduler", roles.account(roles.POOL_MANAGER))
        start_block, folder = self.manifest.deployed_at, self.folder / "scheduler"
        self.url = await self._start(
            "scheduler",
            Kind.SCHEDULER,
            key_file=key,
            data_dir=folder,
            start_block=start_block,
            **self._common(),
            **settings,
        )
        return self._host.pid("scheduler")

    async def start_worker(self, name: str, signer: Signer, **settings: Any) -> None:
        """Start a real worker, and wait until the scheduler has let it in."""
        key, folder, common = self._key(name, signer), self.folder / name, self._common()
        common["scheduler_url"] = self.url
        await self._start(name, Kind.WORKER, name=name, key_file=key, data_dir=folder, **common, **settings)

    async def _start(self, part: str, kind: Kind, **settings: Any) -> str:
        url = await self._host.start(Part(part, kind, settings_type(kind)(**settings)))
        self._running.append(part)
        return url

    async def stop(self) -> None:
        """End all services; the chain stays."""
        while self._running:
            await self._host.stop(self._running.pop())

    def processor_seconds(self) -> dict[str, float]:
        """What the chain and each service have used of the processors so far."""
        pids = {"chain": self.anvil.pid} | {name: self._host.pid(name) for name in self._running}
        ticks = os.sysconf("SC_CLK_TCK")

        def used(pid: int) -> float:
            # After the name, which may hold anything: user and system time are the 12th and 13th.
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / ticks

        return {name: used(pid) for name, pid in pids.items()}

    def _common(self) -> dict[str, Any]:
        return {
            "rpc_url": self.anvil.url,
            "hub": self.hub.address,
            "workerpool": self.workerpool,
            "gateway_url": self.gateway_url,
        }

    def _key(self, name: str, signer: Signer) -> Path:
        file = self.folder / f"{name}.key"
        file.touch(mode=0o600)
        file.write_text(to_hex(signer.secret))
        return file

    async def register(self, module: bytes) -> Address:
        """An app of this module, which the content store has if it was started."""
        location = sha256(module).hexdigest()
        if self.gateway_url != NOWHERE:
            async with ContentClient(self.gateway_url) as content:
                location = str(await content.add(module))
        provider, registry = roles.account(roles.APP_PROVIDER), self.manifest.registries.app
        multiaddr = encode_multiaddr(f"/ipfs/{location}") if self.gateway_url != NOWHERE else location.encode()
        checksum = bytes32(sha256(module).digest())
        creation = registries.create_app(provider.address, "app", "DOCKER", multiaddr, checksum)
        created, *_ = await send_all(self.rpc, provider, [Call(registry, creation)])
        return registries.created_asset(created, registry)

    async def buy(self, app: Address, volume: int, *, trust: int, category: int) -> DealId:
        """Match one set of orders for a bag of tasks, and wait until it is mined."""
        requester, pool = roles.account(roles.REQUESTER), self.workerpool
        common: dict[str, Any] = {"volume": volume, "category": category, "trust": trust, "workerpool": pool}
        match = calls.match_orders(
            self._signed(AppOrder(app=app, volume=volume, salt=self._salt()), roles.APP_PROVIDER),
            NO_DATASET,
            self._signed(WorkerpoolOrder(salt=self._salt(), **common), roles.POOL_MANAGER),
            self._signed(
                RequestOrder(app=app, requester=requester.address, salt=self._salt(), **common), roles.REQUESTER
            ),
        )
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
async def pool(folder: Path, options: AnvilOptions, workers: Sequence[Signer] = ()) -> AsyncIterator[Pool]:
    """A chain made for it, with nothing running on it yet; `workers` get their stakes."""
    await anyio.Path(folder).mkdir(parents=True, exist_ok=True)
    async with Anvil(options) as anvil, JsonRpc(anvil.url) as rpc, anyio.create_task_group() as group:
        provisioned = await provision(rpc, workers, category_seconds=5)
        made = Pool(folder, anvil, rpc, provisioned, ProcessHost(folder, group))
        try:
            yield made
        finally:
            with anyio.CancelScope(shield=True):
                await made.stop()
            group.cancel_scope.cancel()
