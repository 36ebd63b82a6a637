"""Alembic lineage ``compass``: URLs of schedulers."""
