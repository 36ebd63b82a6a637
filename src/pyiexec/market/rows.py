"""Rows of `orders`, from and to listings, and the revision that changes with them."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa

from pyiexec.foundation.statements import Statement
from pyiexec.market.listing import Listing, Reason, Status, parties, ranking_price, resource_name, task_stake
from pyiexec.market.sql_filters import tag_words
from pyiexec.market.tables import ORDERS, REVISIONS, TAG_WORDS
from pyiexec.protocol.orders import ORDER_KINDS, RequestOrder, WorkerpoolOrder

LISTING_COLUMNS = (
    ORDERS.c.order_hash,
    ORDERS.c.chain_id,
    ORDERS.c.kind,
    ORDERS.c.document,
    ORDERS.c.signer,
    ORDERS.c.remaining,
    ORDERS.c.fillable,
    ORDERS.c.status,
    ORDERS.c.reason,
    ORDERS.c.since,
    ORDERS.c.published_at,
)


_BUMP = Statement(
    sa.update(REVISIONS)
    .where(REVISIONS.c.name == sa.bindparam("changed"))
    .values(number=REVISIONS.c.number + sa.literal_column("1"))
    .returning(REVISIONS.c.number)
)


def read_listing(row: Any) -> Listing:
    """The listing in a row of `LISTING_COLUMNS`."""
    return Listing(
        order_hash=row.order_hash,
        chain_id=row.chain_id,
        order=msgspec.json.decode(row.document, type=ORDER_KINDS[row.kind]),
        signer=row.signer,
        remaining=row.remaining,
        fillable=row.fillable,
        status=Status(row.status),
        published_at=row.published_at,
        reason=None if row.reason is None else Reason(row.reason),
        since=row.since,
    )


def row_of(new: Listing) -> dict[str, Any]:
    """Values of a listing's columns."""
    order = new.order
    price = ranking_price(order)
    row = {
        "order_hash": new.order_hash,
        "chain_id": new.chain_id,
        "kind": new.kind,
        "status": new.status,
        "reason": new.reason,
        "since": new.since,
        "signer": new.signer,
        "resource": parties(order)[resource_name(new.kind)],
        **parties(order),
        "beneficiary": None,
        "price": price,
        "rank": price,
        "app_max_price": None,
        "dataset_max_price": None,
        "task_stake": task_stake(order),
        "volume": order.volume,
        "remaining": new.remaining,
        "fillable": new.fillable,
        "presigned": False,
        "ahead_consumed": None,
        "ahead_block": None,
        **dict(zip(TAG_WORDS, tag_words(int(order.tag, 16)), strict=True)),
        "category": None,
        "trust": None,
        "published_at": new.published_at,
        "document": msgspec.json.encode(order),
    }
    if isinstance(order, (WorkerpoolOrder, RequestOrder)):
        row |= {"category": order.category, "trust": order.trust}
    if isinstance(order, RequestOrder):
        row |= {
            "beneficiary": order.beneficiary,
            "rank": -price,
            "app_max_price": order.appmaxprice,
            "dataset_max_price": order.datasetmaxprice,
        }
    return row


def bump(connection: sa.Connection, name: str) -> None:
    """Note that orders of a kind, or the deals, are not what they were."""
    if not _BUMP.run(connection, changed=name):
        connection.execute(sa.insert(REVISIONS).values(name=name, number=1))
