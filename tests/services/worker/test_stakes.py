"""A worker says when its stake does not cover what it was given to do."""

from __future__ import annotations

import anyio
import anyio.to_thread
import pytest
import structlog

from pyiexec.chain import calls
from pyiexec.protocol import ids
from pyiexec.protocol.replicates import ReplicateStatus as S
from pyiexec.worker.status import Cover, read_status

from .conftest import StartWorker
from .network import POOL_PRICE, Network
from .scripted import ScriptedScheduler

pytestmark = pytest.mark.anyio

#: What a vote locks by the pool's policy.
VOTE = POOL_PRICE * 30 // 100


async def test_a_worker_with_more_votes_to_cast_than_stake_warns_before_they_are_refused(
    network: Network, scheduler: ScriptedScheduler, start_worker: StartWorker
) -> None:
    poor = network.workers[11]
    has = (await network.hub.account(poor.address)).stake
    left = VOTE + VOTE // 2
    await network.send(poor, network.hub.address, calls.withdraw(has - left))
    # Nobody opens the tasks, so that the votes stay to come.
    deal = await network.deal(await network.app("noop/noop.wasm"), volume=2, trust=3)
    with structlog.testing.capture_logs() as logs:
        async with start_worker(11) as settings:
            for index in range(2):
                await scheduler.command(poor.address, network.assign(deal, poor.address, index))
                await scheduler.report(ids.task_id(deal, index), S.COMPUTED)

            def warnings() -> list[tuple[int, int, int, int]]:
                shown = [entry for entry in logs if "votes to come" in entry["event"]]
                return [(entry["free"], entry["needed"], entry["short"], entry["tasks"]) for entry in shown]

            with anyio.fail_after(20):
                while not warnings():
                    # It looks when a block comes, and nobody else makes one.
                    await network.rpc.call("evm_mine")
                    await anyio.sleep(0.05)
            assert warnings() == [(left, 2 * VOTE, VOTE // 2, 2)]
            status = await anyio.to_thread.run_sync(read_status, settings.data_dir)
            assert status.stake == Cover(free=left, needed=2 * VOTE, tasks=2)
