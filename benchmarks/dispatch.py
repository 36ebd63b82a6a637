"""How long a worker that has become free waits for its next task.

Against Dask: one worker, many tasks, each of 20 ms, so that the batches in which Dask sends are due again. Measured
from the end of a task to knowing of the next: Dask's worker from its state machine's result on, ours from handing its
report to its journal on, through SQLite on both sides and a WebSocket between them. Dask runs with its defaults and
with what its documentation offers (`dispatch_peer/tuned.yaml`), on tasks that wait for each other and on tasks that do
not; the quickest counts.

In a crowd: 1,000 workers on connections of their own, more than 10,000 tasks waiting on chain and in the scheduler, and
as many demands a second as 1,000 workers have with tasks of five seconds. The workers share the machine's processors
with the scheduler, and what a frame waits for its turn in their process counts as the scheduler's time.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import aiohttp
import uvloop

from pool import Pool, pool
from pyiexec.chain.anvil import AnvilOptions
from pyiexec.chain.npm import cache_directory
from pyiexec.chain.signer import Signer
from pyiexec.foundation.clock import SystemClock
from pyiexec.foundation.database import Database
from pyiexec.protocol.messages import Assign, Capabilities, Command, Progress
from pyiexec.protocol.primitives import TaskId
from pyiexec.protocol.replicates import ReplicateStatus
from pyiexec.worker.channel import Channel
from pyiexec.worker.journal import MIGRATIONS, open_journal
from pyiexec.worker.printouts import Printouts
from simulated import SimulatedWorker
from verdict import Measured, conclude

TASKS, TASK_SECONDS, WARM = 500, 0.02, 25
RATIO_BAR, IDLE_P99_BAR, CROWD_P99_BAR = 0.5, 50.0, 50.0
WAITING, WORKERS, DEMANDS, CROWD_TASK_SECONDS = 10_000, 1_000, 4_000, 5.0
#: An hour's tasks: none is overdue while the benchmark lasts.
CATEGORY = 2
SEED = 5
PEER = Path(__file__).with_name("dispatch_peer")
#: Settings of Dask and shapes of work. With its defaults a bag's next task is with the worker before it is idle.
DASK = (("defaults", "chain"), ("tuned", "chain"), ("tuned", "bag"))


class Waits(NamedTuple):
    """What workers waited, in milliseconds."""

    p50: float
    p99: float

    @classmethod
    def of(cls, name: str, seconds: Sequence[float]) -> Waits:
        """The figures of one measurement, printed."""
        hundredths = statistics.quantiles(seconds, n=100)
        found = cls(statistics.median(seconds) * 1000, hundredths[98] * 1000)
        print(
            f"{name:<24}{len(seconds):>6} demands: p50 {found.p50:6.2f} ms, p99 {found.p99:6.2f} ms,"
            f" slowest {max(seconds) * 1000:6.2f} ms",
            flush=True,
        )
        return found


# --- Dask ---------------------------------------------------------------------------------------------------------


def dask_python() -> Path:
    """The Python of an environment that holds Dask as pinned; made on first use."""
    wanted = PEER / "requirements.txt"
    version = hashlib.sha256(wanted.read_bytes() + sys.version.encode()).hexdigest()[:16]
    target = cache_directory(os.environ) / "python" / f"dask-{version}"
    if not (target / "complete").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(target)], check=True)
        install = [
            str(target / "bin" / "python"),
            "-m",
            "pip",
            "install",
            "-qq",
            "--disable-pip-version-check",
            "--no-deps",
        ]
        subprocess.run([*install, "-r", str(wanted)], check=True)
        (target / "complete").touch()
    return target / "bin" / "python"


def dask_waits(settings: str, shape: str) -> list[float]:
    """Seconds that Dask's worker waited."""
    with tempfile.TemporaryDirectory(prefix="pyiexec-bench-") as folder:
        # Nothing of the user's own settings.
        config = {"DASK_CONFIG": str(PEER / f"{settings}.yaml") if settings != "defaults" else folder, "HOME": folder}
        command = [str(dask_python()), str(PEER / "measure.py"), shape, str(TASKS), str(TASK_SECONDS)]
        answer = subprocess.run(command, env=os.environ | config, cwd=folder, check=True, stdout=subprocess.PIPE)
        found: list[float] = json.loads(answer.stdout)
    return found[WARM:]


# --- one worker ---------------------------------------------------------------------------------------------------


class IdleWorker:
    """Channel and journal of a worker, with a timer for its sandbox."""

    def __init__(self) -> None:
        self.waited: list[float] = []
        self.done = asyncio.Event()
        self._idle_since: float | None = None
        self._runs: set[asyncio.Task[None]] = set()

    async def run(self, chain: Pool) -> None:
        """Take tasks until there are measurements enough."""
        signer, clock = Signer.from_key(random.Random(SEED).randbytes(32)), SystemClock()
        database = await Database.open(f"sqlite:///{chain.folder / 'worker.db'}", [MIGRATIONS])
        self._journal = await open_journal(database, clock, "benchmark")
        channel = Channel(
            chain.url,
            signer=signer,
            chain_id=chain.manifest.chain_id,
            workerpool=chain.workerpool,
            journal=self._journal,
            printouts=Printouts(clock),
            capabilities=self._offer,
            clock=clock,
            randomness=random.Random(SEED),
        )
        self._journal.on_reports = channel.push
        conversation = asyncio.create_task(channel.run(self._handle))
        await self.done.wait()
        conversation.cancel()
        await asyncio.gather(conversation, *self._runs, return_exceptions=True)
        await self._journal.close()
        await database.close()

    async def _offer(self) -> Capabilities:
        return Capabilities(runtimes=["wasm"])

    async def _handle(self, commands: Sequence[tuple[int, Command]]) -> None:
        received = time.perf_counter()
        for _, command in commands:
            assert isinstance(command, Assign), "nothing else is due"
            if self._idle_since is not None:
                self.waited.append(received - self._idle_since)
            run = asyncio.create_task(self._run(command.task_id))
            self._runs.add(run)
            run.add_done_callback(self._runs.discard)
        written = self._journal.change(None, (), received=commands[-1][0])
        assert written is not None, "it may not wait"
        await written

    async def _run(self, task_id: TaskId) -> None:
        await asyncio.sleep(TASK_SECONDS)
        if len(self.waited) == TASKS:
            self.done.set()
            return
        self._idle_since = time.perf_counter()
        self._journal.change(None, (Progress(task_id=task_id, status=ReplicateStatus.COMPUTED),))


# --- a crowd ------------------------------------------------------------------------------------------------------


class Crowd:
    """Many workers, of which one after the other becomes free, by chance."""

    def __init__(self, randomness: random.Random) -> None:
        self.workers = [SimulatedWorker(Signer.from_key(randomness.randbytes(32)), self._told) for _ in range(WORKERS)]
        self.waited: list[float] = []
        self._randomness = randomness
        self._tasks: dict[SimulatedWorker, TaskId] = {}
        self._idle_since: dict[SimulatedWorker, float] = {}
        self._busy = asyncio.Event()
        self._served = asyncio.Event()

    def _told(self, worker: SimulatedWorker, command: Command) -> None:
        if isinstance(command, Assign):
            self._tasks[worker] = command.task_id
            since = self._idle_since.pop(worker, None)
            if since is not None:
                self.waited.append(time.perf_counter() - since)
            if len(self._tasks) == WORKERS:
                self._busy.set()
            if len(self.waited) == DEMANDS:
                self._served.set()

    async def log_in(self, url: str, group: asyncio.TaskGroup) -> list[asyncio.Task[None]]:
        """Connect them, some at a time."""
        running = []
        for start in range(0, WORKERS, 50):
            some = self.workers[start : start + 50]
            barrier = asyncio.Barrier(len(some) + 1)
            for worker in some:
                come = asyncio.Event()

                async def arrive(come: asyncio.Event = come, barrier: asyncio.Barrier = barrier) -> None:
                    await come.wait()
                    await barrier.wait()

                group.create_task(arrive())
                running.append(group.create_task(worker.run(url, come.set)))
            await barrier.wait()
        return running

    async def demand(self) -> None:
        """Let workers become free at random moments, as if tasks took five seconds each."""
        await self._busy.wait()
        loop = asyncio.get_running_loop()
        due = loop.time()
        for _ in range(DEMANDS):
            # An open loop: the next one does not wait for the last one to be served.
            due += self._randomness.expovariate(WORKERS / CROWD_TASK_SECONDS)
            await asyncio.sleep(due - loop.time())
            worker = self._randomness.choice(self.workers)
            while worker in self._idle_since:
                worker = self._randomness.choice(self.workers)
            self._idle_since[worker] = time.perf_counter()
            await worker.report(Progress(task_id=self._tasks[worker], status=ReplicateStatus.COMPUTED))
        await self._served.wait()


# --- all of it ----------------------------------------------------------------------------------------------------


async def until_open(url: str, tasks: int) -> None:
    """Until the scheduler has seen that many tasks opened on chain."""
    async with aiohttp.ClientSession() as session:
        while True:
            async with session.get(f"{url}/metrics") as answer:
                counts = (await answer.json())["currentTaskStatusesCount"]
            if counts.get("INITIALIZED", 0) + counts.get("RUNNING", 0) >= tasks:
                return
            await asyncio.sleep(0.2)


async def ours(folder: Path) -> tuple[Waits, Waits]:
    """What a single worker waits, and each of a crowd."""
    async with pool(folder / "one", AnvilOptions()) as one:
        await one.start_scheduler()
        volume = TASKS + WARM + 1
        await one.buy(await one.register(b"app"), volume, trust=1, category=CATEGORY)
        await until_open(one.url, volume)
        single = IdleWorker()
        await single.run(one)
        alone = Waits.of("pyiexec, one worker", single.waited[WARM:])
    async with pool(folder / "crowd", AnvilOptions()) as many:
        await many.start_scheduler()
        volume = WAITING + WORKERS + DEMANDS
        await many.buy(await many.register(b"app"), volume, trust=1, category=CATEGORY)
        started = time.perf_counter()
        await until_open(many.url, volume)
        print(f"{volume:,} tasks opened on chain in {time.perf_counter() - started:.1f} s", flush=True)
        crowd = Crowd(random.Random(SEED))
        started = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            running = await crowd.log_in(many.url, group)
            print(f"{WORKERS:,} workers let in within {time.perf_counter() - started:.1f} s", flush=True)
            used = many.processor_seconds()["scheduler"]
            await crowd.demand()
            used = many.processor_seconds()["scheduler"] - used
            for task in running:
                task.cancel()
        crowded = Waits.of("pyiexec, in a crowd", crowd.waited)
        print(f"the scheduler spent {used / DEMANDS * 1000:.2f} ms of processor time a demand", flush=True)
    return alone, crowded


def main() -> None:
    """Measure Dask and pyiexec."""
    print(f"{os.cpu_count()} cores, shared by scheduler, workers and chain", flush=True)
    peers = [Waits.of(f"Dask, {settings}, {shape}", dask_waits(settings, shape)) for settings, shape in DASK]
    with tempfile.TemporaryDirectory(prefix="pyiexec-bench-") as folder:
        alone, crowded = uvloop.run(ours(Path(folder)))
    conclude(
        Measured("bench-dispatch p50", alone.p50 / min(peer.p50 for peer in peers), "x Dask's", RATIO_BAR),
        Measured("bench-dispatch p99", alone.p99, "ms", IDLE_P99_BAR),
        Measured("bench-dispatch p99, 10,000 tasks, 1,000 workers", crowded.p99, "ms", CROWD_P99_BAR),
    )


if __name__ == "__main__":
    main()
