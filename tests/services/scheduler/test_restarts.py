"""The scheduler killed with SIGKILL at any moment, the chain reorganised, and nothing to do at all."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest
from tests.services.scheduler.conftest import Net, until_shown
from tests.services.scheduler.scripted import S

from pyiexec.chain.anvil import free_port
from pyiexec.chain.rpc import JsonRpc
from pyiexec.foundation.database import Database
from pyiexec.foundation.settings import save_settings
from pyiexec.protocol.messages import Assign
from pyiexec.protocol.tasks import TaskStatus

pytestmark = pytest.mark.anyio

PROGRAM = """
import asyncio, sys, anyio
from pathlib import Path
from pyiexec.foundation.settings import load_settings
from pyiexec.scheduler.service import serve
from pyiexec.scheduler.settings import SchedulerSettings

async def main():
    settings = load_settings(SchedulerSettings, Path(sys.argv[1]), {})
    await serve(settings, ready=lambda url: print(url, flush=True), stop=anyio.Event())

asyncio.run(main())
"""


class Process:
    """A scheduler in a process of its own."""

    def __init__(self, settings: Path) -> None:
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self) -> str:
        log = self._settings.with_suffix(".log").open("ab")
        command = [sys.executable, "-c", PROGRAM, str(self._settings)]
        with log:
            # A plain child: it must outlive nothing, and be killed without ceremony.
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)  # noqa: ASYNC220
        assert self._process.stdout is not None
        line = await anyio.to_thread.run_sync(self._process.stdout.readline)
        return line.decode().strip()

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


async def test_a_scheduler_killed_again_and_again_finishes_the_bag(net: Net) -> None:
    path = net.path / "scheduler.json"
    save_settings(net.settings(port=free_port(), heartbeat_seconds=1.0), path)
    process = Process(path)
    url = await process.start()
    try:
        async with anyio.create_task_group() as group:
            for worker in net.workers[:5]:
                group.start_soon(worker.run, url)

                async def slowly(assign: Assign, worker: object = worker) -> None:
                    await anyio.sleep(0.1)
                    await worker.vote(assign)  # type: ignore[attr-defined]

                worker.on_assign = slowly
            deal = await net.buy(trust=5, volume=10)
            for pause in (0.3, 0.5, 0.7, 0.2):
                await anyio.sleep(pause)
                process.kill()
                url = await process.start()
            assert await net.settled(deal, 60) == [TaskStatus.COMPLETED] * 10
            for task_id in await net.tasks_of(deal):
                task = await until_shown(url, f"/tasks/{task_id}", lambda t: t["currentStatus"] == "COMPLETED")
                wallets = [replicate["walletAddress"] for replicate in task["replicates"]]
                assert len(set(wallets)) == len(wallets) == 3
            group.cancel_scope.cancel()
    finally:
        process.kill()


async def test_a_deal_made_while_the_scheduler_was_away_is_found_on_return(net: Net) -> None:
    async with net.scheduler():
        pass
    deal = await net.buy(volume=2)
    async with net.scheduler() as url, anyio.create_task_group() as group:
        group.start_soon(net.workers[0].run, url)
        assert await net.settled(deal) == [TaskStatus.COMPLETED] * 2
        group.cancel_scope.cancel()


async def test_a_lost_database_is_rebuilt_from_the_chain(net: Net, new_database: Callable[[], str]) -> None:
    worker, *others = net.workers[:3]
    voted = anyio.Event()

    async def first(assign: Assign) -> None:
        await worker.vote(assign)
        voted.set()

    worker.on_assign = first
    async with net.scheduler() as url, anyio.create_task_group() as group:
        group.start_soon(worker.run, url)
        deal = await net.buy(trust=5)
        await voted.wait()
        group.cancel_scope.cancel()
    net.database_url = new_database()
    async with net.scheduler() as url, anyio.create_task_group() as group:
        for other in (worker, *others):
            group.start_soon(other.run, url)
        assert await net.settled(deal) == [TaskStatus.COMPLETED]
        (task_id,) = await net.tasks_of(deal)
        assert len((await net.hub.task(task_id)).contributors) == 3
        group.cancel_scope.cancel()


async def test_a_reorganisation_that_undoes_the_opening_is_survived(net: Net) -> None:
    async with net.scheduler() as url, anyio.create_task_group() as group:
        deal = await net.buy(trust=5)
        (task_id,) = await net.tasks_of(deal)
        await until_shown(url, f"/tasks/{task_id}", lambda t: t.get("currentStatus") == "RUNNING")
        await net.rpc.call("anvil_reorg", 1, [])
        for worker in net.workers[:3]:
            group.start_soon(worker.run, url)
        assert await net.settled(deal, 40) == [TaskStatus.COMPLETED]
        group.cancel_scope.cancel()


async def test_an_idle_scheduler_asks_the_chain_nothing_and_writes_nothing(
    net: Net, monkeypatch: pytest.MonkeyPatch
) -> None:
    requests: list[object] = []
    writes: list[object] = []
    post, write = JsonRpc._post, Database.write

    async def counted_post(self: JsonRpc, payload: object) -> object:
        requests.append(payload)
        return await post(self, payload)

    async def counted_write(self: Database, function: object) -> object:
        writes.append(function)
        return await write(self, function)  # type: ignore[arg-type]

    async with net.scheduler() as url, anyio.create_task_group() as group:
        for worker in net.workers[:2]:
            group.start_soon(worker.run, url)
        deal = await net.buy(trust=3)
        await net.settled(deal)
        for worker in net.workers[:2]:
            await worker.until(lambda worker=worker: S.COMPLETED in [r.status for r in worker.sent])  # type: ignore[misc]
        await anyio.sleep(1.5)
        monkeypatch.setattr(JsonRpc, "_post", counted_post)
        monkeypatch.setattr(Database, "write", counted_write)
        await anyio.sleep(4)
        monkeypatch.undo()
        assert (requests, writes) == ([], [])
        group.cancel_scope.cancel()
