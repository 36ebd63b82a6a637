import pytest

from .market import Market


@pytest.fixture
def market() -> Market:
    return Market()
