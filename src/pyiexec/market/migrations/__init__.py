"""Alembic lineage ``market``: the order book's tables."""
