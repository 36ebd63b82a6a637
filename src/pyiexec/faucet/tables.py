"""The table of the faucet: what was given to whom."""

from __future__ import annotations

import sqlalchemy as sa

METADATA = sa.MetaData()

GIFTS = sa.Table(
    "gifts",
    METADATA,
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("account", sa.String(42), nullable=False, index=True),
    # Amounts may not fit into an integer of the database.
    sa.Column("nrlc", sa.String(78), nullable=False),
    sa.Column("wei", sa.String(78), nullable=False),
    sa.Column("promised_at", sa.Float, nullable=False),
)
