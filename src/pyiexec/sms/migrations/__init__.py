"""Alembic lineage ``sms``: secrets, and what must not be used twice."""
