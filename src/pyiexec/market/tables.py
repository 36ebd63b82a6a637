"""Tables of the order book: what people published, what the chain did, and what follows from both.

`orders` holds the signed documents, which nobody could give back, and beside them what follows: status, reason,
remaining and fillable tasks. Everything else but the login challenges is a copy of the chain as of the book's cursor,
about all orders, published or not, so that an order finds its past when it is published, whenever that is.
"""

from __future__ import annotations

import sqlalchemy as sa

from pyiexec.protocol.primitives import NULL_ADDRESS

METADATA = sa.MetaData()

#: A 256-bit tag is kept in four signed 64-bit words, lowest first: integers that any database can mask.
TAG_WORDS = ("tag0", "tag1", "tag2", "tag3")

ORDERS = sa.Table(
    "orders",
    METADATA,
    sa.Column("order_hash", sa.String(66), primary_key=True),
    sa.Column("chain_id", sa.BigInteger, nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("reason", sa.String(32)),
    sa.Column("since", sa.BigInteger),
    sa.Column("signer", sa.String(42), nullable=False),
    # What is sold; of requests, the requester.
    sa.Column("resource", sa.String(42), nullable=False),
    # The party the order is about, or the one it is restricted to; the null address restricts nothing.
    sa.Column("app", sa.String(42), nullable=False),
    sa.Column("dataset", sa.String(42), nullable=False),
    sa.Column("workerpool", sa.String(42), nullable=False),
    sa.Column("requester", sa.String(42), nullable=False),
    sa.Column("beneficiary", sa.String(42)),
    sa.Column("price", sa.BigInteger, nullable=False),
    # The price for ordering: smaller is better for every kind.
    sa.Column("rank", sa.BigInteger, nullable=False),
    # What a request pays at most for its app and its dataset.
    sa.Column("app_max_price", sa.BigInteger),
    sa.Column("dataset_max_price", sa.BigInteger),
    # nRLC of the signer's stake that one task takes.
    sa.Column("task_stake", sa.BigInteger, nullable=False),
    sa.Column("volume", sa.BigInteger, nullable=False),
    sa.Column("remaining", sa.BigInteger, nullable=False),
    sa.Column("fillable", sa.BigInteger, nullable=False),
    # Tasks used up according to the chain at publication, while its events have not told of them yet; and the block.
    sa.Column("ahead_consumed", sa.BigInteger),
    sa.Column("ahead_block", sa.BigInteger),
    # Whether it counts as signed because of a transaction.
    sa.Column("presigned", sa.Boolean, nullable=False),
    *(sa.Column(word, sa.BigInteger, nullable=False) for word in TAG_WORDS),
    sa.Column("category", sa.BigInteger),
    sa.Column("trust", sa.BigInteger),
    sa.Column("published_at", sa.BigInteger, nullable=False),
    sa.Column("document", sa.LargeBinary, nullable=False),
)
_PLACE = (ORDERS.c.rank, ORDERS.c.published_at, ORDERS.c.order_hash)
#: What else filters look at: with it in the index, orders that are passed over or counted are not read.
_FILTERED = tuple(
    ORDERS.c[name] for name in ("app", "dataset", "workerpool", "requester", "remaining", "trust", *TAG_WORDS)
)
sa.Index("ix_orders_by_rank", ORDERS.c.kind, ORDERS.c.status, *_PLACE, *_FILTERED)
# Not of the restrictions: nearly all orders have none, and databases that do not know would begin there.
sa.Index("ix_orders_by_category", ORDERS.c.kind, ORDERS.c.status, ORDERS.c.category, *_PLACE, *_FILTERED)
sa.Index("ix_orders_by_resource", ORDERS.c.kind, ORDERS.c.status, ORDERS.c.resource, *_PLACE)
for _name in ("app", "dataset", "beneficiary"):
    _of_requests = sa.text("kind = 'requestorder'")
    sa.Index(
        f"ix_requests_by_{_name}",
        *(ORDERS.c.status, ORDERS.c[_name], *_PLACE),
        sqlite_where=_of_requests,
        postgresql_where=_of_requests,
    )
# For counting those that are reserved for somebody, asked with the same words; pages cannot be read along it.
for _name in ("app", "dataset", "workerpool", "requester"):
    _reserved = sa.text(f"{_name} <> '{NULL_ADDRESS}'")
    sa.Index(
        f"ix_orders_reserved_by_{_name}",
        *(ORDERS.c[_name], ORDERS.c.kind, ORDERS.c.status),
        sqlite_where=_reserved,
        postgresql_where=_reserved,
    )
sa.Index("ix_orders_by_signer", ORDERS.c.signer, ORDERS.c.kind, ORDERS.c.status, *_PLACE)
sa.Index("ix_orders_ahead_block", ORDERS.c.ahead_block)

#: How often the orders of a kind, or the deals, changed: what was counted before is right while this is the same.
REVISIONS = sa.Table(
    "revisions",
    METADATA,
    sa.Column("name", sa.String(16), primary_key=True),
    sa.Column("number", sa.BigInteger, nullable=False),
)

DEALS = sa.Table(
    "deals",
    METADATA,
    sa.Column("deal_id", sa.String(66), primary_key=True),
    sa.Column("apporder_hash", sa.String(66), nullable=False),
    sa.Column("datasetorder_hash", sa.String(66), nullable=False),
    sa.Column("workerpoolorder_hash", sa.String(66), nullable=False),
    sa.Column("requestorder_hash", sa.String(66), nullable=False),
    sa.Column("volume", sa.BigInteger, nullable=False),
    sa.Column("block_number", sa.BigInteger, nullable=False),
    sa.Column("transaction_hash", sa.String(66), nullable=False),
    # The rest is known once the deal was read; a deal of a block that is gone by then cannot be.
    sa.Column("app", sa.String(42)),
    sa.Column("app_owner", sa.String(42)),
    sa.Column("dataset", sa.String(42)),
    sa.Column("dataset_owner", sa.String(42)),
    sa.Column("workerpool", sa.String(42)),
    sa.Column("workerpool_owner", sa.String(42)),
    sa.Column("requester", sa.String(42)),
    sa.Column("beneficiary", sa.String(42)),
    sa.Column("category", sa.BigInteger),
    sa.Column("workerpool_price", sa.BigInteger),
    sa.Column("block_timestamp", sa.BigInteger),
    sa.Column("document", sa.LargeBinary),
)
#: Columns that deals are looked up by, newest first.
DEAL_KEYS = (
    "apporder_hash",
    "datasetorder_hash",
    "workerpoolorder_hash",
    "requestorder_hash",
    "app",
    "app_owner",
    "dataset",
    "dataset_owner",
    "workerpool",
    "workerpool_owner",
    "requester",
    "beneficiary",
    "category",
)
sa.Index("ix_deals_by_block", DEALS.c.block_number.desc(), DEALS.c.deal_id)
for _name in DEAL_KEYS:
    sa.Index(f"ix_deals_by_{_name}", DEALS.c[_name], DEALS.c.block_number.desc(), DEALS.c.deal_id)

CATEGORIES = sa.Table(
    "categories",
    METADATA,
    sa.Column("category", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("description", sa.Text, nullable=False),
    # Seconds; categories are made by the hub's owner, whom nothing keeps from larger numbers than databases know.
    sa.Column("work_clock_time_ref", sa.BigInteger, nullable=False),
    sa.Column("block_number", sa.BigInteger, nullable=False),
    sa.Column("block_timestamp", sa.BigInteger, nullable=False),
    sa.Column("transaction_hash", sa.String(66), nullable=False),
)

#: Tasks of an order that deals used up.
CONSUMED = sa.Table(
    "consumed",
    METADATA,
    sa.Column("order_hash", sa.String(66), primary_key=True),
    sa.Column("volume", sa.BigInteger, nullable=False),
)

CLOSURES = sa.Table(
    "closures",
    METADATA,
    sa.Column("order_hash", sa.String(66), primary_key=True),
    sa.Column("block_number", sa.BigInteger, nullable=False, index=True),
    sa.Column("transaction_hash", sa.String(66), nullable=False),
)

#: What was read from the chain, and as of which block; events since then are taken into account.
STAKES = sa.Table(
    "stakes",
    METADATA,
    sa.Column("account", sa.String(42), primary_key=True),
    # Free nRLC in the hub.
    sa.Column("amount", sa.BigInteger),
    sa.Column("as_of", sa.BigInteger, nullable=False, index=True),
)
OWNERS = sa.Table(
    "owners",
    METADATA,
    sa.Column("asset", sa.String(42), primary_key=True),
    # None while the asset does not exist, because the chain went back.
    sa.Column("owner", sa.String(42)),
    sa.Column("as_of", sa.BigInteger, nullable=False, index=True),
)
PRESIGNERS = sa.Table(
    "presigners",
    METADATA,
    sa.Column("order_hash", sa.String(66), primary_key=True),
    sa.Column("presigner", sa.String(42)),
    sa.Column("as_of", sa.BigInteger, nullable=False, index=True),
)

CHALLENGES = sa.Table(
    "challenges",
    METADATA,
    sa.Column("digest", sa.String(66), primary_key=True),
    sa.Column("address", sa.String(42), nullable=False),
    sa.Column("expires_at", sa.Float, nullable=False, index=True),
)
