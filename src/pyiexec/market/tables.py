"""Tables of the order book: what people published, and what the chain did with it.

`deals` and `closures` are facts of the chain about all orders, published or not, so that an order finds its past when
it is published, whenever that is. `orders` is what they leave open.
"""

from __future__ import annotations

import sqlalchemy as sa

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
    sa.Column("signer", sa.String(42), nullable=False),
    # The party the order is about, or the one it is restricted to; the null address restricts nothing.
    sa.Column("app", sa.String(42), nullable=False),
    sa.Column("dataset", sa.String(42), nullable=False),
    sa.Column("workerpool", sa.String(42), nullable=False),
    sa.Column("requester", sa.String(42), nullable=False),
    sa.Column("beneficiary", sa.String(42)),
    sa.Column("price", sa.BigInteger, nullable=False),
    sa.Column("volume", sa.BigInteger, nullable=False),
    sa.Column("consumed", sa.BigInteger, nullable=False),
    sa.Column("remaining", sa.BigInteger, nullable=False),
    *(sa.Column(word, sa.BigInteger, nullable=False) for word in TAG_WORDS),
    sa.Column("category", sa.BigInteger),
    sa.Column("trust", sa.BigInteger),
    sa.Column("published_at", sa.BigInteger, nullable=False),
    sa.Column("document", sa.LargeBinary, nullable=False),
)
sa.Index("ix_orders_by_app", ORDERS.c.kind, ORDERS.c.status, ORDERS.c.app, ORDERS.c.price)
sa.Index("ix_orders_by_dataset", ORDERS.c.kind, ORDERS.c.status, ORDERS.c.dataset, ORDERS.c.price)
sa.Index("ix_orders_by_workerpool", ORDERS.c.kind, ORDERS.c.status, ORDERS.c.workerpool, ORDERS.c.price)
sa.Index("ix_orders_by_category", ORDERS.c.kind, ORDERS.c.status, ORDERS.c.category, ORDERS.c.price)
sa.Index("ix_orders_by_signer", ORDERS.c.signer, ORDERS.c.kind, ORDERS.c.status)

DEALS = sa.Table(
    "deals",
    METADATA,
    sa.Column("deal_id", sa.String(66), primary_key=True),
    sa.Column("apporder_hash", sa.String(66), nullable=False, index=True),
    sa.Column("datasetorder_hash", sa.String(66), nullable=False, index=True),
    sa.Column("workerpoolorder_hash", sa.String(66), nullable=False, index=True),
    sa.Column("requestorder_hash", sa.String(66), nullable=False, index=True),
    sa.Column("volume", sa.BigInteger, nullable=False),
    sa.Column("block_number", sa.BigInteger, nullable=False, index=True),
    sa.Column("transaction_hash", sa.String(66), nullable=False),
)

CLOSURES = sa.Table(
    "closures",
    METADATA,
    sa.Column("order_hash", sa.String(66), primary_key=True),
    sa.Column("block_number", sa.BigInteger, nullable=False, index=True),
    sa.Column("transaction_hash", sa.String(66), nullable=False),
)

CHALLENGES = sa.Table(
    "challenges",
    METADATA,
    sa.Column("digest", sa.String(66), primary_key=True),
    sa.Column("address", sa.String(42), nullable=False),
    sa.Column("expires_at", sa.Float, nullable=False, index=True),
)
