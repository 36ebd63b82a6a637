"""A network that has nothing to do does nothing."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections import Counter
from pathlib import Path

import anyio

from pyiexec.devnet import roles
from pyiexec.devnet.demo import publish_pool
from pyiexec.devnet.network import Network, NetworkOptions
from pyiexec.devnet.samples import sample
from pyiexec.protocol.orders import AppOrder
from pyiexec.sdk import AsyncClient

#: Seconds for what the last task left to do, and seconds that are looked at.
SETTLING, WINDOW = 6, 6

#: A request in the trace of the chain: its method, alone on a line.
REQUEST = re.compile(r"^((?:eth|net|web3|anvil|evm|debug)_\w+)\s*$", re.MULTILINE)


async def do_some_work(network: Network) -> None:
    """A deal of three tasks, so that every part has something to remember."""
    async with AsyncClient(network.profile, roles.account(roles.POOL_MANAGER)) as manager:
        await publish_pool(manager, network.provision.workerpool)
    async with AsyncClient(network.profile, roles.account(roles.APP_PROVIDER)) as provider:
        app = (await provider.apps.deploy("noop", sample("noop/noop.wasm"))).address
        await provider.orders.publish(provider.orders.sign(AppOrder(app=app, volume=3)))
    async with AsyncClient(network.profile, roles.account(roles.REQUESTER)) as requester:
        await requester.account.deposit(10**9)
        assert len(await requester.run(app, volume=3, trust=3)) == 3


def databases(directory: Path) -> dict[Path, str]:
    """Every database file and write-ahead log with its content's hash."""
    files = [*directory.rglob("*.db"), *directory.rglob("*.db-wal")]
    return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def requests(trace: Path, start: int) -> Counter[str]:
    with trace.open("rb") as file:
        file.seek(start)
        return Counter(REQUEST.findall(file.read().decode(errors="replace")))


def test_an_idle_network_hardly_asks_its_chain_and_writes_no_database(tmp_path: Path) -> None:
    async def scenario() -> None:
        options = NetworkOptions(directory=tmp_path, workers=4, trace_chain=True)
        trace = tmp_path / "chain.log"
        async with Network(options) as network:
            await do_some_work(network)
            # The trace is what is relied on: the work is in it.
            assert requests(trace, 0)["eth_sendRawTransaction"] > 10
            await anyio.sleep(SETTLING)
            start, before = trace.stat().st_size, databases(tmp_path)
            await anyio.sleep(WINDOW)
            asked, after = requests(trace, start), databases(tmp_path)
        assert len(before) >= 6, "market, scheduler and workers keep databases"
        assert after == before
        assert asked.total() <= WINDOW, asked

    asyncio.run(scenario())
