"""An order book on a real socket, over a real chain with a deployed hub."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import anyio
import msgspec
import pytest
from tests.services.serving import SetClock, served

from pyiexec.chain import calls, registries, token
from pyiexec.chain.anvil import MNEMONIC, Anvil, AnvilOptions
from pyiexec.chain.deployment import Manifest, deploy
from pyiexec.chain.mnemonic import derive
from pyiexec.chain.orderbook import OrderBook
from pyiexec.chain.rpc import JsonRpc
from pyiexec.chain.sending import Call, send_all
from pyiexec.chain.signer import Signer
from pyiexec.foundation.http import http_session
from pyiexec.market.service import serve
from pyiexec.market.settings import MarketSettings
from pyiexec.protocol.eip712 import Domain, order_hash
from pyiexec.protocol.orders import NO_DATASET, AppOrder, DatasetOrder, Order, RequestOrder, WorkerpoolOrder
from pyiexec.protocol.primitives import Address, OrderHash, bytes32, to_bytes, to_hex

ADMIN, APP_OWNER, DATASET_OWNER, POOL_OWNER, REQUESTER, STRANGER = (derive(MNEMONIC, number) for number in range(6))
#: What pool owner and requester have in the hub, nRLC.
DEPOSIT = 10_000


@dataclass
class Chain:
    """A marketplace with one app, dataset and workerpool."""

    url: str
    manifest: Manifest
    app: Address
    dataset: Address
    workerpool: Address
    salts: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    @property
    def domain(self) -> Domain:
        return Domain(self.manifest.chain_id, self.manifest.hub)

    def hash(self, order: Order) -> OrderHash:
        return order_hash(order, self.domain)

    def signed(self, order: Any, signer: Signer) -> Any:
        salted = msgspec.structs.replace(order, salt=bytes32(next(self.salts)))
        return msgspec.structs.replace(salted, sign=to_hex(signer.sign_digest(to_bytes(self.hash(salted)))))

    def app_order(self, **fields: Any) -> AppOrder:
        order: AppOrder = self.signed(AppOrder(**{"app": self.app, "appprice": 3, "volume": 10} | fields), APP_OWNER)
        return order

    def dataset_order(self, **fields: Any) -> DatasetOrder:
        defaults = {"dataset": self.dataset, "datasetprice": 2, "volume": 10}
        order: DatasetOrder = self.signed(DatasetOrder(**defaults | fields), DATASET_OWNER)
        return order

    def pool_order(self, **fields: Any) -> WorkerpoolOrder:
        defaults = {"workerpool": self.workerpool, "workerpoolprice": 100, "volume": 10}
        order: WorkerpoolOrder = self.signed(WorkerpoolOrder(**defaults | fields), POOL_OWNER)
        return order

    def request_order(self, **fields: Any) -> RequestOrder:
        defaults = {"app": self.app, "appmaxprice": 3, "workerpoolmaxprice": 100, "requester": REQUESTER.address}
        order: RequestOrder = self.signed(RequestOrder(**defaults | {"volume": 2} | fields), REQUESTER)
        return order

    async def send(self, signer: Signer, *sent: Call) -> list[dict[str, Any]]:
        async with JsonRpc(self.url) as rpc:
            return await send_all(rpc, signer, sent)

    async def match(self, app: AppOrder, pool: WorkerpoolOrder, request: RequestOrder) -> None:
        data = calls.match_orders(app, NO_DATASET, pool, request)
        await self.send(REQUESTER, Call(self.manifest.hub, data, 1_500_000, "match"))

    async def close(self, order: Order, signer: Signer) -> None:
        data = calls.manage_order(order, calls.OrderOperation.CLOSE)
        await self.send(signer, Call(self.manifest.hub, data, title="close"))

    async def presign(self, order: Order, signer: Signer) -> None:
        data = calls.manage_order(order, calls.OrderOperation.SIGN)
        await self.send(signer, Call(self.manifest.hub, data, title="presign"))


async def _prepare(url: str) -> Chain:
    async with JsonRpc(url) as rpc:
        manifest = await deploy(rpc, ADMIN)

        async def create(registry: Address, signer: Signer, data: bytes) -> Address:
            receipts = await send_all(rpc, signer, [Call(registry, data, 3_000_000, "create an asset")])
            return registries.created_asset(receipts[0], registry)

        entries = manifest.registries
        app = registries.create_app(APP_OWNER.address, "app", "DOCKER", b"/ipfs/x", bytes32(1))
        dataset = registries.create_dataset(DATASET_OWNER.address, "dataset", b"/ipfs/y", bytes32(2))
        workerpool = registries.create_workerpool(POOL_OWNER.address, "pool")
        chain = Chain(
            url,
            manifest,
            await create(entries.app, APP_OWNER, app),
            await create(entries.dataset, DATASET_OWNER, dataset),
            await create(entries.workerpool, POOL_OWNER, workerpool),
        )
        funded = [POOL_OWNER.address, REQUESTER.address]
        deposit = calls.deposit_for_array([DEPOSIT] * len(funded), funded)
        approve = token.approve(manifest.hub, DEPOSIT * len(funded))
        await send_all(rpc, ADMIN, [Call(manifest.token, approve), Call(manifest.hub, deposit)])
        return chain


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session")
def deployed() -> Iterator[Chain]:
    with asyncio.Runner() as runner:
        anvil = runner.run(Anvil(AnvilOptions(block_time=3600)).start())
        try:
            yield runner.run(_prepare(anvil.url))
        finally:
            runner.run(anvil.stop())


@pytest.fixture
async def chain(deployed: Chain) -> AsyncIterator[Chain]:
    """The marketplace in the state it was deployed in."""
    async with JsonRpc(deployed.url) as rpc:
        snapshot = await rpc.call("evm_snapshot")
        yield deployed
        await rpc.call("evm_revert", snapshot)


@dataclass
class Market:
    """A running order book and its client."""

    url: str
    book: OrderBook
    session: aiohttp.ClientSession
    chain: Chain
    clock: SetClock

    async def get(self, path: str, **query: str) -> tuple[int, Any]:
        return await self.request("GET", path, **query)

    async def request(self, method: str, path: str, body: Any = None, token: str = "", **query: str) -> tuple[int, Any]:
        params = {"chainId": str(self.chain.manifest.chain_id)} | query
        headers = {"authorization": token} if token else {}
        async with self.session.request(method, self.url + path, params=params, json=body, headers=headers) as response:
            assert response.content_type == "application/json"
            return response.status, await response.json()

    async def token(self, signer: Signer) -> str:
        return await self.book._login(signer)

    async def until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        """Wait for something the chain is about to tell the book."""
        with anyio.fail_after(20):
            while not await condition():  # noqa: ASYNC110 - the book does not push
                await anyio.sleep(0.02)

    async def until_status(self, kind: str, order: Order, status: str, remaining: int) -> None:
        async def reached() -> bool:
            found = await self.book.order(kind, self.chain.hash(order))
            return (found.status, found.remaining) == (status, remaining)

        await self.until(reached)


@asynccontextmanager
async def running(chain: Chain, database_url: str, **options: Any) -> AsyncIterator[Market]:
    """An order book over a database, stopped in the end."""
    settings = MarketSettings(
        database_url=database_url,
        chain_id=chain.manifest.chain_id,
        hub=chain.manifest.hub,
        **{"rpc_url": chain.url, "start_block": chain.manifest.deployed_at, "rate_limit": 0} | options,
    )
    clock = SetClock()
    async with served(serve, settings, clock=clock) as url, http_session() as session:
        yield Market(url, OrderBook(url, chain.manifest.chain_id, session), session, chain, clock)


@pytest.fixture
async def market(chain: Chain, database_url: str) -> AsyncIterator[Market]:
    async with running(chain, database_url) as market:
        yield market
