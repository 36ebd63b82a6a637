"""What the chain knows of an order: asked when somebody wants it published, at most two round trips."""

from __future__ import annotations

import msgspec

from pyiexec.chain.hub import Hub
from pyiexec.chain.reading import read_all
from pyiexec.chain.registries import Registry, asset_owner
from pyiexec.chain.rpc import JsonRpc
from pyiexec.chain.signer import recover
from pyiexec.market.rules import Facts
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.orders import AppOrder, DatasetOrder, Order, RequestOrder, WorkerpoolOrder
from pyiexec.protocol.primitives import NULL_ADDRESS, Address, Bytes32, OrderHash, to_bytes


class _Registries(msgspec.Struct, frozen=True):
    app: Registry
    dataset: Registry
    workerpool: Registry


class ChainFacts:
    """Questions to one hub."""

    def __init__(self, rpc: JsonRpc, hub: Address) -> None:
        self._rpc = rpc
        self._hub = Hub(rpc, hub)
        self._registries: _Registries | None = None

    async def about(self, order: Order, order_hash: OrderHash, caller: Address) -> Facts:
        """Everything `rules.check_publication` wants to know of an order that `caller` publishes.

        Raises:
            IexecError: ``CHAIN_UNREACHABLE``.
        """
        if isinstance(order, RequestOrder):
            consumed, account = await read_all(self._hub.consumed(order_hash), self._hub.account(order.requester))
            signed = await self.is_signed(order.requester, order_hash, order.sign)
            return Facts(
                caller=caller,
                registered=True,
                owner=order.requester,
                signed=signed,
                consumed=consumed,
                stake=account.stake,
            )
        registry, resource = await self._sold(order)
        registered, consumed = await read_all(registry.is_registered(resource), self._hub.consumed(order_hash))
        if not registered:
            return Facts(caller=caller, registered=False, owner=NULL_ADDRESS, signed=False, consumed=consumed, stake=0)
        # The caller's account is that of the owner, or the order is refused before its stake matters.
        owner, account = await read_all(asset_owner(self._rpc, resource), self._hub.account(caller))
        return Facts(
            caller=caller,
            registered=True,
            owner=owner,
            signed=owner == caller and await self.is_signed(owner, order_hash, order.sign),
            consumed=consumed,
            stake=account.stake,
        )

    async def is_signed(self, identity: Address, digest: Bytes32, signature: str) -> bool:
        """Whether `identity` signed `digest`: with its key, as a contract (ERC-1271), or by a transaction on the hub.

        Raises:
            IexecError: ``CHAIN_UNREACHABLE``.
        """
        raw = to_bytes(signature)
        if _signed_by_key(identity, digest, raw):
            return True
        try:
            return bool(await self._hub.verify_presignature_or_signature(identity, digest, raw))
        except IexecError as error:
            # The hub reverts on signatures it cannot take apart.
            if error.code == "CONTRACT_REVERTED":
                return False
            raise

    async def _sold(self, order: AppOrder | DatasetOrder | WorkerpoolOrder) -> tuple[Registry, Address]:
        registries = await self._known_registries()
        if isinstance(order, AppOrder):
            return registries.app, order.app
        if isinstance(order, DatasetOrder):
            return registries.dataset, order.dataset
        return registries.workerpool, order.workerpool

    async def _known_registries(self) -> _Registries:
        if self._registries is None:
            addresses = await read_all(
                self._hub.app_registry(), self._hub.dataset_registry(), self._hub.workerpool_registry()
            )
            self._registries = _Registries(*(Registry(self._rpc, address) for address in addresses))
        return self._registries


def _signed_by_key(identity: Address, digest: Bytes32, signature: bytes) -> bool:
    try:
        return recover(to_bytes(digest), signature) == identity
    except IexecError:
        return False
