"""A small marketplace on a chain of its own, where each thing is done by one call and mined in a block."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec

from pyiexec.chain import calls, registries, token
from pyiexec.chain.anvil import MNEMONIC
from pyiexec.chain.deployment import Manifest, deploy
from pyiexec.chain.mnemonic import derive
from pyiexec.chain.rpc import JsonRpc
from pyiexec.chain.signer import Signer
from pyiexec.protocol.eip712 import Domain, order_hash
from pyiexec.protocol.ids import authorization_hash, deal_id, task_id
from pyiexec.protocol.orders import NO_DATASET, AppOrder, DatasetOrder, RequestOrder, WorkerpoolOrder
from pyiexec.protocol.primitives import Address, DealId, ResultDigest, TaskId, bytes32, to_bytes, to_hex

ADMIN, APP_OWNER, DATASET_OWNER, SCHEDULER, REQUESTER, WORKER, STRANGER = (derive(MNEMONIC, n) for n in range(7))
STAKE = 10**15
GAS = 8_000_000
PRICE = 1_000_000_000


class Marketplace:
    """A hub with an app, a dataset and a workerpool.

    Attributes:
        deals: made so far.
    """

    def __init__(self, rpc: JsonRpc, manifest: Manifest) -> None:
        self.rpc = rpc
        self.manifest = manifest
        self.hub = manifest.hub
        self.domain = Domain(manifest.chain_id, manifest.hub)
        self.salts = itertools.count(1)
        self.app = self.dataset = self.workerpool = Address("")

    @classmethod
    async def open(cls, url: str) -> Marketplace:
        """Deploy everything on a new chain."""
        rpc = JsonRpc(url)
        market = cls(rpc, await deploy(rpc, ADMIN))
        await rpc.call("evm_setIntervalMining", 0)
        await rpc.call("evm_setAutomine", True)
        entries = market.manifest.registries
        app = registries.create_app(APP_OWNER.address, "an app", "WASM", b"/ipfs/x", bytes32(1), b"mr")
        market.app = await market.create(APP_OWNER, entries.app, app)
        dataset = registries.create_dataset(DATASET_OWNER.address, "a dataset", b"/ipfs/y", bytes32(2))
        market.dataset = await market.create(DATASET_OWNER, entries.dataset, dataset)
        pool = registries.create_workerpool(SCHEDULER.address, "a pool")
        market.workerpool = await market.create(SCHEDULER, entries.workerpool, pool)
        everybody = [SCHEDULER.address, REQUESTER.address, WORKER.address]
        await market.send(ADMIN, market.manifest.token, token.approve(market.hub, STAKE * len(everybody)))
        await market.send(ADMIN, market.hub, calls.deposit_for_array([STAKE] * len(everybody), everybody))
        return market

    async def send(self, sender: Signer, to: Address, data: bytes) -> dict[str, Any]:
        """Mine a transaction."""
        transaction = {"from": sender.address, "to": to, "data": to_hex(data), "gas": hex(GAS)}
        receipt: dict[str, Any] = await self.rpc.call("eth_sendTransactionSync", transaction)
        assert receipt["status"] == "0x1"
        return receipt

    async def create(self, owner: Signer, registry: Address, data: bytes) -> Address:
        """Register an asset."""
        return registries.created_asset(await self.send(owner, registry, data), registry)

    def _signed(self, order: Any, signer: Signer) -> Any:
        salted = msgspec.structs.replace(order, salt=bytes32(next(self.salts)))
        return msgspec.structs.replace(
            salted, sign=to_hex(signer.sign_digest(to_bytes(order_hash(salted, self.domain))))
        )

    async def match(self, params: str = "", *, volume: int = 1, dataset: bool = False, boost: bool = False) -> DealId:
        """Make a deal."""
        app = self._signed(AppOrder(app=self.app, appprice=3, volume=volume), APP_OWNER)
        data_order = NO_DATASET
        if dataset:
            data_order = self._signed(DatasetOrder(dataset=self.dataset, datasetprice=2, volume=volume), DATASET_OWNER)
        pool_order = WorkerpoolOrder(workerpool=self.workerpool, workerpoolprice=PRICE, volume=volume)
        pool = self._signed(pool_order, SCHEDULER)
        request: RequestOrder = self._signed(
            RequestOrder(
                app=self.app,
                appmaxprice=3,
                dataset=data_order.dataset,
                datasetmaxprice=data_order.datasetprice,
                workerpoolmaxprice=PRICE,
                requester=REQUESTER.address,
                beneficiary=STRANGER.address,
                volume=volume,
                params=params,
            ),
            REQUESTER,
        )
        await self.send(REQUESTER, self.hub, calls.match_orders(app, data_order, pool, request, boost=boost))
        return deal_id(order_hash(request, self.domain), 0)

    async def begin(self, deal: DealId, index: int = 0) -> TaskId:
        """Initialize a task."""
        await self.send(SCHEDULER, self.hub, calls.initialize(deal, index))
        return task_id(deal, index)

    async def finish(self, task: TaskId, results: bytes = b"{}") -> None:
        """Contribute and finalize at once."""
        sign = SCHEDULER.sign_message_hash(authorization_hash(WORKER.address, task))
        digest = ResultDigest(bytes32(7))
        await self.send(WORKER, self.hub, calls.contribute_and_finalize(task, digest, results, sign))

    async def push(self, deal: DealId, index: int) -> TaskId:
        """Do a task of a Boost deal."""
        task = task_id(deal, index)
        sign = SCHEDULER.sign_message_hash(authorization_hash(WORKER.address, task))
        await self.send(WORKER, self.hub, calls.push_result_boost(deal, index, b"{}", sign))
        return task
