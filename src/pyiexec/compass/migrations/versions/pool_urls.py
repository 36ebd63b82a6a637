"""URLs that owners of pools registered."""

import sqlalchemy as sa
from alembic import op

revision = "pool_urls"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "pool_urls",
        sa.Column("chain_id", sa.BigInteger, primary_key=True),
        sa.Column("workerpool", sa.String(42), primary_key=True),
        sa.Column("owner", sa.String(42), primary_key=True),
        sa.Column("api_url", sa.String(255), nullable=False),
        sa.Column("deadline", sa.BigInteger, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    op.drop_table("pool_urls")
