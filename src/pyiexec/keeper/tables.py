"""The keeper's table: every deal of the hub, and when to look after it."""

from __future__ import annotations

import sqlalchemy as sa

METADATA = sa.MetaData()

#: `requester`, `first_index` and `tasks` are null until the deal was read. `look_at` is chain time in seconds, null
#: until then, too. `block` is that of the notice; `settled_block` the newest one when all tasks were seen to be over.
KEPT_DEALS = sa.Table(
    "kept_deals",
    METADATA,
    sa.Column("deal_id", sa.String(66), primary_key=True),
    sa.Column("boost", sa.Boolean, nullable=False),
    sa.Column("workerpool", sa.String(42), nullable=False, index=True),
    sa.Column("block", sa.BigInteger, nullable=False, index=True),
    sa.Column("requester", sa.String(42), nullable=True, index=True),
    sa.Column("first_index", sa.BigInteger, nullable=True),
    sa.Column("tasks", sa.BigInteger, nullable=True),
    sa.Column("look_at", sa.BigInteger, nullable=True, index=True),
    sa.Column("settled_block", sa.BigInteger, nullable=True, index=True),
)
