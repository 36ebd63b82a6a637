"""Alembic lineage "transactions"."""
