"""Orders: signing, publishing, matching and cancelling them."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from pyiexec.chain import calls
from pyiexec.chain.hub import EVENTS
from pyiexec.protocol.eip712 import order_hash
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.matching import explain_mismatch
from pyiexec.protocol.orders import AppOrder, DatasetOrder, Order, OrderOperation, RequestOrder, WorkerpoolOrder
from pyiexec.protocol.primitives import DealId, OrderHash, to_bytes, to_hex
from pyiexec.sdk.connection import Connection

SomeOrder = TypeVar("SomeOrder", AppOrder, DatasetOrder, WorkerpoolOrder, RequestOrder)


class Match(msgspec.Struct, frozen=True):
    """A deal made: `volume` tasks bought, in `transaction` of block `block`."""

    deal_id: DealId
    volume: int
    transaction: str
    block: int


class Orders:
    """The user's orders."""

    def __init__(self, connection: Connection) -> None:
        self._at = connection

    def hash(self, order: Order) -> OrderHash:
        """The order's name on this network: its EIP-712 hash."""
        return order_hash(order, self._at.domain)

    def sign(self, order: SomeOrder) -> SomeOrder:
        """The order with a fresh salt and the user's signature."""
        salted = msgspec.structs.replace(order, salt=self._at.salt())
        digest = to_bytes(order_hash(salted, self._at.domain))
        return msgspec.structs.replace(salted, sign=to_hex(self._at.signer.sign_digest(digest)))

    async def publish(self, order: Order) -> OrderHash:
        """Put a signed order into the order book.

        Raises:
            IexecError: with the order book's reason for refusing it.
        """
        return await self._at.orderbook.publish(order, self._at.signer)

    async def cancel(self, order: Order) -> str:
        """Close the order on chain for good: nobody can match it any more. Returns the transaction's hash."""
        data = calls.manage_order(order, OrderOperation.CLOSE)
        receipt = await self._at.send(self.hash(order), "close", self._at.hub.address, data)
        return receipt.transaction_hash

    async def match(
        self, app: AppOrder, dataset: DatasetOrder, workerpool: WorkerpoolOrder, request: RequestOrder
    ) -> Match:
        """Make a deal of four signed orders; its price is locked from the requester's stake.

        Raises:
            IexecError: ``ORDER_MISMATCH`` naming what does not fit; ``CONTRACT_REVERTED``.
        """
        problems = explain_mismatch(app, dataset, workerpool, request)
        if problems:
            reasons = "; ".join(problem.message for problem in problems)
            raise IexecError("ORDER_MISMATCH", f"the orders do not fit: {reasons}")
        data = calls.match_orders(app, dataset, workerpool, request)
        # One request order may make several deals, one for each pool order that serves it.
        name = f"{self.hash(request)}/{self.hash(workerpool)}"
        receipt = await self._at.send(name, "match", self._at.hub.address, data)
        event = EVENTS["OrdersMatched"]
        for log in receipt.logs:
            if log["topics"][0] == event.topic and log["address"].lower() == self._at.hub.address.lower():
                matched = event.decode(log)
                return Match(matched["dealid"], matched["volume"], receipt.transaction_hash, receipt.block_number)
        raise IexecError("CHAIN_REFUSED", f"{receipt.transaction_hash} made no deal")
