"""An order as the order book lists it, and the JSON its clients read."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import msgspec

from pyiexec.protocol.orders import AppOrder, DatasetOrder, Order, RequestOrder, WorkerpoolOrder, kind_of, order_to_json
from pyiexec.protocol.primitives import Address, OrderHash

#: Clients count in JavaScript numbers: nothing above is exact there.
MAX_SAFE_INTEGER = (1 << 53) - 1
#: The volume that says "as often as you like"; some clients sign one less.
BULK_VOLUME = MAX_SAFE_INTEGER - 1


class Status(StrEnum):
    """Where an order is in its life.

    ``OPEN`` can be matched. ``FILLED`` (its whole volume was matched) and ``CANCELED`` (closed on chain) are final
    unless the chain itself goes back. ``DEAD`` could not be matched any more; its signer may publish it again.
    """

    OPEN = "open"
    FILLED = "filled"
    CANCELED = "canceled"
    DEAD = "dead"


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """One order in the book.

    Attributes:
        signer: who published it: the owner of what is sold, or the requester.
        remaining: tasks that can still be matched.
        published_at: milliseconds since the Unix epoch.
    """

    order_hash: OrderHash
    chain_id: int
    order: Order
    signer: Address
    remaining: int
    status: Status
    published_at: int

    @property
    def kind(self) -> str:
        """Key of `ORDER_KINDS`."""
        return kind_of(self.order)


def ranking_price(order: Order) -> int:
    """The price, nRLC, that orders of this kind are ranked by: of a request, what it pays for computing."""
    if isinstance(order, AppOrder):
        return order.appprice
    if isinstance(order, DatasetOrder):
        return order.datasetprice
    return order.workerpoolprice if isinstance(order, WorkerpoolOrder) else order.workerpoolmaxprice


def parties(order: Order) -> dict[str, Address]:
    """The four parties of a deal as this order has them: what it sells or buys, and whom it is restricted to."""
    if isinstance(order, RequestOrder):
        return {
            "app": order.app,
            "dataset": order.dataset,
            "workerpool": order.workerpool,
            "requester": order.requester,
        }
    values = msgspec.structs.asdict(order)
    names = ("app", "dataset", "workerpool", "requester")
    return {name: values[name] if name in values else values[f"{name}restrict"] for name in names}


def is_bulk(order: Order) -> bool:
    """Whether one task may use any number of datasets sold like this: free, and of boundless volume."""
    return isinstance(order, DatasetOrder) and order.datasetprice == 0 and order.volume >= BULK_VOLUME


def timestamp(milliseconds: int) -> str:
    """ISO 8601 in UTC with milliseconds, as JavaScript writes it."""
    moment = datetime.fromtimestamp(milliseconds // 1000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03d}Z"


def listing_to_json(listing: Listing) -> dict[str, Any]:
    """The listing as clients read it; amounts are JSON numbers."""
    item: dict[str, Any] = {
        "orderHash": listing.order_hash,
        "order": order_to_json(listing.order),
        "chainId": listing.chain_id,
        "remaining": listing.remaining,
        "status": listing.status.value,
        "signer": listing.signer,
        "publicationTimestamp": timestamp(listing.published_at),
    }
    if isinstance(listing.order, DatasetOrder):
        item["bulk"] = is_bulk(listing.order)
    return item
