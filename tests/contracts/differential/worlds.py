"""Two hubs on one chain, ours and the published one, told the same things at the same second.

Their addresses differ, and with them every hash that a hub's address goes into. So nothing is compared as it is: each
world has names for its addresses and hashes, steps are written in names, and answers are translated back into names.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from pyiexec.chain import registries
from pyiexec.chain.abi import Event, Function, decode_revert
from pyiexec.chain.hub import EVENTS_BY_TOPIC, FUNCTIONS
from pyiexec.chain.rpc import JsonRpc, RpcError
from pyiexec.chain.signer import Signer
from pyiexec.protocol import ids
from pyiexec.protocol.eip712 import Domain, operation_hash, order_hash
from pyiexec.protocol.orders import AppOrder, DatasetOrder, OrderOperation, RequestOrder, WorkerpoolOrder, order_to_abi
from pyiexec.protocol.primitives import NULL_ADDRESS, Address, ResultDigest, bytes32, keccak256, to_bytes, to_hex

GAS = 8_000_000
KITTY = Address("0x99c2268479b93fDe36232351229815DF80837e23")
ORDER_TYPES = {"app": AppOrder, "dataset": DatasetOrder, "workerpool": WorkerpoolOrder, "request": RequestOrder}
KINDS = tuple(ORDER_TYPES)

#: Events of other contracts that take part.
OTHER_EVENTS = {
    event.topic: event
    for event in (
        registries.TRANSFER,
        registries.POLICY_UPDATE,
        Event.parse("Approval(address indexed owner, address indexed approved, uint256 indexed tokenId)"),
        Event.parse("GotResult(bytes32 indexed id, bytes result)"),
    )
}


class OrderPlan(msgspec.Struct, frozen=True):
    """An order in names.

    Attributes:
        fields: by their ABI names; addresses are names.
        signer: who signs, or the empty text for no signature.
        flavour: ``plain``, ``compact`` (EIP-2098), ``broken`` (a bit is wrong) or ``short``.
    """

    number: int
    kind: str
    fields: dict[str, Any]
    signer: str
    flavour: str = "plain"


class World:
    """One hub with its token and registries."""

    def __init__(self, title: str, market: Any, chain_id: int, signers: dict[str, Signer]) -> None:
        self.title = title
        self.domain = Domain(chain_id, market.hub)
        self.signers = signers
        self._values: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._orders: dict[OrderPlan, Any] = {}
        for name in ("hub", "token", "app_registry", "dataset_registry", "workerpool_registry"):
            self.call_it(name, getattr(market, name))
        self.call_it("nobody", NULL_ADDRESS)
        self.call_it("kitty", KITTY)
        for name, signer in signers.items():
            self.call_it(name, signer.address)

    def call_it(self, name: str, value: str) -> str:
        """Give a name to an address or hash; `name`, so that it can be chained."""
        self._values[name] = value
        self._names[value.lower()] = name
        return name

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def translated(self, value: Any) -> Any:
        """`value` with names in place of what has one."""
        if isinstance(value, (tuple, list)):
            return tuple(map(self.translated, value))
        if isinstance(value, dict):
            return {key: self.translated(item) for key, item in value.items()}
        if isinstance(value, str):
            return self._names.get(value.lower(), value)
        if isinstance(value, bytes):
            return to_hex(value)
        return value

    # --- orders ---------------------------------------------------------------------------------------------------

    def order(self, plan: OrderPlan) -> Any:
        """The order, signed for this hub."""
        key = msgspec.json.encode(plan)
        if key not in self._orders:
            fields = {
                name: self[value] if isinstance(value, str) and not value.startswith(("0x", "{")) and value else value
                for name, value in plan.fields.items()
            }
            order = ORDER_TYPES[plan.kind](**fields)
            digest = to_bytes(order_hash(order, self.domain))
            self.call_it(f"hash of {plan.kind} order {plan.number}", to_hex(digest))
            self._orders[key] = msgspec.structs.replace(order, sign=to_hex(self.signature(digest, plan)))
        return self._orders[key]

    def order_hash(self, plan: OrderPlan) -> str:
        self.order(plan)
        return str(self[f"hash of {plan.kind} order {plan.number}"])

    def signature(self, digest: bytes, plan: OrderPlan) -> bytes:
        """In the flavour of the plan."""
        if plan.signer not in self.signers:
            return b"" if plan.flavour == "short" else b"\x11" * 65
        sign = self.signers[plan.signer].sign_digest(digest)
        if plan.flavour == "compact":
            r, s, v = sign[:32], int.from_bytes(sign[32:64], "big"), sign[64]
            return r + (s | (v - 27) << 255).to_bytes(32, "big")
        if plan.flavour == "broken":
            return sign[:5] + bytes([sign[5] ^ 1]) + sign[6:]
        return sign[:-3] if plan.flavour == "short" else sign

    def operation(self, plan: OrderPlan, operation: int, signer: str) -> tuple[Any, int, bytes]:
        """What `manageXOrder` takes; signed when there is a signer."""
        order = self.order(plan)
        sign = b""
        if signer and operation <= 1:
            digest = operation_hash(order, OrderOperation(operation), self.domain)
            sign = self.signers[signer].sign_digest(to_bytes(digest))
        return order_to_abi(order), operation, sign

    # --- tasks ----------------------------------------------------------------------------------------------------

    def task(self, deal: str, index: int) -> str:
        """The name of a task."""
        return self.call_it(f"{deal}, task {index}", ids.task_id(self[deal], index))

    def commitment(self, task: str, worker: str, result: bytes) -> tuple[Any, Any]:
        """Result hash and seal."""
        digest = ResultDigest(bytes32(keccak256(result)))
        hash_, seal = ids.result_hash(self[task], digest), ids.result_seal(self[worker], self[task], digest)
        self.call_it(f"hash of {result!r} for {task}", hash_)
        self.call_it(f"seal of {result!r} for {task} by {worker}", seal)
        return hash_, seal

    def authorization(self, task: str, worker: str, enclave: str, signer: str) -> bytes:
        if signer not in self.signers:
            return b"\x22" * 65
        return self.signers[signer].sign_message_hash(ids.authorization_hash(self[worker], self[task], self[enclave]))

    def enclave_signature(self, task: str, worker: str, result: bytes, signer: str) -> bytes:
        hash_, seal = self.commitment(task, worker, result)
        return self.signers[signer].sign_message_hash(ids.enclave_hash(hash_, seal))


@dataclass(frozen=True)
class Call:
    """A call in names.

    Attributes:
        arguments: what the function is given in a world.
        note: what a failing test shows.
        subject: of a view, what it is about.
    """

    sender: str
    to: str
    function: Function
    arguments: Callable[[World], Sequence[Any]]
    note: str = ""
    value: int = 0
    subject: str = ""

    def transaction(self, world: World) -> dict[str, str]:
        data = self.function.encode(*self.arguments(world))
        return {
            "from": world[self.sender],
            "to": world[self.to],
            "data": to_hex(data),
            "gas": hex(GAS),
            "value": hex(self.value),
        }

    def __str__(self) -> str:
        return f"{self.sender} calls {self.to}.{self.function.name} {self.note}"


@dataclass(frozen=True)
class Outcome:
    """What came of a call, in names: the values returned or the revert data, and the events."""

    succeeded: bool
    values: Any
    refusal: bytes = b""
    events: tuple[Any, ...] = ()

    def __str__(self) -> str:
        if not self.succeeded:
            return f"refused: {decode_revert(self.refusal).reason or '(empty)'}"
        return f"returned {self.values}" + "".join(f"\n        {event}" for event in self.events)


class Chain:
    """anvil with both worlds: every transaction goes to both, in one block."""

    def __init__(self, runner: asyncio.Runner, rpc: JsonRpc, worlds: tuple[World, World]) -> None:
        self.runner = runner
        self.rpc = rpc
        self.worlds = worlds

    def ask(self, method: str, *params: Any) -> Any:
        return self.runner.run(self.rpc.call(method, *params))

    def now(self) -> int:
        return int(self.ask("eth_getBlockByNumber", "latest", False)["timestamp"], 16)

    def _answer(self, world: World, call: Call, raw: Any) -> Outcome:
        if isinstance(raw, RpcError):
            data = raw.data if isinstance(raw.data, str) else "0x"
            return Outcome(False, None, to_bytes(data))
        return Outcome(True, world.translated(call.function.decode(to_bytes(raw))) if call.function.outputs else ())

    def _event(self, world: World, log: dict[str, Any]) -> Any:
        emitter = world.translated(log["address"])
        known = EVENTS_BY_TOPIC if emitter in ("hub", "token") else OTHER_EVENTS
        event = known.get(log["topics"][0])
        if event is None:
            return emitter, "unknown", tuple(log["topics"]), log["data"]
        fields = event.decode(log)
        if "tokenId" in fields:
            fields["tokenId"] = registries.asset_of(fields["tokenId"])
        return emitter, event.name, world.translated(fields)

    def read(self, calls: Sequence[Call]) -> list[tuple[Outcome, Outcome]]:
        """Views, as both hubs answer them."""
        requests = [("eth_call", (call.transaction(world), "latest")) for call in calls for world in self.worlds]
        raw = self.runner.run(self.rpc.batch_outcomes(requests))
        pairs = zip(raw[::2], raw[1::2], strict=True)
        return [
            (self._answer(self.worlds[0], call, theirs), self._answer(self.worlds[1], call, ours))
            for call, (theirs, ours) in zip(calls, pairs, strict=True)
        ]

    def send(self, call: Call, at: int) -> tuple[Outcome, Outcome]:
        """Mine the call in both worlds in one block at the second `at`."""
        transactions = [call.transaction(world) for world in self.worlds]
        override = {"time": hex(at)}
        requests = [("eth_call", (transaction, "latest", {}, override)) for transaction in transactions]
        answers = self.runner.run(self.rpc.batch_outcomes(requests))
        self.ask("evm_setNextBlockTimestamp", at)
        hashes = [self.ask("eth_sendTransaction", transaction) for transaction in transactions]
        self.ask("evm_mine")
        receipts = self.runner.run(self.rpc.batch([("eth_getTransactionReceipt", (hash_,)) for hash_ in hashes]))
        theirs, ours = (
            self._outcome(world, call, answer, receipt)
            for world, answer, receipt in zip(self.worlds, answers, receipts, strict=True)
        )
        return theirs, ours

    def _outcome(self, world: World, call: Call, raw: Any, receipt: dict[str, Any]) -> Outcome:
        answer = self._answer(world, call, raw)
        if (receipt["status"] == "0x1") != answer.succeeded:
            raise AssertionError(f"{call}: a dry run says otherwise in {world.title}: {answer}")
        events = tuple(self._event(world, log) for log in receipt["logs"])
        return Outcome(answer.succeeded, answer.values, answer.refusal, events)


def view(name: str, *arguments: Any) -> Call:
    """A question to the hub; arguments that are names of addresses and hashes are looked up."""

    def resolved(world: World) -> list[Any]:
        return [world[item] if isinstance(item, str) else item for item in arguments]

    return Call(
        "stranger", "hub", FUNCTIONS[name], resolved, f"{arguments}", subject=str(arguments[0]) if arguments else ""
    )
