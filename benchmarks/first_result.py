"""From a cold process to the first proved result.

One run is a fresh Python process that starts anvil and every service, deploys the contracts by transactions, registers
and publishes an app and a pool, buys one task at trust 5, and ends when the chain has finalized it, agreed by three
workers. Contracts and app were compiled before.
"""

from __future__ import annotations

import asyncio
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pyiexec.devnet import roles
from pyiexec.devnet.demo import publish_pool
from pyiexec.devnet.network import Network, NetworkOptions
from pyiexec.devnet.provision import SHORT_CATEGORY
from pyiexec.devnet.samples import sample
from pyiexec.protocol.orders import AppOrder
from pyiexec.protocol.tasks import TaskStatus
from pyiexec.sdk.client import AsyncClient
from verdict import Measured, conclude

RUNS, BAR_SECONDS = 5, 4.0
TRUST, REPLICAS = 5, 3


async def once(directory: Path) -> None:
    """The job; raises unless the task is finalized by three replicas."""
    options = NetworkOptions(directory=directory, workers=REPLICAS, embedded=True)
    async with Network(options) as network:
        async with AsyncClient(network.profile, roles.account(roles.POOL_MANAGER)) as manager:
            await publish_pool(manager, network.provision.workerpool)
        async with AsyncClient(network.profile, roles.account(roles.REQUESTER)) as client:
            app = (await client.apps.deploy("noop", sample("noop/noop.wasm"))).address
            await client.orders.publish(client.orders.sign(AppOrder(app=app, volume=1)))
            await client.account.deposit(10**9)
            execution = await client.buy(app, trust=TRUST, category=SHORT_CATEGORY)
            last = None
            async for update in client.watch(execution):
                last = update
            assert last is not None, "a task was bought"
            task = await client.tasks.show(last.task_id)
        if task.status is not TaskStatus.COMPLETED or task.reveal_counter != REPLICAS:
            raise SystemExit(f"the task ended {task.status.name} with {task.reveal_counter} replicas")
        print("finalized", flush=True)


def measure() -> float:
    """Seconds from the start of a process to its first result."""
    started = time.perf_counter()
    with subprocess.Popen([sys.executable, __file__, "--once"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None, "it was asked for"
        line = process.stdout.readline()
        elapsed = time.perf_counter() - started
    if line.strip() != "finalized" or process.returncode != 0:
        raise SystemExit("the run failed")
    return elapsed


def main() -> None:
    """Run it five times."""
    if "--once" in sys.argv:
        with tempfile.TemporaryDirectory(prefix="pyiexec-bench-") as directory:
            asyncio.run(once(Path(directory)))
        return
    times = []
    for number in range(RUNS):
        times.append(measure())
        print(f"run {number + 1}: {times[-1]:.2f} s", flush=True)
    conclude(Measured("bench-first-result", statistics.median(times), "s", BAR_SECONDS))


if __name__ == "__main__":
    main()
