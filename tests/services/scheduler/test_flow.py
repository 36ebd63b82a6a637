"""A scheduler on a real chain with scripted workers, from match to money."""

from __future__ import annotations

import anyio
import pytest
from tests.services.scheduler.conftest import Net, until_shown

from pyiexec.protocol.messages import Assign, Complete
from pyiexec.protocol.results import parse_link
from pyiexec.protocol.tasks import TaskStatus

pytestmark = pytest.mark.anyio


async def test_a_task_of_trust_one_is_contributed_and_finalized_by_one_worker(net: Net) -> None:
    worker = net.workers[0]
    async with net.scheduler() as url, anyio.create_task_group() as group:
        group.start_soon(worker.run, url)
        await worker.until(lambda: worker.welcome is not None)
        deal = await net.buy(trust=1)
        assert await net.settled(deal) == [TaskStatus.COMPLETED]
        assign = await worker.command(Assign)
        assert isinstance(assign, Assign)
        assert assign.mode == "contribute_and_finalize"
        await worker.command(Complete)
        (task_id,) = await net.tasks_of(deal)
        task = await until_shown(url, f"/tasks/{task_id}", lambda t: t["replicates"][0]["currentStatus"] == "COMPLETED")
        assert task["currentStatus"] == "COMPLETED"
        assert [change["status"] for change in task["dateStatusList"]][-1] == "COMPLETED"
        group.cancel_scope.cancel()


async def test_a_task_of_trust_five_is_voted_revealed_verified_and_finalized(net: Net) -> None:
    async with net.scheduler() as url, anyio.create_task_group() as group:
        for worker in net.workers[:3]:
            group.start_soon(worker.run, url)
            await worker.until(lambda worker=worker: worker.welcome is not None)
        deal = await net.buy(trust=5)
        assert await net.settled(deal) == [TaskStatus.COMPLETED]
        (task_id,) = await net.tasks_of(deal)
        task = await net.hub.task(task_id)
        assert task.reveal_counter == task.winner_counter == 3
        assert parse_link(task.results).location == await net.workers[0].store()
        group.cancel_scope.cancel()


async def test_a_bag_of_tasks_keeps_all_workers_busy_and_every_worker_votes_once_for_each(net: Net) -> None:
    async with net.scheduler() as url, anyio.create_task_group() as group:
        for worker in net.workers[:6]:
            group.start_soon(worker.run, url)
        net.workers[5].answer = b"wrong"
        deal = await net.buy(trust=10, volume=6)
        assert await net.settled(deal, 60) == [TaskStatus.COMPLETED] * 6
        ids = await net.tasks_of(deal)
        for task in await net.hub.tasks(ids):
            assert len(set(task.contributors)) == len(task.contributors)
            assert 4 <= len(task.contributors) <= 6
        group.cancel_scope.cancel()


async def test_a_callback_gets_the_data_the_application_declared(net: Net) -> None:
    worker = net.workers[0]
    worker.callback, worker.answer = True, b"forty-two"
    async with net.scheduler() as url, anyio.create_task_group() as group:
        group.start_soon(worker.run, url)
        deal = await net.buy(trust=1, callback=net.workers[6].address)
        assert await net.settled(deal) == [TaskStatus.COMPLETED]
        (task_id,) = await net.tasks_of(deal)
        assert await net.hub.result_for(task_id) == b"forty-two"
        group.cancel_scope.cancel()


async def test_tasks_given_out_early_end_the_same_way(net: Net) -> None:
    async with net.scheduler(assign_early=True) as url, anyio.create_task_group() as group:
        for worker in net.workers[:3]:
            group.start_soon(worker.run, url)
        deal = await net.buy(trust=5, volume=3)
        assert await net.settled(deal) == [TaskStatus.COMPLETED] * 3
        group.cancel_scope.cancel()
