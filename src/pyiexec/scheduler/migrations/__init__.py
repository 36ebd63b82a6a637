"""Alembic lineage "scheduler"."""
