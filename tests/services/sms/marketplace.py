"""A chain with assets whose owners keep secrets: keys, and a contract wallet."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from vyper.compiler import compile_code
from vyper.compiler.settings import Settings

from pyiexec.chain import calls, registries
from pyiexec.chain.anvil import MNEMONIC, Anvil, AnvilOptions
from pyiexec.chain.deployment import Manifest, deploy
from pyiexec.chain.hub import EVENTS_BY_TOPIC
from pyiexec.chain.mnemonic import derive
from pyiexec.chain.rpc import JsonRpc
from pyiexec.chain.sending import Call, send_all
from pyiexec.chain.signer import Signer
from pyiexec.protocol import ids
from pyiexec.protocol.eip712 import Domain, order_hash
from pyiexec.protocol.orders import NO_DATASET, AppOrder, RequestOrder, WorkerpoolOrder
from pyiexec.protocol.primitives import Address, DealId, TaskId, bytes32, checksum, to_bytes, to_hex

ADMIN, APP_OWNER, DATASET_OWNER, POOL_OWNER, REQUESTER, STRANGER = (derive(MNEMONIC, number) for number in range(6))
#: Whose signature the contract wallet takes for its own.
WALLET_KEY = derive(MNEMONIC, 6)

#: A contract account (ERC-1271) with one key.
_WALLET = """
# pragma version 0.4.3
key: immutable(address)

@deploy
def __init__(k: address):
    key = k

@external
@view
def isValidSignature(digest: bytes32, signature: Bytes[1024]) -> bytes4:
    if len(signature) != 65:
        return 0x00000000
    r: uint256 = extract32(signature, 0, output_type=uint256)
    s: uint256 = extract32(signature, 32, output_type=uint256)
    v: uint256 = convert(slice(signature, 64, 1), uint256)
    if ecrecover(digest, v, r, s) == key:
        return 0x1626ba7e
    return 0x00000000
"""


@dataclass
class Marketplace:
    """What stands on the chain; `task` and `plain_task` are active, the first for an enclave."""

    url: str
    manifest: Manifest
    wallet: Address
    app: Address
    dataset: Address
    wallets_dataset: Address
    workerpool: Address
    wallets_workerpool: Address
    task: TaskId
    plain_task: TaskId

    @property
    def domain(self) -> Domain:
        return Domain(self.manifest.chain_id, self.manifest.hub)


class _Builder:
    def __init__(self, rpc: JsonRpc, manifest: Manifest) -> None:
        self.rpc = rpc
        self.manifest = manifest
        self._salts = itertools.count(1)

    async def deploy_wallet(self) -> Address:
        compiled = compile_code(_WALLET, output_formats=["bytecode"], settings=Settings(evm_version="cancun"))
        code = bytes.fromhex(compiled["bytecode"][2:]) + to_bytes(WALLET_KEY.address).rjust(32, b"\0")
        receipts = await send_all(self.rpc, ADMIN, [Call(None, code, 2_000_000, "deploy the wallet")])
        return checksum(receipts[0]["contractAddress"].lower())

    async def create(self, registry: Address, data: bytes) -> Address:
        receipts = await send_all(self.rpc, ADMIN, [Call(registry, data, 3_000_000, "create an asset")])
        return registries.created_asset(receipts[0], registry)

    def _signed(self, order: Any, signer: Signer) -> Any:
        salted = msgspec.structs.replace(order, salt=bytes32(next(self._salts)))
        digest = order_hash(salted, Domain(self.manifest.chain_id, self.manifest.hub))
        return msgspec.structs.replace(salted, sign=to_hex(signer.sign_digest(to_bytes(digest))))

    async def active_task(self, app: Address, pool: Address, tag: int) -> TaskId:
        word = bytes32(tag)
        data = calls.match_orders(
            self._signed(AppOrder(app=app, volume=1, tag=word), APP_OWNER),
            NO_DATASET,
            self._signed(WorkerpoolOrder(workerpool=pool, volume=1, tag=word), POOL_OWNER),
            self._signed(RequestOrder(app=app, requester=REQUESTER.address, volume=1, tag=word), REQUESTER),
        )
        [receipt] = await send_all(self.rpc, REQUESTER, [Call(self.manifest.hub, data, 1_500_000, "match")])
        [deal] = [
            DealId(EVENTS_BY_TOPIC[log["topics"][0]].decode(log)["dealid"])
            for log in receipt["logs"]
            if getattr(EVENTS_BY_TOPIC.get(log["topics"][0]), "name", "") == "OrdersMatched"
        ]
        await send_all(self.rpc, REQUESTER, [Call(self.manifest.hub, calls.initialize(deal, 0), title="initialize")])
        return ids.task_id(deal, 0)


async def _prepare(url: str) -> Marketplace:
    async with JsonRpc(url) as rpc:
        manifest = await deploy(rpc, ADMIN)
        build = _Builder(rpc, manifest)
        wallet = await build.deploy_wallet()
        entries = manifest.registries
        app = await build.create(
            entries.app, registries.create_app(APP_OWNER.address, "app", "DOCKER", b"/ipfs/x", bytes32(1))
        )
        pool = await build.create(entries.workerpool, registries.create_workerpool(POOL_OWNER.address, "pool"))
        return Marketplace(
            url=url,
            manifest=manifest,
            wallet=wallet,
            app=app,
            dataset=await build.create(
                entries.dataset, registries.create_dataset(DATASET_OWNER.address, "dataset", b"/ipfs/y", bytes32(2))
            ),
            wallets_dataset=await build.create(
                entries.dataset, registries.create_dataset(wallet, "wallet's", b"/ipfs/z", bytes32(3))
            ),
            workerpool=pool,
            wallets_workerpool=await build.create(
                entries.workerpool, registries.create_workerpool(wallet, "wallet's pool")
            ),
            task=await build.active_task(app, pool, 0b1001),
            plain_task=await build.active_task(app, pool, 0),
        )


@pytest.fixture(scope="session")
def marketplace() -> Iterator[Marketplace]:
    """One chain for all tests: none of them changes it."""
    with asyncio.Runner() as runner:
        anvil = runner.run(Anvil(AnvilOptions(block_time=3600)).start())
        try:
            yield runner.run(_prepare(anvil.url))
        finally:
            runner.run(anvil.stop())
