"""Deals, tasks, replicates, workers and their outboxes."""

import sqlalchemy as sa
from alembic import op

revision = "first_tables"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "deals",
        sa.Column("deal_id", sa.String(66), primary_key=True),
        sa.Column("gone", sa.Boolean, nullable=False),
        sa.Column("facts", sa.LargeBinary, nullable=True),
    )
    op.create_table(
        "tasks",
        sa.Column("task_id", sa.String(66), primary_key=True),
        sa.Column("deal_id", sa.String(66), nullable=False),
        sa.Column("phase", sa.String(32), nullable=False),
        sa.Column("settled", sa.Boolean, nullable=False),
        sa.Column("state", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_tasks_deal_id", "tasks", ["deal_id"])
    op.create_index("ix_tasks_settled", "tasks", ["settled"])
    op.create_table(
        "replicates",
        sa.Column("task_id", sa.String(66), primary_key=True),
        sa.Column("worker", sa.String(42), primary_key=True),
        sa.Column("logs", sa.Text, nullable=False),
    )
    op.create_table(
        "workers",
        sa.Column("worker", sa.String(42), primary_key=True),
        sa.Column("sent", sa.BigInteger, nullable=False),
        sa.Column("acknowledged", sa.BigInteger, nullable=False),
        sa.Column("received", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "outbox",
        sa.Column("worker", sa.String(42), primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )


def downgrade() -> None:
    for table in ("outbox", "workers", "replicates", "tasks", "deals"):
        op.drop_table(table)
