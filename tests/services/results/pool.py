"""A workerpool on a real chain, whose tasks a test takes as far as it wants."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import msgspec

from pyiexec.chain import calls, registries, token
from pyiexec.chain.hub import EVENTS, Hub
from pyiexec.chain.rpc import JsonRpc
from pyiexec.chain.sending import Call, send_all
from pyiexec.chain.signer import Signer
from pyiexec.devnet import roles
from pyiexec.devnet.provision import provision
from pyiexec.protocol import ids
from pyiexec.protocol.eip712 import Domain, order_hash
from pyiexec.protocol.orders import NO_DATASET, AppOrder, Order, RequestOrder, WorkerpoolOrder
from pyiexec.protocol.primitives import (
    NULL_ADDRESS,
    NULL_BYTES32,
    Address,
    Bytes32,
    DealId,
    ResultDigest,
    TaskId,
    bytes32,
    to_bytes,
    to_hex,
)
from pyiexec.protocol.results import ResultLink, format_link, pack
from pyiexec.protocol.tags import encode_tag

WORKER, OTHER_WORKER = roles.worker_account(1), roles.worker_account(2)
REQUESTER, MANAGER = roles.account(roles.REQUESTER), roles.account(roles.POOL_MANAGER)
TEE = encode_tag(["tee", "scone"])


def archive(answer: bytes) -> bytes:
    return pack({"computed.json": b'{"deterministic-output-path": "/iexec_out/result.txt"}', "result.txt": answer})


def digest_of(answer: bytes) -> ResultDigest:
    return ResultDigest(bytes32(sha256(answer).digest()))


class Pool:
    """The marketplace, and the steps of its people."""

    def __init__(
        self, rpc: JsonRpc, url: str, manifest: Any, workerpool: Address, app: Address, salts: Iterator[int]
    ) -> None:
        self.rpc = rpc
        self.url = url
        self.manifest = manifest
        self.hub = Hub(rpc, manifest.hub)
        self.workerpool = workerpool
        self.app = app
        self._salts = salts

    @classmethod
    async def open(cls, rpc: JsonRpc, url: str) -> Pool:
        provisioned = await provision(rpc, [WORKER, OTHER_WORKER], category_seconds=2)
        provider, registry = roles.account(roles.APP_PROVIDER), provisioned.manifest.registries.app
        data = registries.create_app(provider.address, "app", "DOCKER", b"/ipfs/x", bytes32(1))
        created, *_ = await send_all(rpc, provider, [Call(registry, data)])
        deposit = token.approve_and_call(provisioned.manifest.hub, 1_000 * 10**9)
        await send_all(rpc, REQUESTER, [Call(provisioned.manifest.token, deposit)])
        app = registries.created_asset(created, registry)
        return cls(rpc, url, provisioned.manifest, provisioned.workerpool, app, itertools.count(1))

    def connected(self, rpc: JsonRpc) -> Pool:
        """The same through another connection."""
        return Pool(rpc, self.url, self.manifest, self.workerpool, self.app, self._salts)

    async def new_task(self, *, tag: Bytes32 = NULL_BYTES32) -> TaskId:
        """Buy one task and open it."""
        shared: dict[str, Any] = {"volume": 1, "tag": tag}
        app = self._signed(AppOrder(app=self.app, appprice=0, **shared), roles.APP_PROVIDER)
        pool = self._signed(
            WorkerpoolOrder(workerpool=self.workerpool, workerpoolprice=1000, **shared), roles.POOL_MANAGER
        )
        request = self._signed(
            RequestOrder(
                app=self.app,
                workerpool=self.workerpool,
                workerpoolmaxprice=1000,
                requester=REQUESTER.address,
                beneficiary=REQUESTER.address,
                **shared,
            ),
            roles.REQUESTER,
        )
        match = calls.match_orders(app, NO_DATASET, pool, request)
        receipt, *_ = await send_all(self.rpc, REQUESTER, [Call(self.hub.address, match, 2_000_000)])
        notice = EVENTS["SchedulerNotice"]
        log = next(entry for entry in receipt["logs"] if entry["topics"][0] == notice.topic)
        deal = DealId(notice.decode(log)["dealid"])
        await self.send(MANAGER, calls.initialize(deal, 0))
        return ids.task_id(deal, 0)

    def permission(
        self, task_id: TaskId, worker: Signer = WORKER, *, enclave: Address = NULL_ADDRESS, owner: Signer = MANAGER
    ) -> dict[str, Any]:
        """The pool's authorization as the result proxy is shown it."""
        signature = owner.sign_message_hash(ids.authorization_hash(worker.address, task_id, enclave))
        return {
            "chainTaskId": task_id,
            "workerWallet": worker.address,
            "enclaveChallenge": enclave,
            "signature": {"value": to_hex(signature)},
        }

    async def contribute(self, task_id: TaskId, answer: bytes, worker: Signer = WORKER) -> None:
        signature = MANAGER.sign_message_hash(ids.authorization_hash(worker.address, task_id))
        digest = digest_of(answer)
        vote = (ids.result_hash(task_id, digest), ids.result_seal(worker.address, task_id, digest))
        await self.send(worker, calls.contribute(task_id, *vote, signature))

    async def reveal(self, task_id: TaskId, answer: bytes, worker: Signer = WORKER) -> None:
        await self.send(worker, calls.reveal(task_id, digest_of(answer)))

    async def revealed_task(self, answer: bytes) -> TaskId:
        """A task whose result waits to be uploaded."""
        task_id = await self.new_task()
        await self.contribute(task_id, answer)
        await self.reveal(task_id, answer)
        return task_id

    async def finalize(self, task_id: TaskId, location: str) -> None:
        await self.send(MANAGER, calls.finalize(task_id, format_link(ResultLink("ipfs", location))))

    async def send(self, signer: Signer, data: bytes) -> None:
        await send_all(self.rpc, signer, [Call(self.hub.address, data, 1_000_000)])

    def _signed(self, order: Any, role: int) -> Any:
        salted: Order = msgspec.structs.replace(order, salt=bytes32(next(self._salts)))
        digest = order_hash(salted, Domain(self.manifest.chain_id, self.hub.address))
        return msgspec.structs.replace(salted, sign=to_hex(roles.account(role).sign_digest(to_bytes(digest))))
