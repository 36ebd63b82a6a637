"""An order as the order book lists it, and the JSON its clients read."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import msgspec

from pyiexec.protocol.money import scheduler_stake
from pyiexec.protocol.orders import AppOrder, DatasetOrder, Order, RequestOrder, WorkerpoolOrder, kind_of, order_to_json
from pyiexec.protocol.primitives import Address, OrderHash

#: Clients count in JavaScript numbers: nothing above is exact there.
MAX_SAFE_INTEGER = (1 << 53) - 1
#: The volume that says "as often as you like"; some clients sign one less.
BULK_VOLUME = MAX_SAFE_INTEGER - 1


class Status(StrEnum):
    """Where an order is in its life.

    ``OPEN`` can be matched. ``FILLED`` (its whole volume was matched) and ``CANCELED`` (closed on chain) are final
    unless the chain itself goes back. ``SUSPENDED`` cannot be matched for the reason given, and is open again by itself
    once the reason is gone. ``UNPUBLISHED`` was withdrawn by its signer: nobody sees it, but it may come back.
    """

    OPEN = "open"
    FILLED = "filled"
    CANCELED = "canceled"
    SUSPENDED = "suspended"
    UNPUBLISHED = "unpublished"


#: In the book: open, or going to be once what is missing is back.
LIVE = (Status.OPEN, Status.SUSPENDED)


class Reason(StrEnum):
    """Why an order is suspended."""

    OWNER_CHANGED = "owner_changed"
    SIGNATURE_MISSING = "signature_missing"
    NO_APPORDER = "no_matching_apporder"
    NO_DATASETORDER = "no_matching_datasetorder"
    STAKE = "insufficient_stake"


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """One order in the book.

    Attributes:
        signer: who published it: the owner of what is sold, or the requester.
        remaining: tasks that can still be matched.
        fillable: of these, tasks that the signer's stake suffices for, after what its better orders need.
        published_at: milliseconds since the Unix epoch.
        reason: why it is suspended.
        since: milliseconds since the Unix epoch, from when on it is suspended.
    """

    order_hash: OrderHash
    chain_id: int
    order: Order
    signer: Address
    remaining: int
    fillable: int
    status: Status
    published_at: int
    reason: Reason | None = None
    since: int | None = None

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


def task_stake(order: Order) -> int:
    """What a task of the order takes of its signer's stake, nRLC: the pool's lock, or all that a requester pays."""
    if isinstance(order, WorkerpoolOrder):
        return scheduler_stake(order.workerpoolprice)
    if isinstance(order, RequestOrder):
        return order.appmaxprice + order.datasetmaxprice + order.workerpoolmaxprice
    return 0


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


def resource_name(kind: str) -> str:
    """The party an order of a kind belongs to: what it sells, or the requester."""
    return "requester" if kind == "requestorder" else kind.removesuffix("order")


def is_bulk(order: Order) -> bool:
    """Whether one task may use any number of datasets sold like this: free, and of boundless volume."""
    return isinstance(order, DatasetOrder) and order.datasetprice == 0 and order.volume >= BULK_VOLUME


def timestamp(milliseconds: int) -> str:
    """ISO 8601 in UTC with milliseconds, as JavaScript writes it."""
    moment = datetime.fromtimestamp(milliseconds // 1000, UTC)
    return f"{moment.isoformat()[:19]}.{milliseconds % 1000:03d}Z"


def listing_to_json(listing: Listing) -> dict[str, Any]:
    """The listing as clients read it; amounts are JSON numbers, and a suspended order is ``dead`` to them."""
    item: dict[str, Any] = {
        "orderHash": listing.order_hash,
        "order": order_to_json(listing.order),
        "chainId": listing.chain_id,
        "remaining": listing.remaining,
        "fillable": listing.fillable,
        "status": "dead" if listing.status is Status.SUSPENDED else listing.status.value,
        "signer": listing.signer,
        "publicationTimestamp": timestamp(listing.published_at),
    }
    if isinstance(listing.order, DatasetOrder):
        item["bulk"] = is_bulk(listing.order)
    if listing.reason is not None and listing.since is not None:
        item |= {"reason": listing.reason.value, "since": timestamp(listing.since)}
    return item
