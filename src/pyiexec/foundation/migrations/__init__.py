"""Alembic lineage "leadership": who of several processes leads."""
