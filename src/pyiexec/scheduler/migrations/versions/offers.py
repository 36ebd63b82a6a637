"""Orders that the scheduler signed itself."""

import sqlalchemy as sa
from alembic import op

revision = "offers"
down_revision = "deals_by_block"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "offers",
        sa.Column("order_hash", sa.String(66), primary_key=True),
        sa.Column("record", sa.LargeBinary, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("offers")
