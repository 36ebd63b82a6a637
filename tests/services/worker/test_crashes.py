"""A worker that is killed at any moment takes up where it was; nobody's stake is lost by it."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from pyiexec.foundation.settings import save_settings
from pyiexec.protocol import ids
from pyiexec.protocol.messages import Complete, Reveal
from pyiexec.protocol.params import DealParams
from pyiexec.protocol.primitives import DealId, TaskId
from pyiexec.protocol.replicates import ReplicateStatus as S
from pyiexec.protocol.results import ResultLink, format_link
from pyiexec.protocol.tasks import ContributionStatus, TaskStatus
from pyiexec.worker.settings import WorkerSettings

from .network import APPS, Network
from .scripted import ScriptedScheduler

pytestmark = pytest.mark.anyio

STEPS = [S.STARTED, S.DATA_DOWNLOADED, S.COMPUTED, S.CONTRIBUTED, S.REVEALED, S.RESULT_UPLOADED]


class Process:
    """A worker process that can be killed and started again."""

    def __init__(self, settings: WorkerSettings) -> None:
        self._settings_file = settings.data_dir.with_suffix(".json")
        save_settings(settings, self._settings_file)
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        script = Path(__file__).with_name("run_worker.py")
        self._process = await asyncio.create_subprocess_exec(sys.executable, str(script), str(self._settings_file))

    async def kill(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)
            await self._process.wait()


@asynccontextmanager
async def process(settings: WorkerSettings) -> AsyncIterator[Process]:
    worker = Process(settings)
    await worker.start()
    try:
        yield worker
    finally:
        await worker.kill()


async def ray_traced(network: Network) -> DealId:
    """A deal for one tile that takes a while, with room for restarts before its deadlines."""
    scene = await network.content.add((APPS / "raytracer/scene.txt").read_bytes())
    params = DealParams(
        iexec_args="--columns 4 --rows 3 --width 640 --height 480",
        iexec_input_files=(f"{network.gateway}/ipfs/{scene}",),
    )
    deal = await network.deal(await network.app("raytracer/raytracer.wasm"), params=params, category=0)
    await network.initialize(deal)
    return deal


async def finish(network: Network, scheduler: ScriptedScheduler, task: TaskId, location: str | None) -> None:
    assert location is not None
    await network.finalize(task, format_link(ResultLink("ipfs", location)))
    await scheduler.report(task, S.COMPLETED)
    assert (await network.hub.task(task)).status is TaskStatus.COMPLETED


@pytest.mark.parametrize("step", STEPS)
async def test_killed_right_after_any_step_it_goes_on(
    network: Network, scheduler: ScriptedScheduler, settings_of: Callable[..., WorkerSettings], step: S
) -> None:
    me = network.workers[2].address
    deal = await ray_traced(network)
    task = ids.task_id(deal, 0)
    async with process(settings_of(2)) as worker:
        await scheduler.command(me, network.assign(deal, me))
        await scheduler.report(task, step, me)
        await worker.kill()
        await worker.start()
        uploaded = await scheduler.report(task, S.RESULT_UPLOADED, me)
        await scheduler.command(me, Complete(task_id=task))
        await finish(network, scheduler, task, uploaded.location)
    reported = scheduler.statuses(task)
    assert reported == sorted(set(reported), key=reported.index), "a step was reported twice"


async def test_killed_at_random_again_and_again_it_still_gets_there(
    network: Network, scheduler: ScriptedScheduler, settings_of: Callable[..., WorkerSettings]
) -> None:
    me = network.workers[3].address
    deals = [await ray_traced(network) for _ in range(3)]
    tasks = [ids.task_id(deal, 0) for deal in deals]
    async with process(settings_of(3, slots=2)) as worker:
        for deal in deals:
            await scheduler.command(me, network.assign(deal, me))
        for seen in (3, 8, 13):
            await scheduler.until(lambda seen=seen: len(scheduler.reports) >= seen)  # type: ignore[misc]
            await worker.kill()
            await worker.start()
        for task in tasks:
            uploaded = await scheduler.report(task, S.RESULT_UPLOADED, me)
            await finish(network, scheduler, task, uploaded.location)
    for task in tasks:
        assert (await network.hub.contribution(task, me)).status is ContributionStatus.PROVED


async def test_what_happened_while_it_was_dead_is_learned_from_the_chain(
    network: Network, scheduler: ScriptedScheduler, settings_of: Callable[..., WorkerSettings]
) -> None:
    me = network.workers[4].address
    deal = await ray_traced(network)
    task = ids.task_id(deal, 0)
    settings = settings_of(4)
    async with process(settings) as worker:
        await scheduler.command(me, network.assign(deal, me))
        uploaded = await scheduler.report(task, S.RESULT_UPLOADED, me)
        await worker.kill()
        assert uploaded.location is not None
        await network.finalize(task, format_link(ResultLink("ipfs", uploaded.location)))
        await worker.start()
        await scheduler.report(task, S.COMPLETED, me)
        assert not list((settings.data_dir / "tasks").iterdir())


async def test_a_worker_that_lost_its_memory_finds_its_vote_by_computing_again(
    network: Network, scheduler: ScriptedScheduler, settings_of: Callable[..., WorkerSettings]
) -> None:
    me = network.workers[5].address
    deal = await ray_traced(network)
    task = ids.task_id(deal, 0)
    async with process(settings_of(5)) as worker:
        await scheduler.command(me, network.assign(deal, me))
        await scheduler.report(task, S.CONTRIBUTED, me)
        await worker.kill()
    scheduler.reports.clear()
    async with process(settings_of(5, data_dir=settings_of(5).data_dir.with_name("another"))):
        await scheduler.command(me, network.assign(deal, me))
        await scheduler.command(me, Reveal(task_id=task, consensus=(await network.hub.task(task)).consensus_value))
        uploaded = await scheduler.report(task, S.RESULT_UPLOADED, me)
        await finish(network, scheduler, task, uploaded.location)
