"""Alembic lineage ``indexer``: the index's tables.

All that is in them can be read from the chain again, so a revision that changes them drops them and makes them anew,
from the tables as they are described; nothing is ever converted.
"""
