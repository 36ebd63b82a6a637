"""What a worker works in: a chain with a marketplace, a content store, a workerpool and its money."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from msgspec.structs import replace
from tests.services.serving import served

from pyiexec.chain import calls, registries, token
from pyiexec.chain.anvil import MNEMONIC, Anvil, AnvilOptions
from pyiexec.chain.deployment import DEFAULT_CATEGORIES, Manifest, deploy, short_category
from pyiexec.chain.hub import Hub
from pyiexec.chain.mnemonic import derive
from pyiexec.chain.rpc import JsonRpc
from pyiexec.chain.sending import Call, send_all
from pyiexec.chain.signer import Signer
from pyiexec.protocol import ids
from pyiexec.protocol.authorization import WorkerpoolAuthorization
from pyiexec.protocol.eip712 import Domain, order_hash
from pyiexec.protocol.messages import Assign
from pyiexec.protocol.multiaddr import encode_multiaddr
from pyiexec.protocol.orders import NO_DATASET, AppOrder, DatasetOrder, Order, RequestOrder, WorkerpoolOrder
from pyiexec.protocol.params import DealParams, format_params
from pyiexec.protocol.primitives import Address, Bytes32, DealId, TaskId, bytes32, checksum, to_bytes, to_hex
from pyiexec.results.service import serve as serve_results
from pyiexec.results.settings import ResultsSettings
from pyiexec.storage.client import ContentClient
from pyiexec.worker.record import Mode

APPS = Path(__file__).parents[3] / "apps"
POOL_PRICE = 1_000
#: The category of a few seconds.
SHORT = 5
#: A category of one second, for apps that use up their time.
BRIEF = 6


class Network:
    """Everybody but the worker and its scheduler."""

    def __init__(self, rpc: JsonRpc, anvil: Anvil, manifest: Manifest, gateway: str, content: ContentClient) -> None:
        self.rpc = rpc
        self.anvil = anvil
        self.manifest = manifest
        self.gateway = gateway
        self.content = content
        self.hub = Hub(rpc, manifest.hub)
        self.admin, self.owner, self.requester = (derive(MNEMONIC, index) for index in range(3))
        self.workers = [derive(MNEMONIC, index) for index in range(10, 22)]
        #: Folder of the content store.
        self.store = Path()
        self._salt = 0
        self._registered: dict[str, Address] = {}
        self.workerpool = Address("0x")

    async def send(self, signer: Signer, to: Address, data: bytes, gas: int = 3_000_000) -> None:
        await send_all(self.rpc, signer, [Call(to, data, gas)])

    async def open(self) -> None:
        """Register the pool and give everybody money."""
        fields = (self.owner.address, "a workerpool")
        registry = self.manifest.registries.workerpool
        self.workerpool = await self._predict(registry, "predictWorkerpool", *fields)
        await self.send(self.admin, registry, registries.FUNCTIONS["createWorkerpool"].encode(*fields))
        accounts = [self.owner, self.requester, *self.workers]
        amounts = [10**12] * len(accounts)
        approve = token.FUNCTIONS["approve"].encode(self.hub.address, sum(amounts))
        await self.send(self.admin, self.manifest.token, approve)
        deposit = calls.deposit_for_array(amounts, [account.address for account in accounts])
        await self.send(self.admin, self.hub.address, deposit)

    async def _predict(self, registry: Address, function: str, *fields: object) -> Address:
        answer = await self.rpc.eth_call(registry, registries.FUNCTIONS[function].encode(*fields))
        return checksum(answer[-20:])

    async def app(self, path: str, *, multiaddr: str | None = None, checksum_: Bytes32 | None = None) -> Address:
        """An app registered with the content of a file under apps/."""
        key = f"{path} {multiaddr} {checksum_}"
        if key not in self._registered:
            content = (APPS / path).read_bytes()
            cid = await self.content.add(content)
            digest = checksum_ or bytes32(hashlib.sha256(content).digest())
            where = encode_multiaddr(multiaddr or f"/ipfs/{cid}")
            fields = (self.admin.address, key, "DOCKER", where, digest, b"")
            registry = self.manifest.registries.app
            self._registered[key] = await self._predict(registry, "predictApp", *fields)
            await self.send(self.admin, registry, registries.FUNCTIONS["createApp"].encode(*fields))
        return self._registered[key]

    async def dataset(self, content: bytes, *, checksum_: Bytes32 | None = None) -> Address:
        cid = await self.content.add(content)
        digest = checksum_ or bytes32(hashlib.sha256(content).digest())
        fields = (self.admin.address, f"data {digest}", encode_multiaddr(f"/ipfs/{cid}"), digest)
        registry = self.manifest.registries.dataset
        address = await self._predict(registry, "predictDataset", *fields)
        await self.send(self.admin, registry, registries.FUNCTIONS["createDataset"].encode(*fields))
        return address

    def _sign(self, order: Order, signer: Signer) -> Order:
        digest = order_hash(order, Domain(self.manifest.chain_id, self.hub.address))
        return replace(order, sign=to_hex(signer.sign_digest(to_bytes(digest))))

    async def deal(
        self,
        app: Address,
        *,
        trust: int = 1,
        volume: int = 1,
        category: int = SHORT,
        params: DealParams | None = None,
        dataset: Address | None = None,
        price: int = POOL_PRICE,
    ) -> DealId:
        """Match fresh orders."""
        self._salt += 1
        salt = bytes32(self._salt)
        app_order = self._sign(AppOrder(app=app, appprice=0, volume=volume, salt=salt), self.admin)
        pool_order = self._sign(
            WorkerpoolOrder(
                workerpool=self.workerpool,
                workerpoolprice=price,
                volume=volume,
                category=category,
                trust=trust,
                salt=salt,
            ),
            self.owner,
        )
        dataset_order: Order = NO_DATASET
        if dataset:
            order = DatasetOrder(dataset=dataset, datasetprice=0, volume=volume, salt=salt)
            dataset_order = self._sign(order, self.admin)
        request = self._sign(
            RequestOrder(
                app=app,
                appmaxprice=0,
                workerpoolmaxprice=price,
                requester=self.requester.address,
                volume=volume,
                category=category,
                trust=trust,
                beneficiary=self.requester.address,
                params=format_params(params or DealParams()),
                salt=salt,
                **({"dataset": dataset} if dataset else {}),
            ),
            self.requester,
        )
        data = calls.match_orders(app_order, dataset_order, pool_order, request)  # type: ignore[arg-type]
        await self.send(self.requester, self.hub.address, data)
        domain = Domain(self.manifest.chain_id, self.hub.address)
        return ids.deal_id(order_hash(request, domain), 0)

    async def initialize(self, deal: DealId, indexes: Sequence[int] = (0,)) -> None:
        await self.send(self.owner, self.hub.address, calls.initialize_array([deal] * len(indexes), list(indexes)))

    async def change_policy(self, worker_stake_ratio: int) -> None:
        """What workers lock for each vote in deals to come, in percent of the pool's price."""
        await self.send(self.owner, self.workerpool, registries.change_policy(worker_stake_ratio, 1))

    async def finalize(self, task: TaskId, link: bytes) -> None:
        await self.send(self.owner, self.hub.address, calls.finalize(task, link))

    def assign(self, deal: DealId, worker: Address, index: int = 0, mode: Mode = "contribute") -> Assign:
        task = ids.task_id(deal, index)
        signature = self.owner.sign_message_hash(ids.authorization_hash(worker, task))
        authorization = WorkerpoolAuthorization(
            worker=worker, task_id=task, deal_id=deal, index=index, signature=to_hex(signature)
        )
        return Assign(authorization=authorization, mode=mode, contribution_deadline=4_000_000_000)


@asynccontextmanager
async def running_network(folder: Path) -> AsyncIterator[Network]:
    async with AsyncExitStack() as stack:
        anvil = await stack.enter_async_context(Anvil(AnvilOptions(block_time=1.0)))
        rpc = await stack.enter_async_context(JsonRpc(anvil.url))
        manifest = await deploy(rpc, derive(MNEMONIC, 0), categories=(*DEFAULT_CATEGORIES, short_category(1)))
        settings = ResultsSettings(directory=str(folder / "content"))
        url = await stack.enter_async_context(served(serve_results, settings))
        content = await stack.enter_async_context(ContentClient(url))
        network = Network(rpc, anvil, manifest, url, content)
        network.store = folder / "content"
        await network.open()
        yield network
