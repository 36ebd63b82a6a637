"""Results by task, permissions to upload them, and logins."""

import sqlalchemy as sa
from alembic import op

revision = "task_results"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "task_results",
        sa.Column("task_id", sa.String(66), primary_key=True),
        sa.Column("cid", sa.String(64), nullable=False),
        sa.Column("size", sa.BigInteger, nullable=False),
        sa.Column("uploader", sa.String(42), nullable=False),
        sa.Column("uploaded_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_task_results_by_uploader", "task_results", ["uploader", "uploaded_at"])
    op.create_table(
        "upload_permissions",
        sa.Column("task_id", sa.String(66), primary_key=True),
        sa.Column("worker", sa.String(42), primary_key=True),
        sa.Column("enclave_challenge", sa.String(42), nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_upload_permissions_by_expiry", "upload_permissions", ["expires_at"])
    op.create_table(
        "upload_challenges",
        sa.Column("digest", sa.String(66), primary_key=True),
        sa.Column("address", sa.String(42), nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_upload_challenges_by_expiry", "upload_challenges", ["expires_at"])


def downgrade() -> None:
    for table in ("upload_challenges", "upload_permissions", "task_results"):
        op.drop_table(table)
