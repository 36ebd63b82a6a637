"""Orders, deals, closures and login challenges."""

import sqlalchemy as sa
from alembic import op

revision = "first_tables"
down_revision = None
branch_labels = None
depends_on = None

ORDER_INDEXES = {
    "ix_orders_by_app": ("kind", "status", "app", "price"),
    "ix_orders_by_dataset": ("kind", "status", "dataset", "price"),
    "ix_orders_by_workerpool": ("kind", "status", "workerpool", "price"),
    "ix_orders_by_category": ("kind", "status", "category", "price"),
    "ix_orders_by_signer": ("signer", "kind", "status"),
}
DEAL_HASHES = ("apporder_hash", "datasetorder_hash", "workerpoolorder_hash", "requestorder_hash")


def upgrade() -> None:
    op.create_table(
        "orders",
        sa.Column("order_hash", sa.String(66), primary_key=True),
        sa.Column("chain_id", sa.BigInteger, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("signer", sa.String(42), nullable=False),
        sa.Column("app", sa.String(42), nullable=False),
        sa.Column("dataset", sa.String(42), nullable=False),
        sa.Column("workerpool", sa.String(42), nullable=False),
        sa.Column("requester", sa.String(42), nullable=False),
        sa.Column("beneficiary", sa.String(42)),
        sa.Column("price", sa.BigInteger, nullable=False),
        sa.Column("volume", sa.BigInteger, nullable=False),
        sa.Column("consumed", sa.BigInteger, nullable=False),
        sa.Column("remaining", sa.BigInteger, nullable=False),
        *(sa.Column(f"tag{word}", sa.BigInteger, nullable=False) for word in range(4)),
        sa.Column("category", sa.BigInteger),
        sa.Column("trust", sa.BigInteger),
        sa.Column("published_at", sa.BigInteger, nullable=False),
        sa.Column("document", sa.LargeBinary, nullable=False),
    )
    for name, columns in ORDER_INDEXES.items():
        op.create_index(name, "orders", columns)
    op.create_table(
        "deals",
        sa.Column("deal_id", sa.String(66), primary_key=True),
        *(sa.Column(name, sa.String(66), nullable=False) for name in DEAL_HASHES),
        sa.Column("volume", sa.BigInteger, nullable=False),
        sa.Column("block_number", sa.BigInteger, nullable=False),
        sa.Column("transaction_hash", sa.String(66), nullable=False),
    )
    for name in DEAL_HASHES:
        op.create_index(f"ix_deals_{name}", "deals", [name])
    op.create_table(
        "closures",
        sa.Column("order_hash", sa.String(66), primary_key=True),
        sa.Column("block_number", sa.BigInteger, nullable=False),
        sa.Column("transaction_hash", sa.String(66), nullable=False),
    )
    for table in ("deals", "closures"):
        op.create_index(f"ix_{table}_block_number", table, ["block_number"])
    op.create_table(
        "challenges",
        sa.Column("digest", sa.String(66), primary_key=True),
        sa.Column("address", sa.String(42), nullable=False),
        sa.Column("expires_at", sa.Float, nullable=False),
    )
    op.create_index("ix_challenges_expires_at", "challenges", ["expires_at"])


def downgrade() -> None:
    for table in ("challenges", "closures", "deals", "orders"):
        op.drop_table(table)
