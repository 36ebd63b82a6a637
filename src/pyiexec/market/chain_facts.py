"""What the chain knows of an order, asked when somebody wants it published; and who signed what."""

from __future__ import annotations

from typing import Any

import msgspec

from pyiexec.chain.authentication import signed_by, signed_by_key
from pyiexec.chain.hub import Hub
from pyiexec.chain.reading import Reading, read_all
from pyiexec.chain.registries import Registry, asset_owner
from pyiexec.chain.rpc import JsonRpc
from pyiexec.market.listing import parties, resource_name
from pyiexec.market.rules import Facts
from pyiexec.market.snapshots import Snapshots
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.orders import Order, RequestOrder, WorkerpoolOrder, kind_of
from pyiexec.protocol.primitives import Address, Bytes32, OrderHash, to_bytes


class Registries(msgspec.Struct, frozen=True):
    """The hub's registries by the kind of order that sells what they hold."""

    apporder: Address
    datasetorder: Address
    workerpoolorder: Address


class ChainFacts:
    """Questions to one hub."""

    def __init__(self, rpc: JsonRpc, hub: Address) -> None:
        self._rpc = rpc
        self._hub = Hub(rpc, hub)
        self._snapshots = Snapshots(rpc)
        self._registries: Registries | None = None

    async def registries(self) -> Registries:
        """Where the registries stand; asked once.

        Raises:
            IexecError: ``CHAIN_UNREACHABLE``.
        """
        if self._registries is None:
            found = await read_all(
                self._hub.app_registry(), self._hub.dataset_registry(), self._hub.workerpool_registry()
            )
            self._registries = Registries(*found)
        return self._registries

    async def about(self, order: Order, order_hash: OrderHash, caller: Address) -> Facts:
        """Everything `rules.check_publication` wants to know of an order that `caller` publishes, as of one block.

        Raises:
            IexecError: ``CHAIN_UNREACHABLE``, ``CHAIN_REFUSED``.
        """
        kind, signature = kind_of(order), to_bytes(order.sign)
        by_key = signed_by_key(caller, to_bytes(order_hash), signature)
        questions: dict[str, Reading[Any]] = {"consumed": self._hub.consumed(order_hash)}
        if not isinstance(order, RequestOrder):
            resource = parties(order)[resource_name(kind)]
            registry = Registry(self._rpc, getattr(await self.registries(), kind))
            questions["registered"] = registry.is_registered(resource)
            questions["owner"] = asset_owner(self._rpc, resource)
        if isinstance(order, (RequestOrder, WorkerpoolOrder)):
            questions["account"] = self._hub.account(caller)
        if not by_key:
            questions["presigner"] = self._hub.presigned(order_hash)
            questions["signed"] = self._hub.verify_signature(caller, order_hash, signature)
        block, answers = await self._snapshots.read(*questions.values())
        found = dict(zip(questions, answers, strict=True))
        for name in ("consumed", "registered", "account", "presigner"):
            if isinstance(found.get(name), IexecError):
                raise found[name]
        presigned = not by_key and found["presigner"] == caller
        return Facts(
            caller=caller,
            registered=found.get("registered", True),
            owner=order.requester if isinstance(order, RequestOrder) else _or_none(found["owner"]),
            # The hub reverts on signatures it cannot take apart, and on contracts that answer nonsense.
            signed=by_key or presigned or _or_none(found["signed"]) is True,
            by_transaction=presigned,
            consumed=found["consumed"],
            stake=found["account"].stake if "account" in found else None,
            block=block,
        )

    async def is_signed(self, identity: Address, digest: Bytes32, signature: bytes) -> bool:
        """Whether `identity` signed `digest`, with its key or as a contract (ERC-1271).

        Raises:
            IexecError: ``CHAIN_UNREACHABLE``.
        """
        return await signed_by(self._hub, identity, to_bytes(digest), signature)


def _or_none(answer: Any) -> Any:
    return None if isinstance(answer, IexecError) else answer
