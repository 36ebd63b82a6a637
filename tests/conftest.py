"""Fixtures of all tests: the databases a service can stand on."""

from tests.databases import database_url, new_database, postgresql, postgresql_url

__all__ = ["database_url", "new_database", "postgresql", "postgresql_url"]
