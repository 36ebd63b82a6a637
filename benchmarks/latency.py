"""From a match to a finalized task, on a warm network of separate processes.

Order book, content store, scheduler and four workers are processes that talk over HTTP and keep their state in SQLite
on disk; the app is a real WebAssembly module. Timed from sending the match to hearing of the finalization.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from pyiexec.devnet import roles
from pyiexec.devnet.demo import publish_pool
from pyiexec.devnet.network import Network, NetworkOptions
from pyiexec.devnet.provision import SHORT_CATEGORY
from pyiexec.devnet.samples import sample
from pyiexec.protocol.orders import AppOrder
from pyiexec.protocol.params import DealParams
from pyiexec.protocol.primitives import Address
from pyiexec.protocol.tasks import TaskStatus
from pyiexec.sdk.client import AsyncClient, Execution
from verdict import Measured, conclude

WARM, RUNS = 3, 21
#: Trust level and its bar in seconds.
BARS = {1: 0.3, 10: 0.8}


async def one(client: AsyncClient, app: Address, trust: int) -> tuple[float, dict[str, float]]:
    """Seconds from sending the match to the finalization, and to each event on the way."""
    quote = await client.purchases.quote(app, trust=trust, category=SHORT_CATEGORY)
    started = time.perf_counter()
    matches = await client.purchases.buy(quote, DealParams(iexec_args="hello"))
    moments = {"match": time.perf_counter() - started}
    execution = Execution(quote, tuple(matches))
    status = TaskStatus.UNSET
    async for update in client.watch(execution):
        status = update.status
        moments[update.event] = time.perf_counter() - started
    if status is not TaskStatus.COMPLETED:
        raise SystemExit(f"a task at trust {trust} ended {status.name}")
    return moments["TaskFinalize"], moments


async def measure(directory: Path) -> list[Measured]:
    """The median for each trust level."""
    figures = []
    async with Network(NetworkOptions(directory=directory, workers=4)) as network:
        async with AsyncClient(network.profile, roles.account(roles.POOL_MANAGER)) as manager:
            await publish_pool(manager, network.provision.workerpool)
        async with AsyncClient(network.profile, roles.account(roles.REQUESTER)) as client:
            app = (await client.apps.deploy("noop", sample("noop/noop.wasm"))).address
            await client.orders.publish(client.orders.sign(AppOrder(app=app, volume=10_000)))
            await client.account.deposit(100 * 10**9)
            for trust, bar in BARS.items():
                for _ in range(WARM):
                    await one(client, app, trust)
                runs = [await one(client, app, trust) for _ in range(RUNS)]
                times = sorted(total for total, _ in runs)
                print(f"trust {trust}: p50 {statistics.median(times):.3f} s, slowest {times[-1]:.3f} s")
                for event in runs[0][1]:
                    at = statistics.median(moments[event] for _, moments in runs if event in moments)
                    print(f"  {event:<16} {at * 1000:7.1f} ms")
                figures.append(Measured(f"bench-latency trust {trust}", statistics.median(times), "s", bar))
    return figures


def main() -> None:
    """Measure and conclude."""
    with tempfile.TemporaryDirectory(prefix="pyiexec-bench-") as directory:
        figures = asyncio.run(measure(Path(directory)))
    conclude(*figures)


if __name__ == "__main__":
    main()
