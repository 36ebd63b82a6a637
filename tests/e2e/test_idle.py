"""A network with nothing to do does nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import anyio

from pyiexec.chain.heads import HeadFeed
from pyiexec.devnet.demo import open_market
from pyiexec.devnet.network import Network, NetworkOptions

SECONDS = 8


def requests_logged(log: Path) -> list[str]:
    """Methods that anvil was asked for; it logs one line for each."""
    lines = log.read_text(errors="replace").splitlines()
    return [line for line in lines if line.startswith(("eth_", "net_", "web3_", "anvil_", "evm_"))]


def database_files(folder: Path) -> dict[Path, tuple[int, int]]:
    """Size and time of change of every database file."""
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*.db*")}


def test_an_idle_network_asks_the_chain_at_most_once_a_second_and_writes_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        options = NetworkOptions(directory=tmp_path, workers=4, trace_chain=True)
        async with Network(options) as network:
            await open_market(network)
            log = tmp_path / "chain.log"
            # The orders just published are the last thing that happens; blocks of the interval go on.
            async with HeadFeed(network.profile.rpc_url) as feed, feed.subscribe() as heads:
                for _ in range(3):
                    await anext(heads)
            before, files = len(requests_logged(log)), database_files(tmp_path)
            assert before > 50, "the chain's log tells requests"
            assert len(files) >= 6, "market, scheduler and workers have databases"
            await anyio.sleep(SECONDS)
            asked = requests_logged(log)[before:]
            assert len(asked) <= SECONDS, asked
            assert database_files(tmp_path) == files

    asyncio.run(scenario())
