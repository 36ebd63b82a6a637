"""Secrets, and the authorisations that were used."""

import sqlalchemy as sa
from alembic import op

revision = "secrets"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "secrets",
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("subject", sa.String(42), primary_key=True),
        sa.Column("name", sa.String(255), primary_key=True),
        sa.Column("sealed", sa.LargeBinary),
        sa.Column("key_id", sa.String(16)),
        sa.Column("bound", sa.Boolean, nullable=False),
        sa.Column("fingerprint", sa.String(64)),
        sa.Column("set_by", sa.String(42), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("updated_at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_secrets_by_key", "secrets", ["key_id"])
    op.create_index("ix_secrets_by_setter", "secrets", ["set_by"])
    op.create_table(
        "spent_messages",
        sa.Column("fingerprint", sa.String(64), primary_key=True),
        sa.Column("kind", sa.String(16), nullable=False),
    )
    op.create_table(
        "spent_nonces",
        sa.Column("nonce", sa.String(66), primary_key=True),
        sa.Column("signer", sa.String(42), primary_key=True),
        sa.Column("deadline", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_spent_nonces_deadline", "spent_nonces", ["deadline"])


def downgrade() -> None:
    for table in ("spent_nonces", "spent_messages", "secrets"):
        op.drop_table(table)
