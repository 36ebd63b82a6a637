"""A chain with the whole marketplace on it, a content store, and schedulers to start and kill."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import anyio.abc
import msgspec
import pytest
from tests.services.scheduler.scripted import ScriptedWorker
from tests.services.serving import served

from pyiexec.chain import calls, registries, token
from pyiexec.chain.anvil import Anvil, AnvilOptions
from pyiexec.chain.hub import EVENTS, Hub
from pyiexec.chain.rpc import JsonRpc
from pyiexec.chain.sending import Call, send_all
from pyiexec.devnet import roles
from pyiexec.devnet.provision import Provision, provision
from pyiexec.protocol.deals import Deal
from pyiexec.protocol.eip712 import Domain, order_hash
from pyiexec.protocol.orders import NO_DATASET, AppOrder, DatasetOrder, Order, RequestOrder, WorkerpoolOrder
from pyiexec.protocol.primitives import (
    NULL_ADDRESS,
    NULL_BYTES32,
    Address,
    Bytes32,
    DealId,
    TaskId,
    bytes32,
    to_bytes,
    to_hex,
)
from pyiexec.protocol.tasks import TaskStatus
from pyiexec.results.service import serve as serve_results
from pyiexec.results.settings import ResultsSettings
from pyiexec.scheduler.service import serve
from pyiexec.scheduler.settings import SchedulerSettings
from pyiexec.storage.client import ContentClient

WORKERS = 7
HEARTBEAT = 0.2
#: Category of an hour's order, and the one whose deadlines pass within a test.
LONG, SHORT = 0, 5


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Net:
    """Everything but the scheduler."""

    def __init__(
        self, rpc: JsonRpc, url: str, provisioned: Provision, content: ContentClient, path: Path, database_url: str
    ) -> None:
        self.rpc = rpc
        self.url = url
        self.hub = Hub(rpc, provisioned.manifest.hub)
        self.manifest = provisioned.manifest
        self.workerpool = provisioned.workerpool
        self.content = content
        self.path = path
        self.database_url = database_url
        self.app: Address = NULL_ADDRESS
        self.workers = [
            ScriptedWorker(roles.worker_account(number), rpc=rpc, hub=self.hub.address, content=content)
            for number in range(1, WORKERS + 1)
        ]
        self._salts = itertools.count(1)

    def settings(self, **changes: Any) -> SchedulerSettings:
        key = self.path / "pool.key"
        key.write_text(to_hex(roles.account(roles.POOL_MANAGER).secret))
        key.chmod(0o600)
        values: dict[str, Any] = {
            "key_file": key,
            "rpc_url": self.url,
            "hub": self.hub.address,
            "workerpool": self.workerpool,
            "gateway_url": self.content.gateway_url,
            "data_dir": self.path / "scheduler",
            "database_url": self.database_url,
            "heartbeat_seconds": HEARTBEAT,
            "patience_seconds": 1,
        }
        return SchedulerSettings(**values | changes)

    @asynccontextmanager
    async def scheduler(self, **changes: Any) -> AsyncIterator[str]:
        """A running scheduler's URL; it is stopped at the end of the block."""
        async with served(serve, self.settings(**changes)) as url:
            yield url

    async def open_market(self) -> None:
        provider = roles.account(roles.APP_PROVIDER)
        registry = self.manifest.registries.app
        data = registries.create_app(provider.address, "app", "DOCKER", b"/ipfs/x", bytes32(sha256(b"app").digest()))
        created, *_ = await send_all(self.rpc, provider, [Call(registry, data)])
        self.app = registries.created_asset(created, registry)
        deposit = token.approve_and_call(self.hub.address, 1_000 * 10**9)
        await send_all(self.rpc, roles.account(roles.REQUESTER), [Call(self.manifest.token, deposit)])

    async def buy(
        self,
        *,
        trust: int = 1,
        volume: int = 1,
        category: int = LONG,
        callback: Address = NULL_ADDRESS,
        tag: Bytes32 = NULL_BYTES32,
        contract: Address | None = None,
        boost: bool = False,
        pool: WorkerpoolOrder | None = None,
        dataset: Address = NULL_ADDRESS,
    ) -> DealId:
        """Match four orders, `pool` among them if it is given, and else one made for it.

        A `contract` that orders must take the requester's signature for its own.
        """
        requester, manager = roles.account(roles.REQUESTER), roles.account(roles.POOL_MANAGER)
        app = self._signed(
            AppOrder(app=self.app, appprice=1000, volume=volume, tag=tag, salt=self._salt()), roles.APP_PROVIDER
        )
        pool = pool or self._signed(
            WorkerpoolOrder(
                workerpool=self.workerpool,
                workerpoolprice=1_000_000,
                volume=volume,
                category=category,
                trust=trust,
                tag=tag,
                salt=self._salt(),
            ),
            roles.POOL_MANAGER,
        )
        data: Any = NO_DATASET
        if dataset != NULL_ADDRESS:
            data = self._signed(DatasetOrder(dataset=dataset, volume=volume, salt=self._salt()), roles.DATASET_PROVIDER)
        request = self._signed(
            RequestOrder(
                app=self.app,
                appmaxprice=1000,
                dataset=dataset,
                workerpool=self.workerpool,
                workerpoolmaxprice=1_000_000,
                requester=contract or requester.address,
                volume=volume,
                category=category,
                trust=trust,
                callback=callback,
                tag=tag,
                salt=self._salt(),
            ),
            roles.REQUESTER,
        )
        assert manager.address
        match = calls.match_orders(app, data, pool, request, boost=boost)
        receipt, *_ = await send_all(self.rpc, requester, [Call(self.hub.address, match, 2_000_000)])
        notice = EVENTS["SchedulerNoticeBoost" if boost else "SchedulerNotice"]
        log = next(entry for entry in receipt["logs"] if entry["topics"][0] == notice.topic)
        return DealId(notice.decode(log)["dealId" if boost else "dealid"])

    async def create_dataset(self, content: bytes) -> Address:
        """Register a dataset; where it lies is nobody's business here."""
        provider, registry = roles.account(roles.DATASET_PROVIDER), self.manifest.registries.dataset
        digest = bytes32(sha256(content).digest())
        data = registries.create_dataset(provider.address, content.decode(), b"/ipfs/y", digest)
        created, *_ = await send_all(self.rpc, provider, [Call(registry, data)])
        return registries.created_asset(created, registry)

    def _salt(self) -> Any:
        return bytes32(next(self._salts))

    def _signed(self, order: Any, role: int) -> Any:
        domain = Domain(self.manifest.chain_id, self.hub.address)
        typed: Order = order
        signature = roles.account(role).sign_digest(to_bytes(order_hash(typed, domain)))
        return msgspec.structs.replace(order, sign=to_hex(signature))

    async def tasks_of(self, deal_id: DealId) -> list[TaskId]:
        deal: Deal = await self.hub.deal(deal_id)
        return deal.task_ids(deal_id)

    async def settled(self, deal_id: DealId, seconds: float = 30) -> list[TaskStatus]:
        """What became of the tasks of a deal, once the chain has settled all."""
        ids = await self.tasks_of(deal_id)
        with anyio.fail_after(seconds):
            while True:
                found = [task.status for task in await self.hub.tasks(ids)]
                if all(status in (TaskStatus.COMPLETED, TaskStatus.FAILED) for status in found):
                    return found
                await anyio.sleep(0.02)


async def shown(url: str, path: str) -> Any:
    """The JSON of a GET."""
    async with aiohttp.ClientSession() as session, session.get(url + path) as response:
        return await response.json()


async def until_shown(url: str, path: str, condition: Any, seconds: float = 20) -> Any:
    """The JSON of a GET once it fulfils a condition."""
    found: Any = None
    with anyio.move_on_after(seconds):
        while True:
            found = await shown(url, path)
            if condition(found):
                return found
            await anyio.sleep(0.03)
    raise AssertionError(f"{path} stayed {found}")


@pytest.fixture
async def net(tmp_path: Path, database_url: str) -> AsyncIterator[Net]:
    store = ResultsSettings(directory=str(tmp_path / "content"))
    async with (
        Anvil(AnvilOptions()) as anvil,
        JsonRpc(anvil.url) as rpc,
        served(serve_results, store) as store_url,
        ContentClient(store_url) as content,
    ):
        signers = [roles.worker_account(number) for number in range(1, WORKERS + 1)]
        provisioned = await provision(rpc, signers, category_seconds=2)
        network = Net(rpc, anvil.url, provisioned, content, tmp_path, database_url)
        await network.open_market()
        yield network
