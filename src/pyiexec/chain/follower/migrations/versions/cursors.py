"""Cursors of log readers."""

import sqlalchemy as sa
from alembic import op

revision = "cursors"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "log_cursors",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.String(66), nullable=False),
    )
    op.create_table(
        "log_marks",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("hash", sa.String(66), nullable=False),
        sa.Column("logs", sa.Text, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("log_marks")
    op.drop_table("log_cursors")
