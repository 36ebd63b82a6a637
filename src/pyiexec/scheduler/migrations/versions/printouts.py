"""What applications printed, both streams apart and until when; the block in which a deal was noticed."""

import json

import sqlalchemy as sa
from alembic import op

revision = "printouts"
down_revision = "first_tables"
branch_labels = None
depends_on = None

#: Seconds after the final deadline for which logs were kept when this was written.
_KEPT = 3 * 24 * 3600


def upgrade() -> None:
    printouts = op.create_table(
        "printouts",
        sa.Column("task_id", sa.String(66), primary_key=True),
        sa.Column("worker", sa.String(42), primary_key=True),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("purge_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_printouts_purge_at", "printouts", ["purge_at"])
    op.add_column("deals", sa.Column("block", sa.BigInteger, nullable=True))
    op.create_index("ix_tasks_phase", "tasks", ["phase"])
    connection = op.get_bind()
    former = connection.execute(
        sa.text("SELECT r.task_id, r.worker, r.logs, t.state FROM replicates r JOIN tasks t ON t.task_id = r.task_id")
    )
    rows = [
        {
            "task_id": task_id,
            "worker": worker,
            "content": json.dumps({"stdout": {"text": logs}}).encode(),
            "purge_at": json.loads(bytes(state))["chain"]["final_deadline"] + _KEPT,
        }
        for task_id, worker, logs, state in former
    ]
    if rows:
        connection.execute(printouts.insert(), rows)
    op.drop_table("replicates")


def downgrade() -> None:
    op.create_table(
        "replicates",
        sa.Column("task_id", sa.String(66), primary_key=True),
        sa.Column("worker", sa.String(42), primary_key=True),
        sa.Column("logs", sa.Text, nullable=False),
    )
    with op.batch_alter_table("deals") as deals:
        deals.drop_column("block")
    op.drop_index("ix_tasks_phase", "tasks")
    op.drop_index("ix_printouts_purge_at", "printouts")
    op.drop_table("printouts")
