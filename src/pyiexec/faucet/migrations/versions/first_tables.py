"""What was given to whom."""

import sqlalchemy as sa
from alembic import op

revision = "gifts"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "gifts",
        sa.Column("number", sa.Integer, primary_key=True),
        sa.Column("account", sa.String(42), nullable=False, index=True),
        sa.Column("nrlc", sa.String(78), nullable=False),
        sa.Column("wei", sa.String(78), nullable=False),
        sa.Column("promised_at", sa.Float, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("gifts")
