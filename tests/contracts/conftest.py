"""One marketplace on a real chain for the whole session; every test starts from the same state of it."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import pytest
from vyper.compiler import compile_code
from vyper.compiler.settings import OptimizationLevel, Settings

from pyiexec.chain import calls, registries, token
from pyiexec.chain.abi import Function, decode_revert
from pyiexec.chain.anvil import MNEMONIC, Anvil, AnvilOptions
from pyiexec.chain.deployment import Manifest, deploy
from pyiexec.chain.hub import EVENTS_BY_TOPIC, FUNCTIONS
from pyiexec.chain.mnemonic import derive
from pyiexec.chain.rpc import JsonRpc, RpcError
from pyiexec.chain.signer import Signer
from pyiexec.protocol import ids
from pyiexec.protocol.deals import BoostDeal, Deal
from pyiexec.protocol.eip712 import Domain, order_hash
from pyiexec.protocol.orders import NO_DATASET, AppOrder, DatasetOrder, Order, RequestOrder, WorkerpoolOrder
from pyiexec.protocol.primitives import (
    NULL_ADDRESS,
    Address,
    DealId,
    OrderHash,
    ResultDigest,
    ResultHash,
    TaskId,
    bytes32,
    checksum,
    keccak256,
    to_bytes,
    to_hex,
)
from pyiexec.protocol.tasks import Contribution, Task

GAS = 20_000_000
#: Prices of the ledger walk-through, nRLC.
APP_PRICE, DATASET_PRICE, POOL_PRICE = 1_000, 1_000_000, 1_000_000_000
TASK_PRICE = APP_PRICE + DATASET_PRICE + POOL_PRICE
DEPOSIT = 1_000 * 10**9


class Reverted(Exception):  # noqa: N818 - reads as a sentence in tests
    """A transaction or call that reverted: its reason as text, and the raw data."""

    def __init__(self, data: bytes) -> None:
        self.reason = decode_revert(data).reason
        self.data = data
        super().__init__(self.reason or "(no reason)")


class Receipt:
    """A mined transaction: gas, and the events of the hub in order as `(name, fields)`."""

    def __init__(self, raw: dict[str, Any]) -> None:
        self.raw = raw
        self.gas = int(raw["gasUsed"], 16)
        self.contract: Address = checksum(raw["contractAddress"]) if raw.get("contractAddress") else NULL_ADDRESS

    def events_of(self, address: Address) -> list[tuple[str, dict[str, Any]]]:
        """What `address` emitted and is known to be an event of the hub."""
        found = []
        for log in self.raw["logs"]:
            event = EVENTS_BY_TOPIC.get(log["topics"][0])
            if event and log["address"] == address.lower():
                found.append((event.name, event.decode(log)))
        return found


class Chain:
    """anvil, driven synchronously: one block per transaction, at the second we choose."""

    def __init__(self, runner: asyncio.Runner, rpc: JsonRpc) -> None:
        self.runner = runner
        self.rpc = rpc

    def ask(self, method: str, *params: Any) -> Any:
        return self.runner.run(self.rpc.call(method, *params))

    def now(self) -> int:
        return int(self.ask("eth_getBlockByNumber", "latest", False)["timestamp"], 16)

    def call(self, to: Address, data: bytes, *, sender: Address = NULL_ADDRESS, gas: int = GAS) -> bytes:
        try:
            answer = self.ask("eth_call", {"from": sender, "to": to, "data": to_hex(data), "gas": hex(gas)}, "latest")
        except RpcError as error:
            raise Reverted(to_bytes(error.data or "0x")) from None
        return to_bytes(answer)

    def send(
        self,
        to: Address | None,
        data: bytes,
        sender: Address,
        *,
        at: int | None = None,
        value: int = 0,
        gas: int = GAS,
    ) -> Receipt:
        """Mine one transaction, at the second `at` if given.

        Raises:
            Reverted: with the revert data of the very transaction.
        """
        transaction = {"from": sender, "data": to_hex(data), "gas": hex(gas), "value": hex(value)}
        if to:
            transaction["to"] = to
        if at is not None:
            self.ask("evm_setNextBlockTimestamp", at)
        hash_ = self.ask("eth_sendTransaction", transaction)
        self.ask("evm_mine")
        raw = self.ask("eth_getTransactionReceipt", hash_)
        if raw["status"] != "0x1":
            trace = self.ask("debug_traceTransaction", hash_, {"tracer": "callTracer"})
            raise Reverted(to_bytes(trace.get("output") or "0x"))
        return Receipt(raw)

    def impersonate(self, account: Address) -> None:
        self.ask("anvil_impersonateAccount", account)
        self.ask("anvil_setBalance", account, hex(10**20))


@dataclass
class Match:
    """A deal as the test made it."""

    id: DealId
    receipt: Receipt
    app: AppOrder
    dataset: DatasetOrder
    workerpool: WorkerpoolOrder
    request: RequestOrder

    def task(self, index: int = 0) -> TaskId:
        return ids.task_id(self.id, index)


class Market:
    """The deployed hub with one app, dataset and workerpool, and everybody who takes part."""

    def __init__(self, chain: Chain, manifest: Manifest, signers: list[Signer]) -> None:
        self.chain = chain
        self.manifest = manifest
        self.hub = manifest.hub
        self.domain = Domain(manifest.chain_id, manifest.hub)
        self.signers = {signer.address: signer for signer in signers}
        self.admin, self.app_owner, self.dataset_owner, self.scheduler, self.requester, self.sponsor = [
            signer.address for signer in signers[:6]
        ]
        self.stranger = signers[6].address
        self.broker = signers[7].address
        self.enclave = signers[8].address
        self.workers = [signer.address for signer in signers[10:22]]
        self.salts = itertools.count(1)
        self.app = self.create_asset("app", self.app_owner, "an app", "WASM", b"\x01", bytes32(1), b"")
        self.dataset = self.create_asset("dataset", self.dataset_owner, "a dataset", b"\x02", bytes32(2))
        self.workerpool = self.create_asset("workerpool", self.scheduler, "a workerpool")
        for account in (self.requester, self.sponsor, self.scheduler, *self.workers):
            self.fund(account)

    # --- assets and money -----------------------------------------------------------------------------------------

    def create_asset(self, kind: str, owner: Address, *fields: Any) -> Address:
        registry: Address = getattr(self.manifest.registries, kind)
        name = kind.capitalize()
        predicted = self.chain.call(registry, registries.FUNCTIONS[f"predict{name}"].encode(owner, *fields))
        self.chain.send(registry, registries.FUNCTIONS[f"create{name}"].encode(owner, *fields), owner)
        return checksum(predicted[-20:])

    def give_asset(self, kind: str, asset: Address, owner: Address, to: Address) -> None:
        registry: Address = getattr(self.manifest.registries, kind)
        transfer = registries.FUNCTIONS["transferFrom"].encode(owner, to, int(asset, 16))
        self.chain.send(registry, transfer, owner)

    def fund(self, account: Address, amount: int = DEPOSIT) -> None:
        """Deposit `amount` nRLC of the administrator for `account`."""
        self.chain.send(self.manifest.token, token.FUNCTIONS["approve"].encode(self.hub, amount), self.admin)
        self.send("depositFor", amount, account, sender=self.admin)

    def set_balance(self, account: Address, amount: int) -> None:
        """Make `amount` nRLC all that `account` has free."""
        free = self.view("balanceOf", account)
        if free > amount:
            self.send("transfer", self.admin, free - amount, sender=account)
        elif free < amount:
            self.fund(account, amount - free)

    def account(self, account: Address) -> tuple[int, int]:
        """Free and frozen nRLC."""
        stake, locked = self.view("viewAccount", account)
        return stake, locked

    # --- the hub --------------------------------------------------------------------------------------------------

    def view(self, name: str, *arguments: Any, sender: Address = NULL_ADDRESS) -> Any:
        function = FUNCTIONS[name]
        values = function.decode(self.chain.call(self.hub, function.encode(*arguments), sender=sender))
        return values[0] if len(values) == 1 else values

    def ask(self, signature: str, *arguments: Any, sender: Address = NULL_ADDRESS) -> Any:
        """As `view`, for a function given by its signature."""
        function = Function.parse(signature)
        values = function.decode(self.chain.call(self.hub, function.encode(*arguments), sender=sender))
        return values[0] if len(values) == 1 else values

    def send(self, name: str, *arguments: Any, sender: Address, **options: Any) -> Receipt:
        return self.chain.send(self.hub, FUNCTIONS[name].encode(*arguments), sender, **options)

    def deal(self, deal_id: DealId) -> Deal:
        return Deal.from_abi(self.view("viewDeal", deal_id))

    def boost_deal(self, deal_id: DealId) -> BoostDeal:
        return BoostDeal.from_abi(self.view("viewDealBoost", deal_id))

    def task(self, task_id: TaskId) -> Task:
        return Task.from_abi(self.view("viewTask", task_id))

    def contribution(self, task_id: TaskId, worker: Address) -> Contribution:
        return Contribution.from_abi(self.view("viewContribution", task_id, worker))

    def events(self, receipt: Receipt) -> list[tuple[str, dict[str, Any]]]:
        return receipt.events_of(self.hub)

    def conserved(self, *more: Address) -> bool:
        """Whether all balances sum up to the supply, and all that is frozen to the hub's own balance."""
        everyone = {*self.signers, *more, "0x99c2268479b93fDe36232351229815DF80837e23"}
        accounts = [self.account(Address(account)) for account in everyone]
        pot = self.view("balanceOf", self.hub)
        frozen_matches = sum(frozen for _, frozen in accounts) == pot
        return bool(frozen_matches and sum(free for free, _ in accounts) + pot == self.view("totalSupply"))

    # --- orders ---------------------------------------------------------------------------------------------------

    def hash(self, order: Order) -> OrderHash:
        return order_hash(order, self.domain)

    def sign(self, order: Order, signer: Address) -> Any:
        signature = self.signers[signer].sign_digest(to_bytes(self.hash(order)))
        return msgspec.structs.replace(order, sign=to_hex(signature))

    def salt(self) -> str:
        return bytes32(next(self.salts))

    def app_order(self, **fields: Any) -> AppOrder:
        """The app's order, signed by its owner unless `sign` is given."""
        defaults: dict[str, Any] = {"app": self.app, "appprice": APP_PRICE, "volume": 1000, "salt": self.salt()}
        order = AppOrder(**defaults | fields)
        return order if "sign" in fields else self.sign(order, self.app_owner)

    def dataset_order(self, **fields: Any) -> DatasetOrder:
        defaults: dict[str, Any] = {"dataset": self.dataset, "datasetprice": DATASET_PRICE, "volume": 1000}
        order = DatasetOrder(**defaults | {"salt": self.salt()} | fields)
        return order if "sign" in fields else self.sign(order, self.dataset_owner)

    def workerpool_order(self, **fields: Any) -> WorkerpoolOrder:
        defaults: dict[str, Any] = {"workerpool": self.workerpool, "workerpoolprice": POOL_PRICE, "volume": 1000}
        order = WorkerpoolOrder(**defaults | {"trust": 1 << 30, "salt": self.salt()} | fields)
        return order if "sign" in fields else self.sign(order, self.scheduler)

    def request_order(self, **fields: Any) -> RequestOrder:
        defaults = {
            "app": self.app,
            "appmaxprice": APP_PRICE,
            "dataset": self.dataset,
            "datasetmaxprice": DATASET_PRICE,
            "workerpoolmaxprice": POOL_PRICE,
            "requester": self.requester,
            "beneficiary": fields.get("requester", self.requester),
            "volume": 1,
            "trust": 1,
            "salt": self.salt(),
        }
        order = RequestOrder(**defaults | fields)
        signed = "sign" in fields or order.requester not in self.signers
        return order if signed else self.sign(order, order.requester)

    def match(
        self,
        *,
        app: AppOrder | None = None,
        dataset: DatasetOrder | None = None,
        workerpool: WorkerpoolOrder | None = None,
        request: RequestOrder | None = None,
        no_dataset: bool = False,
        sponsored: bool = False,
        boost: bool = False,
        sender: Address | None = None,
        **request_fields: Any,
    ) -> Match:
        """Match; orders not given are made to fit. Other fields are those of the request order."""
        if no_dataset:
            request_fields |= {"dataset": NULL_ADDRESS, "datasetmaxprice": 0}
        request = request or self.request_order(**request_fields)
        if dataset is None:
            dataset = NO_DATASET if request.dataset == NULL_ADDRESS else self.dataset_order()
        tag = request.tag
        app = app or self.app_order(tag=tag)
        workerpool = workerpool or self.workerpool_order(tag=tag, category=request.category)
        deal_id = ids.deal_id(self.hash(request), self.view("viewConsumed", self.hash(request)))
        data = calls.match_orders(app, dataset, workerpool, request, sponsor=sponsored, boost=boost)
        receipt = self.chain.send(self.hub, data, sender or (self.sponsor if sponsored else self.requester))
        return Match(deal_id, receipt, app, dataset, workerpool, request)

    # --- tasks ----------------------------------------------------------------------------------------------------

    def initialize(self, match: Match, index: int = 0, **options: Any) -> TaskId:
        self.send("initialize", match.id, index, sender=self.stranger, **options)
        return match.task(index)

    def started(self, **request_fields: Any) -> TaskId:
        """A task of a fresh deal, initialised."""
        return self.initialize(self.match(**request_fields))

    def digest(self, result: str) -> ResultDigest:
        return ResultDigest(bytes32(keccak256(result.encode())))

    def authorization(self, worker: Address, task: TaskId, *, by: Address, enclave: Address = NULL_ADDRESS) -> bytes:
        return self.signers[by].sign_message_hash(ids.authorization_hash(worker, task, enclave))

    def enclave_signature(self, worker: Address, task: TaskId, digest: ResultDigest) -> bytes:
        message = ids.enclave_hash(ids.result_hash(task, digest), ids.result_seal(worker, task, digest))
        return self.signers[self.enclave].sign_message_hash(message)

    def contribute(
        self,
        task: TaskId,
        worker: Address,
        result: str = "right",
        *,
        by: Address | None = None,
        enclave: Address = NULL_ADDRESS,
        result_hash: ResultHash | None = None,
        authorization: bytes | None = None,
        enclave_sign: bytes | None = None,
        **options: Any,
    ) -> Receipt:
        digest = self.digest(result)
        if authorization is None:
            authorization = self.authorization(worker, task, by=by or self.scheduler, enclave=enclave)
        if enclave_sign is None:
            enclave_sign = self.enclave_signature(worker, task, digest) if enclave != NULL_ADDRESS else b""
        data = calls.contribute(
            task,
            result_hash or ids.result_hash(task, digest),
            ids.result_seal(worker, task, digest),
            authorization,
            enclave,
            enclave_sign,
        )
        return self.chain.send(self.hub, data, worker, **options)

    def reveal(self, task: TaskId, worker: Address, result: str = "right", **options: Any) -> Receipt:
        return self.send("reveal", task, self.digest(result), sender=worker, **options)

    def finalize(
        self,
        task: TaskId,
        results: bytes = b"",
        callback: bytes = b"",
        *,
        sender: Address | None = None,
        **options: Any,
    ) -> Receipt:
        return self.send("finalize", task, results, callback, sender=sender or self.scheduler, **options)

    def contribute_and_finalize(
        self,
        task: TaskId,
        worker: Address,
        result: str = "right",
        *,
        results: bytes = b"",
        callback: bytes = b"",
        by: Address | None = None,
        enclave: Address = NULL_ADDRESS,
        authorization: bytes | None = None,
        enclave_sign: bytes | None = None,
        **options: Any,
    ) -> Receipt:
        digest = ResultDigest(bytes32(keccak256(callback))) if callback else self.digest(result)
        if authorization is None:
            authorization = self.authorization(worker, task, by=by or self.scheduler, enclave=enclave)
        if enclave_sign is None:
            enclave_sign = self.enclave_signature(worker, task, digest) if enclave != NULL_ADDRESS else b""
        data = calls.contribute_and_finalize(task, digest, results, authorization, callback, enclave, enclave_sign)
        return self.chain.send(self.hub, data, worker, **options)

    def push(
        self,
        match: Match,
        worker: Address,
        index: int = 0,
        *,
        results: bytes = b"",
        callback: bytes = b"",
        by: Address | None = None,
        enclave: Address = NULL_ADDRESS,
        authorization: bytes | None = None,
        enclave_sign: bytes | None = None,
        **options: Any,
    ) -> Receipt:
        """The single transaction of a task of a Boost deal."""
        task = match.task(index)
        if authorization is None:
            authorization = self.authorization(worker, task, by=by or self.scheduler, enclave=enclave)
        if enclave_sign is None:
            answer = results if match.request.callback == NULL_ADDRESS else callback
            digest = ResultDigest(bytes32(keccak256(answer)))
            message = ids.boost_enclave_hash(worker, task, digest)
            enclave_sign = b"" if enclave == NULL_ADDRESS else self.signers[self.enclave].sign_message_hash(message)
        data = calls.push_result_boost(match.id, index, results, authorization, callback, enclave, enclave_sign)
        return self.chain.send(self.hub, data, worker, **options)

    # --- contracts of the tests -----------------------------------------------------------------------------------

    def create(self, source: Path, *arguments: bytes) -> Address:
        """Create a test contract from its Vyper source; `arguments` are ABI words."""
        return self.chain.send(None, creation_code(source) + b"".join(arguments), self.admin).contract


@cache
def creation_code(source: Path) -> bytes:
    """Creation code of a test contract."""
    settings = Settings(optimize=OptimizationLevel.GAS, evm_version="cancun")
    return to_bytes(compile_code(source.read_text(), output_formats=["bytecode"], settings=settings)["bytecode"])


@pytest.fixture(scope="session")
def hub_chain() -> Iterator[Chain]:
    with asyncio.Runner() as runner:
        anvil = runner.run(Anvil(AnvilOptions(block_time=10**6)).start())
        rpc = JsonRpc(anvil.url)
        try:
            yield Chain(runner, rpc)
        finally:
            runner.run(rpc.close())
            runner.run(anvil.stop())


@pytest.fixture(scope="session")
def session_market(hub_chain: Chain) -> Market:
    signers = [derive(MNEMONIC, index) for index in range(24)]
    manifest = hub_chain.runner.run(deploy(hub_chain.rpc, signers[0]))
    # From here on a block is mined when a test says so, and at no other time.
    hub_chain.ask("evm_setIntervalMining", 0)
    return Market(hub_chain, manifest, signers)


@pytest.fixture
def market(session_market: Market) -> Iterator[Market]:
    """The marketplace as deployed: assets registered, accounts funded, no deal yet."""
    snapshot = session_market.chain.ask("evm_snapshot")
    yield session_market
    session_market.chain.ask("evm_revert", snapshot)


@pytest.fixture
def reverted() -> type[Reverted]:
    """What a refused call raises: ``str`` of it is the reason, `data` the revert data."""
    return Reverted
