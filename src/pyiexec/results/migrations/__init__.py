"""Alembic lineage ``results``: the result proxy's tables."""
