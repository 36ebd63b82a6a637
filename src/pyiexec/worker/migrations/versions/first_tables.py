"""Tasks, reports and the channel's counters."""

import sqlalchemy as sa
from alembic import op

revision = "first_tables"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tasks",
        sa.Column("task_id", sa.String(66), primary_key=True),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("closed", sa.Boolean, nullable=False),
        sa.Column("changed", sa.Float, nullable=False),
        sa.Column("record", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_tasks_closed", "tasks", ["closed"])
    op.create_index("ix_tasks_changed", "tasks", ["changed"])
    op.create_table(
        "reports",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "channel",
        sa.Column("identity", sa.String(256), primary_key=True),
        sa.Column("received", sa.Integer, nullable=False),
        sa.Column("sent", sa.Integer, nullable=False),
    )


def downgrade() -> None:
    for table in ("channel", "reports", "tasks"):
        op.drop_table(table)
