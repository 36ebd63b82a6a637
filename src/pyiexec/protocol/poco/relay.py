"""Orders announced on chain, for an order book that nobody runs.

Source: PoCo 6.2, `broadcastAppOrder` and its siblings.
"""

from __future__ import annotations

from pyiexec.protocol.orders import Order, order_to_abi
from pyiexec.protocol.poco.refusals import require
from pyiexec.protocol.poco.store import Store, is_readable, signature_of
from pyiexec.protocol.poco.world import transaction


class Relay(Store):
    """Says what it is told; nothing is checked."""

    @transaction
    def broadcast_order(self, order: Order) -> None:
        """Announce an order to whoever listens."""
        require(is_readable(order))
        kind = type(order).__name__
        self.world.emit(
            self.address, f"Broadcast{kind}", **{kind.lower(): (*order_to_abi(order)[:-1], signature_of(order))}
        )
