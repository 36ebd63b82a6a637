"""Both hubs, deployed on one chain once per session."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from . import marketplaces
from .chain import Chain


@pytest.fixture(scope="session")
def both_hubs() -> Iterator[Chain]:
    with marketplaces.both_hubs() as chain:
        yield chain


@pytest.fixture
def chain(both_hubs: Chain) -> Iterator[Chain]:
    """Both hubs as deployed."""
    snapshot = both_hubs.snapshot()
    yield both_hubs
    both_hubs.restore(snapshot)
