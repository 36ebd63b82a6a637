"""What a network does with errors that are not its own."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from pyiexec.devnet.network import Network, NetworkOptions, Ports
from pyiexec.protocol.errors import IexecError


def test_an_error_of_its_user_leaves_a_network_as_it_came(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with Network(NetworkOptions(directory=tmp_path, workers=1, embedded=True)):
            raise IexecError("BAD_REQUEST", "the user's own")

    with pytest.raises(IexecError, match="the user's own"):
        asyncio.run(scenario())


def test_a_network_that_cannot_start_says_why(tmp_path: Path) -> None:
    async def scenario(port: int) -> None:
        options = NetworkOptions(directory=tmp_path, workers=1, embedded=True, ports=Ports(chain=port))
        async with Network(options):
            pytest.fail("it started on a port that was taken")

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(IexecError) as refused:
            asyncio.run(scenario(taken.getsockname()[1]))
    assert refused.value.code == "PORT_TAKEN"
