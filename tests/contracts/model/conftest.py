"""The contracts on a chain of their own, once per session."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from pyiexec.chain.anvil import Anvil, AnvilOptions
from pyiexec.chain.rpc import JsonRpc

from .stage import GAS, Stage


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    with asyncio.Runner() as runner:
        anvil = runner.run(Anvil(AnvilOptions(block_time=10**6, block_gas_limit=2 * GAS)).start())
        rpc = JsonRpc(anvil.url)
        try:
            yield Stage(runner, rpc)
        finally:
            runner.run(rpc.close())
            runner.run(anvil.stop())
