"""The token on the chain that the registries' tests drive."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pyiexec.protocol.primitives import Address

_path = Path(__file__).parents[1] / "registries" / "conftest.py"
_spec = importlib.util.spec_from_file_location("plain_chain", _path)
assert _spec is not None
assert _spec.loader is not None
_plain_chain = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_plain_chain)

session_chain = _plain_chain.session_chain
reverted = _plain_chain.reverted


@pytest.fixture(scope="session")
def token(session_chain: Any) -> Address:
    """RLC, all of it held by account 0."""
    address: Address = session_chain.create("RLC")
    return address


@pytest.fixture
def chain(session_chain: Any, token: Address) -> Iterator[Any]:
    """The chain with nothing but the token on it."""
    snapshot = session_chain.ask("evm_snapshot")
    yield session_chain
    session_chain.ask("evm_revert", snapshot)
