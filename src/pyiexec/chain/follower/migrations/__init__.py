"""Alembic lineage "follower"."""
