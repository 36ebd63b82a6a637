"""Orders: signing, publishing, matching and cancelling them."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from pyiexec.chain import calls
from pyiexec.chain.hub import EVENTS
from pyiexec.protocol.eip712 import order_hash
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.matching import explain_mismatch
from pyiexec.protocol.money import scheduler_stake, task_cost
from pyiexec.protocol.orders import (
    AppOrder,
    DatasetOrder,
    Order,
    OrderOperation,
    RequestOrder,
    WorkerpoolOrder,
    kind_of,
)
from pyiexec.protocol.primitives import NULL_ADDRESS, DealId, OrderHash, to_bytes, to_hex
from pyiexec.protocol.units import format_rlc
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
            IexecError: ``ORDER_MISMATCH`` naming what does not fit; ``ORDER_CONSUMED`` naming the order;
                ``STAKE_TOO_LOW`` naming the account; ``CONTRACT_REVERTED``.
        """
        problems = explain_mismatch(app, dataset, workerpool, request)
        if problems:
            reasons = "; ".join(problem.message for problem in problems)
            raise IexecError("ORDER_MISMATCH", f"the orders do not fit: {reasons}")
        data = calls.match_orders(app, dataset, workerpool, request)
        # One request order may make several deals, one for each pool order that serves it.
        name = f"{self.hash(request)}/{self.hash(workerpool)}"
        try:
            receipt = await self._at.send(name, "match", self._at.hub.address, data)
        except IexecError as error:
            if error.code in ("CONTRACT_REVERTED", "TRANSACTION_REVERTED"):
                await self._explain(app, dataset, workerpool, request)
            raise
        event = EVENTS["OrdersMatched"]
        for log in receipt.logs:
            if log["topics"][0] == event.topic and log["address"].lower() == self._at.hub.address.lower():
                matched = event.decode(log)
                return Match(matched["dealid"], matched["volume"], receipt.transaction_hash, receipt.block_number)
        raise IexecError("CHAIN_REFUSED", f"{receipt.transaction_hash} made no deal")

    async def _explain(
        self, app: AppOrder, dataset: DatasetOrder, workerpool: WorkerpoolOrder, request: RequestOrder
    ) -> None:
        """Say why the hub refused a match, where its state tells; otherwise its own words must do."""
        sold = [dataset] if dataset.dataset != NULL_ADDRESS else []
        orders: list[Order] = [app, *sold, workerpool, request]
        hashes = [self.hash(order) for order in orders]
        consumed = await self._at.hub.consumed_of(hashes)
        for order, name, used in zip(orders, hashes, consumed, strict=True):
            if used >= order.volume:
                raise IexecError("ORDER_CONSUMED", f"the {kind_of(order)} {name} is used up or was closed")
        volume = min(order.volume - used for order, used in zip(orders, consumed, strict=True))
        price = task_cost(app.appprice, dataset.datasetprice if sold else 0, workerpool.workerpoolprice)
        owner = (await self._at.hub.workerpool(workerpool.workerpool)).owner
        needs = {
            request.requester: ("requester", volume * price),
            owner: ("workerpool's owner", volume * scheduler_stake(workerpool.workerpoolprice)),
        }
        for account, (role, needed) in needs.items():
            free = (await self._at.hub.account(account)).stake
            if free < needed:
                raise IexecError(
                    "STAKE_TOO_LOW",
                    f"{volume} tasks need a stake of {format_rlc(needed)}, the {role} {account} has {format_rlc(free)}",
                )
