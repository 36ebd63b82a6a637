"""The worker's tables: the tasks it takes part in, the reports it owes, and where its channel stands."""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData()

#: One row a task; `record` is the JSON of a `TaskRecord`, of which the other columns repeat what is searched by.
tasks = sa.Table(
    "tasks",
    metadata,
    sa.Column("task_id", sa.String(66), primary_key=True),
    sa.Column("status", sa.String(32), nullable=False),
    sa.Column("closed", sa.Boolean, nullable=False, index=True),
    sa.Column("changed", sa.Float, nullable=False, index=True),
    sa.Column("record", sa.LargeBinary, nullable=False),
)

#: Reports that the scheduler has not acknowledged, by their number on the channel.
reports = sa.Table(
    "reports",
    metadata,
    sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
)

#: A single row: whom the folder belongs to, and how far the channel's two directions have come.
channel = sa.Table(
    "channel",
    metadata,
    sa.Column("identity", sa.String(256), primary_key=True),
    sa.Column("received", sa.Integer, nullable=False),
    sa.Column("sent", sa.Integer, nullable=False),
)
