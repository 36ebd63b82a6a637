"""What the network sees of workers that cheat, each a whole worker beside honest ones."""

from __future__ import annotations

from contextlib import AsyncExitStack

import pytest

from pyiexec.protocol import ids
from pyiexec.protocol.messages import Reveal
from pyiexec.protocol.params import DealParams
from pyiexec.protocol.primitives import DealId
from pyiexec.protocol.replicates import ReplicateStatus as S
from pyiexec.protocol.results import ResultLink, format_link
from pyiexec.protocol.tasks import ContributionStatus, TaskStatus

from .conftest import StartWorker
from .network import APPS, Network
from .scripted import ScriptedScheduler

pytestmark = pytest.mark.anyio


async def tile(network: Network, trust: int) -> DealId:
    scene = await network.content.add((APPS / "raytracer/scene.txt").read_bytes())
    params = DealParams(
        iexec_args="--columns 8 --rows 8 --width 320 --height 240 --tile 36",
        iexec_input_files=(f"{network.gateway}/ipfs/{scene}",),
    )
    deal = await network.deal(
        await network.app("raytracer/raytracer.wasm"), trust=trust, params=params, category=0, price=1000
    )
    await network.initialize(deal)
    return deal


async def test_honest_workers_outvote_a_liar_and_a_copycat_cannot_reveal(
    network: Network, scheduler: ScriptedScheduler, start_worker: StartWorker
) -> None:
    deal = await tile(network, trust=5)
    task = ids.task_id(deal, 0)
    honest = [network.workers[n].address for n in (0, 1, 2, 3, 4)]
    liar, copycat = network.workers[5].address, network.workers[6].address
    async with AsyncExitStack() as stack:
        for number in range(5):
            await stack.enter_async_context(start_worker(number))
        await stack.enter_async_context(start_worker(5, behaviour="liar"))
        await stack.enter_async_context(start_worker(6, behaviour="copycat"))
        await scheduler.command(copycat, network.assign(deal, copycat))
        await scheduler.report(task, S.STARTED, copycat)
        await scheduler.command(liar, network.assign(deal, liar))
        await scheduler.report(task, S.CONTRIBUTED, liar)
        await scheduler.report(task, S.CONTRIBUTED, copycat)
        lie = (await network.hub.contribution(task, liar)).result_hash
        assert (await network.hub.contribution(task, copycat)).result_hash == lie
        for number, worker in enumerate(honest):
            await scheduler.command(worker, network.assign(deal, worker))
            await scheduler.report(task, S.CONTRIBUTED, worker)
            if (await network.hub.task(task)).status is TaskStatus.REVEALING:
                honest = honest[: number + 1]
                break
        state = await network.hub.task(task)
        votes = {worker: (await network.hub.contribution(task, worker)).result_hash for worker in honest}
        assert set(votes.values()) == {state.consensus_value}
        assert state.consensus_value != lie
        for worker in (liar, copycat):
            await scheduler.command(worker, Reveal(task_id=task, consensus=state.consensus_value))
        locations = {(await scheduler.report(task, S.RESULT_UPLOADED, worker)).location for worker in honest}
        assert len(locations) == 1, "honest workers upload the very same archive"
        await network.finalize(task, format_link(ResultLink("ipfs", locations.pop() or "")))
        for worker in honest:
            await scheduler.report(task, S.COMPLETED, worker)
        for worker in (liar, copycat):
            assert (await scheduler.report(task, S.FAILED, worker)).cause == "CONTRIBUTION_REJECTED"
            assert (await network.hub.contribution(task, worker)).status is ContributionStatus.CONTRIBUTED


async def test_liars_agree_with_each_other(
    network: Network, scheduler: ScriptedScheduler, start_worker: StartWorker
) -> None:
    deal = await tile(network, trust=1000)
    task = ids.task_id(deal, 0)
    votes = []
    async with AsyncExitStack() as stack:
        for number in (7, 8):
            liar = network.workers[number].address
            await stack.enter_async_context(start_worker(number, behaviour="liar"))
            await scheduler.command(liar, network.assign(deal, liar))
            await scheduler.report(task, S.CONTRIBUTED, liar)
            votes.append((await network.hub.contribution(task, liar)).result_hash)
    assert votes[0] == votes[1]


async def test_a_copycat_that_copied_the_truth_still_cannot_reveal_it(
    network: Network, scheduler: ScriptedScheduler, start_worker: StartWorker
) -> None:
    deal = await tile(network, trust=3)
    task = ids.task_id(deal, 0)
    first, second, copycat = (network.workers[n].address for n in (0, 1, 9))
    async with start_worker(0), start_worker(9, behaviour="copycat"), start_worker(1):
        await scheduler.command(copycat, network.assign(deal, copycat))
        await scheduler.report(task, S.STARTED, copycat)
        await scheduler.command(first, network.assign(deal, first))
        await scheduler.report(task, S.CONTRIBUTED, copycat)
        state = await network.hub.task(task)
        if state.status is not TaskStatus.REVEALING:
            await scheduler.command(second, network.assign(deal, second))
            await scheduler.report(task, S.REVEALED, second)
        await scheduler.report(task, S.REVEALED, first)
        state = await network.hub.task(task)
        assert state.status is TaskStatus.REVEALING
        assert state.reveal_counter == state.winner_counter - 1
        assert (await network.hub.contribution(task, copycat)).status is ContributionStatus.CONTRIBUTED
