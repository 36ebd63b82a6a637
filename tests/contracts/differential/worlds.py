"""Two worlds with a hub each, ours and the published one, that are told the same things.

Their addresses differ, and with them every hash that a hub's address goes into. So nothing is compared as it is: each
world has names for its addresses and hashes, calls are written in names, and answers are translated back into names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from pyiexec.chain.abi import Function
from pyiexec.chain.signer import Signer
from pyiexec.protocol import ids
from pyiexec.protocol.eip712 import Domain, operation_hash, order_hash
from pyiexec.protocol.orders import AppOrder, DatasetOrder, OrderOperation, RequestOrder, WorkerpoolOrder, order_to_abi
from pyiexec.protocol.primitives import NULL_ADDRESS, Address, ResultDigest, bytes32, keccak256, to_bytes, to_hex

from .refusals import reason_of

GAS = 8_000_000
KITTY = Address("0x99c2268479b93fDe36232351229815DF80837e23")
ORDER_TYPES = {"app": AppOrder, "dataset": DatasetOrder, "workerpool": WorkerpoolOrder, "request": RequestOrder}
KINDS = tuple(ORDER_TYPES)


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
        self.market = market
        self.domain = Domain(chain_id, market.hub)
        self.signers = signers
        self._values: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._orders: dict[bytes, tuple[str, Any]] = {}
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
        if isinstance(value, int) and value > 2**128:
            # the id of a registry's token is the address of an asset
            return self._names.get(f"0x{value:040x}", value)
        if isinstance(value, bytes):
            return self._names.get(to_hex(value), to_hex(value))
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
            digest = order_hash(order, self.domain)
            signed = msgspec.structs.replace(order, sign=to_hex(self.signature(to_bytes(digest), plan)))
            self._orders[key] = digest, signed
        digest, signed = self._orders[key]
        self.call_it(f"hash of {plan.kind} order {plan.number}", digest)
        if len(signed.sign) > 2:
            self.call_it(f"signature of {plan.kind} order {plan.number}", signed.sign)
        return signed

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

    def operation(self, plan: OrderPlan, operation: int, signer: str, *, malformed: bool = False) -> Any:
        """What `manageXOrder` takes; signed when there is a signer."""
        order = self.order(plan)
        sign = b""
        if signer and operation <= 1:
            digest = operation_hash(order, OrderOperation(operation), self.domain)
            sign = self.signers[signer].sign_digest(to_bytes(digest))
        return order_to_abi(order), operation, sign[:-3] if malformed else sign

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

    def boost_enclave_signature(self, task: str, worker: str, result: bytes, signer: str) -> bytes:
        """Boost has the enclave sign the worker's seal itself."""
        _, seal = self.commitment(task, worker, result)
        return self.signers[signer].sign_message_hash(to_bytes(seal))


@dataclass(frozen=True)
class Call:
    """A call in names.

    Attributes:
        arguments: what the function is given in a world.
        note: what a failing test shows.
        subject: of a view, what it is about.
        gas: the limit; or one for each world, by its title.
        data: sent as it is instead of the encoded arguments.
    """

    sender: str
    to: str
    function: Function
    arguments: Callable[[World], Sequence[Any]]
    note: str = ""
    value: int = 0
    subject: str = ""
    gas: int | Callable[[World], int] = GAS
    data: bytes | None = None

    def transaction(self, world: World) -> dict[str, str]:
        data = self.function.encode(*self.arguments(world)) if self.data is None else self.data
        gas = self.gas if isinstance(self.gas, int) else self.gas(world)
        return {
            "from": world[self.sender],
            "to": world[self.to],
            "data": to_hex(data),
            "gas": hex(gas),
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

    @property
    def reason(self) -> str:
        """Of a refusal, empty when it gives none."""
        return reason_of(self.refusal)

    def __str__(self) -> str:
        if not self.succeeded:
            return f"refused: {self.reason or '(empty)'}"
        return f"returned {self.values}" + "".join(f"\n        {event}" for event in self.events)
