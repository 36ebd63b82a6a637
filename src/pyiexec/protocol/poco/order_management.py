"""Signing and closing orders by a transaction.

Source: PoCo 6.2, `manageAppOrder` and its siblings.
"""

from __future__ import annotations

from pyiexec.protocol.eip712 import operation_hash
from pyiexec.protocol.orders import AppOrder, DatasetOrder, Order, OrderOperation, RequestOrder
from pyiexec.protocol.poco.matching import Matching
from pyiexec.protocol.poco.refusals import require
from pyiexec.protocol.poco.store import SIGNATURE_MAX, VOLUME_MAX, is_readable
from pyiexec.protocol.poco.world import transaction
from pyiexec.protocol.primitives import NULL_ADDRESS, Address, to_bytes


class OrderManagement(Matching):
    """What the owner of an order, or whoever has its signature over the operation, may do to the order."""

    def _manager(self, order: Order) -> Address:
        """Who may manage the order."""
        if isinstance(order, RequestOrder):
            return order.requester
        if isinstance(order, AppOrder):
            owner = self._entry("apps", order.app).owner
        elif isinstance(order, DatasetOrder):
            owner = self._entry("datasets", order.dataset).owner
        else:
            owner = self._entry("workerpools", order.workerpool).owner
        require(owner != NULL_ADDRESS, "resource not registered")
        return owner

    @transaction
    def manage_order(self, order: Order, operation: int, sign: bytes = b"", *, sender: Address) -> None:
        """Sign (0) an order, which holds until its resource changes hands, or close (1) it, which holds for ever."""
        require(is_readable(order) and len(sign) <= SIGNATURE_MAX)
        require(operation in tuple(OrderOperation))
        manager = self._manager(order)
        if sender != manager:
            digest = to_bytes(operation_hash(order, operation, self.domain))
            require(self._signed(manager, digest, sign), "invalid-sender-or-signature")
        order_hash = self.hash(order)
        kind = type(order).__name__
        if operation == OrderOperation.SIGN:
            self.presigned[order_hash] = manager
        else:
            self.consumed[order_hash] = min(order.volume, VOLUME_MAX)
        done = "Signed" if operation == OrderOperation.SIGN else "Closed"
        self.world.emit(self.address, f"{done}{kind}", **{f"{kind.removesuffix('Order').lower()}Hash": order_hash})
