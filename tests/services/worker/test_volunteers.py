"""A worker on a machine whose owner comes and goes: it stands still, goes on, gives back, and says what it is about."""

from __future__ import annotations

import asyncio
import os
from datetime import datetime
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from tests.processor_time import busy_seconds

from pyiexec.protocol import ids
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.messages import Abort
from pyiexec.protocol.replicates import ReplicateStatus as S
from pyiexec.worker.presence import Observation
from pyiexec.worker.status import read_status, watch_status

from .conftest import StartWorker
from .network import Network
from .scripted import ScriptedScheduler

pytestmark = pytest.mark.anyio

MEBIBYTE = 1 << 20
#: A category of five minutes, which no test waits for.
LONG = 0
#: A worker that notices its owner soon.
WATCHFUL = {"max_other_cpu": 0.5, "check_seconds": 0.05, "calm_seconds": 0.0}


class Owner:
    """What is seen of the machine's owner."""

    def __init__(self) -> None:
        self.present = False

    def observe(self, now: float, elsewhere: float | None = 0.0) -> Observation:
        return Observation(local=datetime.fromtimestamp(now), other_cpu=0.9 if self.present else 0.0)


async def offers(scheduler: ScriptedScheduler, slots: int) -> None:
    await scheduler.until(lambda: scheduler.logins[-1].capabilities.slots == slots)


async def test_a_running_task_stands_still_while_the_owner_is_there_and_goes_on_after(
    network: Network, scheduler: ScriptedScheduler, start_worker: StartWorker
) -> None:
    me, owner = network.workers[0].address, Owner()
    deal = await network.deal(await network.app("faulty/endless_loop.wasm"), category=LONG)
    await network.initialize(deal)
    task = ids.task_id(deal, 0)
    async with start_worker(0, sensors=owner, **WATCHFUL):
        await scheduler.command(me, network.assign(deal, me))
        await scheduler.report(task, S.DATA_DOWNLOADED)
        owner.present = True
        await offers(scheduler, 0)
        used = busy_seconds()
        await asyncio.sleep(1.0)
        assert busy_seconds() - used < 0.5
        owner.present = False
        await offers(scheduler, 1)
        used = busy_seconds()
        async with asyncio.timeout(30):
            while busy_seconds() - used < 0.5:  # noqa: ASYNC110 - nothing but its use of the processor shows
                await asyncio.sleep(0.1)
        await scheduler.command(me, Abort(task_id=task, reason="seen enough"))
        await scheduler.report(task, S.ABORTED)
        assert S.COMPUTED not in scheduler.statuses(task)


async def test_a_task_that_stands_still_too_long_goes_back_and_none_is_begun_meanwhile(
    network: Network, scheduler: ScriptedScheduler, start_worker: StartWorker
) -> None:
    me, owner = network.workers[0].address, Owner()
    deal = await network.deal(await network.app("faulty/endless_loop.wasm"), volume=2, category=LONG)
    await network.initialize(deal, (0, 1))
    first, second = ids.task_id(deal, 0), ids.task_id(deal, 1)
    async with start_worker(0, sensors=owner, longest_pause_seconds=0.3, **WATCHFUL) as settings:
        await scheduler.command(me, network.assign(deal, me))
        await scheduler.report(first, S.DATA_DOWNLOADED)
        owner.present = True
        gone = await scheduler.report(first, S.FAILED)
        assert gone.cause == "WORKER_SUSPENDED"
        await offers(scheduler, 0)
        await scheduler.command(me, network.assign(deal, me, 1))
        refused = await scheduler.report(second, S.FAILED)
        assert refused.cause == "WORKER_SUSPENDED"
        assert "processor" in refused.message
        status = await anyio.to_thread.run_sync(read_status, settings.data_dir)
        assert (status.mode, status.slots, status.tasks) == ("pause", 0, [])
        assert status.because == "other programs use the processor"


async def test_a_vote_that_was_cast_is_revealed_though_the_owner_is_back(
    network: Network, scheduler: ScriptedScheduler, start_worker: StartWorker
) -> None:
    me, owner = network.workers[0].address, Owner()
    deal = await network.deal(await network.app("noop/noop.wasm"))
    await network.initialize(deal)
    task = ids.task_id(deal, 0)
    async with start_worker(0, sensors=owner, **WATCHFUL):
        await scheduler.command(me, network.assign(deal, me))
        await scheduler.report(task, S.COMPUTED)
        owner.present = True
        await scheduler.report(task, S.RESULT_UPLOADED)


async def test_a_worker_whose_share_of_the_disk_is_used_up_says_so_and_takes_tasks_again_when_it_is_not(
    network: Network, scheduler: ScriptedScheduler, start_worker: StartWorker, tmp_path: Path
) -> None:
    me = network.workers[0].address
    deal = await network.deal(await network.app("noop/noop.wasm"), volume=2)
    await network.initialize(deal, (0, 1))
    async with start_worker(0, disk_bytes=512 * MEBIBYTE, check_seconds=0.05) as settings:
        filler = settings.data_dir / "filler"
        with filler.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, 300 * MEBIBYTE)
        await scheduler.command(me, network.assign(deal, me))
        refused = await scheduler.report(ids.task_id(deal, 0), S.FAILED)
        assert refused.cause == "WORKER_DISK_FULL"
        await offers(scheduler, 0)
        filler.unlink()
        await offers(scheduler, 1)
        await scheduler.command(me, network.assign(deal, me, 1))
        await scheduler.report(ids.task_id(deal, 1), S.CONTRIBUTED)


async def test_a_worker_tells_whoever_may_enter_its_folder_what_it_does(
    network: Network, scheduler: ScriptedScheduler, start_worker: StartWorker
) -> None:
    me = network.workers[0].address
    deal = await network.deal(await network.app("faulty/endless_loop.wasm"), category=LONG)
    await network.initialize(deal)
    task = ids.task_id(deal, 0)
    async with start_worker(0) as settings:
        await scheduler.command(me, network.assign(deal, me))
        await scheduler.report(task, S.DATA_DOWNLOADED)
        status = await anyio.to_thread.run_sync(read_status, settings.data_dir)
        assert (status.worker, status.pid, status.connected) == (me, os.getpid(), True)
        assert (status.mode, status.slots, status.because) == ("run", 1, "")
        assert [(line.task_id, line.status) for line in status.tasks] == [(task, S.DATA_DOWNLOADED)]
        assert status.disk_used > 0
        await scheduler.command(me, Abort(task_id=task, reason="seen enough"))

        def until_it_has_ended() -> dict[str, int]:
            return next(seen.ended for seen in watch_status(settings.data_dir) if not seen.tasks)

        with anyio.fail_after(10):
            assert await anyio.to_thread.run_sync(until_it_has_ended) == {"ABORTED": 1}
    with pytest.raises(IexecError) as refusal:
        await anyio.to_thread.run_sync(read_status, settings.data_dir)
    assert refusal.value.code == "WORKER_STOPPED"
