"""Contracts that the hub's tests call upon."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pyiexec.protocol.primitives import Address

MOCKS = Path(__file__).parent / "mocks"


@pytest.fixture
def mock(market: Any) -> Callable[..., Address]:
    """Create a contract of `mocks/` by name, with one number as its argument if it takes one."""

    def create(name: str, *mode: int) -> Address:
        address: Address = market.create(MOCKS / f"{name}.vy", *(value.to_bytes(32, "big") for value in mode))
        return address

    return create
