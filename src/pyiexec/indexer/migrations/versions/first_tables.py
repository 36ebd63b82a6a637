"""The entities, and what the index knows about itself."""

from alembic import op

from pyiexec.indexer.tables import METADATA

revision = "first_tables"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    METADATA.create_all(op.get_bind())
