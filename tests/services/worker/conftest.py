"""A chain with a marketplace, a content store and a workerpool, for the whole session."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"
