"""Fixtures of all tests: the databases a service can stand on."""

from tests.databases import database_url, postgresql, postgresql_url

__all__ = ["database_url", "postgresql", "postgresql_url"]
