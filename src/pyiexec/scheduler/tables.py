"""The scheduler's tables: deals of the pool, their tasks and replicates, and where each worker's channel stands."""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

#: Deals noticed on chain. `facts` is JSON and null until the deal was read; `gone` after a reorganisation undid it;
#: `block` is that of the notice.
deals = sa.Table(
    "deals",
    metadata,
    sa.Column("deal_id", sa.String(66), primary_key=True),
    sa.Column("gone", sa.Boolean, nullable=False),
    sa.Column("facts", sa.LargeBinary, nullable=True),
    sa.Column("block", sa.BigInteger, nullable=True, index=True),
)

#: One row a task; `state` is the JSON of a `TaskState`, of which the other columns repeat what is searched by.
tasks = sa.Table(
    "tasks",
    metadata,
    sa.Column("task_id", sa.String(66), primary_key=True),
    sa.Column("deal_id", sa.String(66), nullable=False, index=True),
    sa.Column("phase", sa.String(32), nullable=False, index=True),
    sa.Column("settled", sa.Boolean, nullable=False, index=True),
    sa.Column("state", sa.LargeBinary, nullable=False),
)

#: What the replicates' applications printed, kept out of the state for its size: the JSON of a `Printed`, in bytes
#: because not every database takes every character. `purge_at` is chain time in seconds.
printouts = sa.Table(
    "printouts",
    metadata,
    sa.Column("task_id", sa.String(66), primary_key=True),
    sa.Column("worker", sa.String(42), primary_key=True),
    sa.Column("content", sa.LargeBinary, nullable=False),
    sa.Column("purge_at", sa.BigInteger, nullable=False, index=True),
)

#: Workers that ever logged in: the last command numbered and acknowledged, the last report processed.
workers = sa.Table(
    "workers",
    metadata,
    sa.Column("worker", sa.String(42), primary_key=True),
    sa.Column("sent", sa.BigInteger, nullable=False),
    sa.Column("acknowledged", sa.BigInteger, nullable=False),
    sa.Column("received", sa.BigInteger, nullable=False),
)

#: Commands that their worker has not acknowledged; `body` is the JSON of the command.
outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("worker", sa.String(42), primary_key=True),
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
)

#: Orders that the scheduler signed to sell the pool's capacity and that can still be matched; `record` is the JSON of
#: an `OwnOrder`.
offers = sa.Table(
    "offers",
    metadata,
    sa.Column("order_hash", sa.String(66), primary_key=True),
    sa.Column("record", sa.LargeBinary, nullable=False),
)
