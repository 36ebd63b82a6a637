"""Indexes of the orders that are reserved for somebody, and ones that need no look at the orders to count them."""

import sqlalchemy as sa
from alembic import op

revision = "reserved_orders"
down_revision = "life_cycle"
branch_labels = None
depends_on = None

PARTIES = ("app", "dataset", "workerpool", "requester")
NOBODY = "0x" + "00" * 20
PLACE = ("rank", "published_at", "order_hash")
FILTERED = (*PARTIES, "remaining", "trust", "tag0", "tag1", "tag2", "tag3")
LISTS = {"ix_orders_by_rank": ("kind", "status"), "ix_orders_by_category": ("kind", "status", "category")}


def upgrade() -> None:
    for name, columns in LISTS.items():
        op.drop_index(name, "orders")
        op.create_index(name, "orders", (*columns, *PLACE, *FILTERED))
    for party in PARTIES:
        reserved = sa.text(f"{party} <> '{NOBODY}'")
        op.create_index(
            f"ix_orders_reserved_by_{party}",
            "orders",
            (party, "kind", "status"),
            sqlite_where=reserved,
            postgresql_where=reserved,
        )


def downgrade() -> None:
    for party in PARTIES:
        op.drop_index(f"ix_orders_reserved_by_{party}", "orders")
    for name, columns in LISTS.items():
        op.drop_index(name, "orders")
        op.create_index(name, "orders", (*columns, *PLACE))
