"""The persisted queue of transactions."""

import sqlalchemy as sa
from alembic import op

revision = "queue"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "transactions",
        sa.Column("id", sa.Integer().with_variant(sa.BigInteger, "postgresql"), primary_key=True),
        sa.Column("chain_id", sa.BigInteger, nullable=False),
        sa.Column("sender", sa.String(42), nullable=False),
        sa.Column("object_id", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("to_address", sa.String(42), nullable=True),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("gas", sa.BigInteger, nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("nonce", sa.BigInteger, nullable=True),
        sa.Column("max_fee", sa.BigInteger, nullable=True),
        sa.Column("tip", sa.BigInteger, nullable=True),
        sa.Column("raw", sa.LargeBinary, nullable=False),
        sa.Column("hash", sa.String(66), nullable=False),
        sa.Column("former_hashes", sa.Text, nullable=False),
        sa.Column("block_number", sa.BigInteger, nullable=True),
        sa.Column("block_hash", sa.String(66), nullable=False),
        sa.Column("error_code", sa.String(64), nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("created_at", sa.Float, nullable=False),
        sa.UniqueConstraint("chain_id", "sender", "object_id", "action", "attempt", name="uq_transactions_action"),
    )
    op.create_index("ix_transactions_status", "transactions", ["chain_id", "sender", "status", "block_number"])


def downgrade() -> None:
    op.drop_table("transactions")
