"""Deals that may still hold money."""

import sqlalchemy as sa
from alembic import op

revision = "kept_deals"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "kept_deals",
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


def downgrade() -> None:
    op.drop_table("kept_deals")
