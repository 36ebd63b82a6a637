"""The table of the compass: what each owner of a pool registered last."""

from __future__ import annotations

import sqlalchemy as sa

METADATA = sa.MetaData()

POOL_URLS = sa.Table(
    "pool_urls",
    METADATA,
    sa.Column("chain_id", sa.BigInteger, primary_key=True),
    sa.Column("workerpool", sa.String(42), primary_key=True),
    # A pool that was sold and bought back finds its former owner's last deadline again.
    sa.Column("owner", sa.String(42), primary_key=True),
    sa.Column("api_url", sa.String(255), nullable=False),
    sa.Column("deadline", sa.BigInteger, nullable=False),
    # Counts a pool's registrations: the highest is the one that holds.
    sa.Column("version", sa.BigInteger, nullable=False),
)
