"""Alembic lineage ``faucet``: what was given to whom."""
