"""The journal of events."""

import sqlalchemy as sa
from alembic import op

revision = "events"
down_revision = "first_tables"
branch_labels = None
depends_on = None

PARTIES = ("app", "dataset", "workerpool", "requester")


def upgrade() -> None:
    op.create_table(
        "events",
        sa.Column("seq", sa.Integer().with_variant(sa.BigInteger, "postgresql"), primary_key=True, autoincrement=True),
        sa.Column("room", sa.String(16), nullable=False),
        sa.Column("event", sa.String(40), nullable=False),
        sa.Column("payload", sa.LargeBinary, nullable=False),
        *(sa.Column(party, sa.String(42)) for party in PARTIES),
        sa.Column("reason", sa.String(64)),
        sa.Column("block_number", sa.BigInteger),
        sa.Column("transaction_hash", sa.String(66)),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    op.drop_table("events")
