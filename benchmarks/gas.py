"""Gas of one classic task, ours against the published contracts of PoCo 6.1, on one chain in one run.

Both hubs get the same orders, from the same accounts, and every call is a transaction whose receipt is read. Inputs are
constant, so the figures are too.
"""

from __future__ import annotations

import asyncio
import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from pyiexec.chain import calls, registries, token
from pyiexec.chain.abi import Parameter, encode
from pyiexec.chain.anvil import MNEMONIC, Anvil
from pyiexec.chain.artifacts import Artifact, load
from pyiexec.chain.deployment import STANDARD_CATEGORIES, deploy, selectors
from pyiexec.chain.mnemonic import derive
from pyiexec.chain.rpc import JsonRpc, RpcError, reverted
from pyiexec.chain.signer import Signer
from pyiexec.protocol.eip712 import Domain, order_hash
from pyiexec.protocol.ids import authorization_hash, deal_id, result_hash, result_seal, task_id
from pyiexec.protocol.orders import (
    NO_DATASET,
    AppOrder,
    DatasetOrder,
    Order,
    RequestOrder,
    WorkerpoolOrder,
)
from pyiexec.protocol.primitives import (
    NULL_ADDRESS,
    NULL_BYTES32,
    Address,
    Bytes32,
    ResultDigest,
    bytes32,
    checksum,
    keccak256,
    to_bytes,
    to_hex,
)
from reference import published
from verdict import Measured, conclude

BAR = 0.45
GAS_LIMIT = 12_000_000

ADMIN, REQUESTER, APP_OWNER, DATASET_OWNER, SCHEDULER, WORKER = (derive(MNEMONIC, index) for index in range(6))

APP_PRICE, DATASET_PRICE, WORKERPOOL_PRICE = 1_000, 1_000_000, 1_000_000_000
DEPOSIT = 100 * 10**9
CHECKSUM = Bytes32("0x" + "5a" * 32)
APP_FIELDS = ("vanityeth", "DOCKER", b"registry.hub.docker.com/iexechub/vanityeth:1.1.1", CHECKSUM, b"")
DATASET_FIELDS = ("weights", b"/ipfs/QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMnR", CHECKSUM)
PARAMS = '{"iexec_args":"--tile 11 --of 12 --scene scene.txt","iexec_input_files":["https://example.org/scene.txt"],'
PARAMS += '"iexec_result_storage_provider":"ipfs"}'
RESULTS = b'{"storage":"ipfs","location":"/ipfs/QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMnR"}'
DIGEST = ResultDigest(Bytes32("0x" + "c3" * 32))
CLAIM_AFTER = 10 * STANDARD_CATEGORIES[0].work_clock_time_ref

TASK = ("matchOrders", "initialize", "contribute", "reveal", "finalize")


class Market(msgspec.Struct, frozen=True):
    """A hub, its token and registries."""

    hub: Address
    token: Address
    app_registry: Address
    dataset_registry: Address
    workerpool_registry: Address


class Ledger:
    """Sends transactions from unlocked accounts and notes their gas by name."""

    def __init__(self, rpc: JsonRpc) -> None:
        self.rpc = rpc
        self.gas: dict[str, int] = {}

    async def send(self, sender: Signer, to: Address | None, data: bytes, *, note: str = "") -> dict[str, Any]:
        """The receipt; stops the benchmark with the reason when the transaction reverts."""
        transaction = {"from": sender.address, "data": to_hex(data), "gas": hex(GAS_LIMIT)} | ({"to": to} if to else {})
        try:
            await self.rpc.call("eth_call", transaction, "latest")
        except RpcError as error:
            raise SystemExit(f"{note or to_hex(data[:4])}: {reverted(error) or error}") from None
        hash_ = await self.rpc.call("eth_sendTransaction", transaction)
        await self.rpc.call("anvil_mine")
        receipt: dict[str, Any] = await self.rpc.call("eth_getTransactionReceipt", hash_)
        assert receipt["status"] == "0x1", note
        if note:
            assert note not in self.gas, note
            self.gas[note] = int(receipt["gasUsed"], 16)
        return receipt

    async def create(self, data: bytes) -> Address:
        """The address of a new contract."""
        return checksum((await self.send(ADMIN, None, data))["contractAddress"])


def _selectors(abi: list[dict[str, Any]]) -> tuple[bytes, ...]:
    return selectors(Artifact("", abi, "0x", "0x"))


def _compile_owner_facet() -> bytes:
    path = Path(__file__).parents[1] / "contracts" / "compile.py"
    spec = importlib.util.spec_from_file_location("compile_contracts", path)
    assert spec is not None
    assert spec.loader is not None
    compiler = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(compiler)
    compiled = compiler.compile_source(Path(__file__).parent / "reference" / "OwnerFacet.vy")
    return to_bytes(compiled["bytecode"])


async def deploy_reference(ledger: Ledger, rlc: Address) -> Market:
    """The published contracts, configured like ours."""
    folder = published.fetch_contracts(os.environ)
    library = await ledger.create(to_bytes(published.artifact(folder, published.LIBRARY)["bytecode"]))
    owner_facet = await ledger.create(_compile_owner_facet() + encode((Parameter("address"),), (ADMIN.address,)))
    seen = {bytes.fromhex("8da5cb5b")}
    cuts = [(owner_facet, 0, list(seen))]
    for name in published.FACETS:
        contract = published.artifact(folder, name)
        facet = await ledger.create(published.linked(contract, library))
        new = [selector for selector in _selectors(contract["abi"]) if selector not in seen]
        seen.update(new)
        cuts.append((facet, 0, new))
    diamond = published.artifact(folder, "Diamond")
    cut = Parameter("", components=(Parameter("address"), Parameter("uint8"), Parameter("bytes4[]")))
    arguments = encode(
        (
            Parameter("(address,uint8,bytes4[])[]", components=cut.components),
            Parameter("(address,address,bytes)", components=(Parameter("address"),) * 2 + (Parameter("bytes"),)),
        ),
        (cuts, (ADMIN.address, NULL_ADDRESS, b"")),
    )
    hub = await ledger.create(to_bytes(diamond["bytecode"]) + arguments)
    made = [
        await ledger.create(to_bytes(published.artifact(folder, name)["bytecode"]))
        for name in ("AppRegistry", "DatasetRegistry", "WorkerpoolRegistry")
    ]
    await ledger.send(ADMIN, hub, calls.configure(rlc, *made))
    for category in STANDARD_CATEGORIES:
        data = calls.create_category(category.name, category.description, category.work_clock_time_ref)
        await ledger.send(ADMIN, hub, data)
    for registry in made:
        await ledger.send(ADMIN, registry, registries.FUNCTIONS["initialize"].encode(NULL_ADDRESS))
    return Market(hub, rlc, *made)


async def deploy_ours(ledger: Ledger, rlc: Address) -> Market:
    """Ours, from the package's artifacts."""
    manifest = await deploy(ledger.rpc, ADMIN, token=rlc, categories=STANDARD_CATEGORIES)
    made = manifest.registries
    return Market(manifest.hub, rlc, made.app, made.dataset, made.workerpool)


class Scenario:
    """The same life of a few deals, on one market."""

    def __init__(self, ledger: Ledger, market: Market) -> None:
        self.ledger = ledger
        self.market = market
        self.domain = Domain(31337, market.hub)
        self.app = self.dataset = self.workerpool = NULL_ADDRESS
        self.salt = 0

    async def _asset(self, owner: Signer, registry: Address, data: bytes, note: str) -> Address:
        receipt = await self.ledger.send(owner, registry, data, note=note)
        return registries.created_asset(receipt, registry)

    async def prepare(self) -> None:
        """Assets and deposits."""
        market, send = self.market, self.ledger.send
        self.app = await self._asset(
            APP_OWNER, market.app_registry, registries.create_app(APP_OWNER.address, *APP_FIELDS), "createApp"
        )
        self.dataset = await self._asset(
            DATASET_OWNER,
            market.dataset_registry,
            registries.create_dataset(DATASET_OWNER.address, *DATASET_FIELDS),
            "createDataset",
        )
        self.workerpool = await self._asset(
            SCHEDULER,
            market.workerpool_registry,
            registries.create_workerpool(SCHEDULER.address, "a pool"),
            "createWorkerpool",
        )
        for account in (REQUESTER, SCHEDULER, WORKER):
            await send(ADMIN, market.token, token.transfer(account.address, DEPOSIT))
            note = "approveAndCall (deposit)" if account is REQUESTER else ""
            await send(account, market.token, token.approve_and_call(market.hub, DEPOSIT), note=note)

    def _signed(self, order: Order, signer: Signer) -> Any:
        signature = signer.sign_digest(to_bytes(order_hash(order, self.domain)))
        return msgspec.structs.replace(order, sign=to_hex(signature))

    def orders(
        self, *, with_dataset: bool, params: str
    ) -> tuple[AppOrder, DatasetOrder, WorkerpoolOrder, RequestOrder]:
        """Four fresh orders of volume 1 and trust 1."""
        self.salt += 1
        salt = bytes32(keccak256(bytes([self.salt])))
        rest: dict[str, Any] = {"volume": 1, "tag": NULL_BYTES32, "salt": salt}
        free: dict[str, Any] = {"workerpoolrestrict": NULL_ADDRESS, "requesterrestrict": NULL_ADDRESS}
        app = AppOrder(app=self.app, appprice=APP_PRICE, datasetrestrict=NULL_ADDRESS, **rest, **free)
        dataset: DatasetOrder = NO_DATASET
        if with_dataset:
            dataset = self._signed(
                DatasetOrder(
                    dataset=self.dataset, datasetprice=DATASET_PRICE, apprestrict=NULL_ADDRESS, **rest, **free
                ),
                DATASET_OWNER,
            )
        workerpool = WorkerpoolOrder(
            workerpool=self.workerpool,
            workerpoolprice=WORKERPOOL_PRICE,
            category=0,
            trust=1,
            apprestrict=NULL_ADDRESS,
            datasetrestrict=NULL_ADDRESS,
            requesterrestrict=NULL_ADDRESS,
            **rest,
        )
        request = RequestOrder(
            app=self.app,
            appmaxprice=APP_PRICE,
            dataset=self.dataset if with_dataset else NULL_ADDRESS,
            datasetmaxprice=DATASET_PRICE if with_dataset else 0,
            workerpool=self.workerpool,
            workerpoolmaxprice=WORKERPOOL_PRICE,
            requester=REQUESTER.address,
            category=0,
            trust=1,
            beneficiary=REQUESTER.address,
            callback=NULL_ADDRESS,
            params=params,
            **rest,
        )
        return (
            self._signed(app, APP_OWNER),
            dataset,
            self._signed(workerpool, SCHEDULER),
            self._signed(request, REQUESTER),
        )

    async def match(self, label: str, *, with_dataset: bool, params: str, sponsor: bool = False) -> Any:
        """Match four fresh orders and return the id of the deal."""
        orders = self.orders(with_dataset=with_dataset, params=params)
        note = f"{'sponsorMatchOrders' if sponsor else 'matchOrders'}{label}"
        await self.ledger.send(REQUESTER, self.market.hub, calls.match_orders(*orders, sponsor=sponsor), note=note)
        return deal_id(order_hash(orders[3], self.domain), 0)

    async def classic_task(self, label: str, *, with_dataset: bool, params: str) -> None:
        """Match to finalize with one worker."""
        deal = await self.match(label, with_dataset=with_dataset, params=params)
        task, hub, send = task_id(deal, 0), self.market.hub, self.ledger.send
        await send(SCHEDULER, hub, calls.initialize(deal, 0), note=f"initialize{label}")
        authorization = SCHEDULER.sign_message_hash(authorization_hash(WORKER.address, task))
        contribution = calls.contribute(
            task, result_hash(task, DIGEST), result_seal(WORKER.address, task, DIGEST), authorization
        )
        await send(WORKER, hub, contribution, note=f"contribute{label}")
        await send(WORKER, hub, calls.reveal(task, DIGEST), note=f"reveal{label}")
        await send(SCHEDULER, hub, calls.finalize(task, RESULTS), note=f"finalize{label}")

    async def run(self) -> None:
        """Everything that is compared."""
        await self.prepare()
        await self.classic_task("", with_dataset=True, params=PARAMS)
        await self.classic_task(" (no dataset, no params)", with_dataset=False, params="")
        hub, send = self.market.hub, self.ledger.send

        deal = await self.match(" (1st step of one-step task)", with_dataset=True, params=PARAMS, sponsor=True)
        task = task_id(deal, 0)
        await send(SCHEDULER, hub, calls.initialize(deal, 0), note="initialize (2nd step)")
        authorization = SCHEDULER.sign_message_hash(authorization_hash(WORKER.address, task))
        await send(
            WORKER,
            hub,
            calls.contribute_and_finalize(task, DIGEST, RESULTS, authorization),
            note="contributeAndFinalize",
        )

        deal = await self.match(" (to be claimed)", with_dataset=True, params=PARAMS)
        await send(SCHEDULER, hub, calls.initialize(deal, 0), note="initialize (to be claimed)")
        await self.ledger.rpc.call("evm_increaseTime", CLAIM_AFTER)
        await self.ledger.rpc.call("anvil_mine")
        await send(REQUESTER, hub, calls.claim(task_id(deal, 0)), note="claim")
        await send(REQUESTER, hub, calls.withdraw(10**9), note="withdraw")


def total(gas: dict[str, int], steps: Sequence[str]) -> int:
    """Gas of several calls together."""
    return sum(gas[step] for step in steps)


def show(reference: dict[str, int], ours: dict[str, int]) -> float:
    """Print the table; the result is the ratio that has a bar."""
    plain = [f"{step} (no dataset, no params)" for step in TASK]
    rows = [(step, reference[step], ours[step]) for step in reference]
    rows.append(("a task (no dataset, no params)", total(reference, plain), total(ours, plain)))
    rows.append(("A TASK", total(reference, TASK), total(ours, TASK)))
    print(f"{'gas':<46}{'reference':>12}{'pyiexec':>12}{'ratio':>8}")
    for name, theirs, mine in rows:
        print(f"{name:<46}{theirs:>12,}{mine:>12,}{mine / theirs:>8.3f}")
    return rows[-1][2] / rows[-1][1]


async def measure() -> tuple[dict[str, int], dict[str, int]]:
    """Gas by call of the reference and of ours."""
    assert len(PARAMS) == 145, len(PARAMS)
    assert len(RESULTS) == 84, len(RESULTS)
    async with Anvil() as anvil, JsonRpc(anvil.url) as rpc:
        ledgers = Ledger(rpc), Ledger(rpc)
        rlc = await ledgers[0].create(load("RLC").initcode)
        markets = await deploy_reference(ledgers[0], rlc), await deploy_ours(ledgers[1], rlc)
        for ledger, market in zip(ledgers, markets, strict=True):
            await Scenario(ledger, market).run()
    return ledgers[0].gas, ledgers[1].gas


if __name__ == "__main__":
    conclude(Measured("bench-gas", show(*asyncio.run(measure())), "x", BAR))
