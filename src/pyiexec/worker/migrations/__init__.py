"""Alembic lineage ``worker``: the worker's tables."""
