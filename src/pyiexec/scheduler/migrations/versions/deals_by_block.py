"""Deals are found by the block of their notice."""

from alembic import op

revision = "deals_by_block"
down_revision = "printouts"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_deals_block", "deals", ["block"])


def downgrade() -> None:
    op.drop_index("ix_deals_block", "deals")
