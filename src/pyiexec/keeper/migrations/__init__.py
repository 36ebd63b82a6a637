"""Alembic lineage ``keeper``: deals that may still hold money."""
