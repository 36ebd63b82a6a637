"""Tasks go to workers that have what they need, on a real chain; those that nobody can take say so and block nobody."""

from __future__ import annotations

from functools import partial
from hashlib import sha256
from typing import Any

import anyio
import pytest
from tests.services.scheduler.conftest import HEARTBEAT, SHORT, Net, shown, until_shown
from tests.services.scheduler.scripted import S, ScriptedWorker
from tests.services.scheduler.test_failures import blaming, join

from pyiexec.protocol.messages import Assign
from pyiexec.protocol.primitives import TaskId, bytes32
from pyiexec.protocol.tags import encode_tag
from pyiexec.protocol.tasks import TaskStatus

pytestmark = pytest.mark.anyio

GPU = encode_tag(["gpu"])


def assigned(worker: ScriptedWorker) -> list[TaskId]:
    return [command.task_id for command in worker.commands if isinstance(command, Assign)]


async def nothing(_assign: Assign) -> None:
    """Say nothing more about a task, but go on to say that one is there."""


async def test_a_task_for_a_gpu_says_that_there_is_none_blocks_nobody_and_goes_to_the_worker_that_brings_one(
    net: Net,
) -> None:
    plain, with_gpu, *_ = net.workers
    with_gpu.lends = {"gpus": 1}
    async with net.scheduler() as url, anyio.create_task_group() as group:
        await join(group, url, plain)
        waiting = await net.buy(tag=GPU, trust=2)
        (task_id,) = await net.tasks_of(waiting)
        task = await until_shown(url, f"/tasks/{task_id}", blaming("REQUIREMENTS_UNMET"))
        assert "a GPU" in task["cause"]["what"]
        assert task["cause"]["remedy"]
        assert (task["currentStatus"], task["awaited"]["code"]) == ("RUNNING", "WORKER")
        # Though it came first, and its requester is the same.
        assert await net.settled(await net.buy(trust=2)) == [TaskStatus.COMPLETED]
        await join(group, url, with_gpu)
        assert await net.settled(waiting) == [TaskStatus.COMPLETED]
        assert task_id in assigned(with_gpu)
        assert task_id not in assigned(plain)
        task = await until_shown(url, f"/tasks/{task_id}", lambda task: task["phase"] == "COMPLETED")
        assert task["cause"] is None
        group.cancel_scope.cancel()


def checksum_of(content: bytes) -> str:
    return bytes32(sha256(content).digest())


async def test_tasks_go_where_their_dataset_is_whoever_is_idler(net: Net) -> None:
    here, there, *_ = net.workers
    here.slots = there.slots = 8
    # The one tells what it holds, of the other it is known by what it did.
    there.lends = {"cached": [checksum_of(b"app"), checksum_of(b"second")]}
    async with net.scheduler() as url, anyio.create_task_group() as group:
        first, second = await net.create_dataset(b"first"), await net.create_dataset(b"second")
        await join(group, url, here)
        assert await net.settled(await net.buy(trust=2, dataset=first)) == [TaskStatus.COMPLETED]
        await join(group, url, there)
        here.commands.clear()
        here.on_assign = there.on_assign = nothing
        for dataset, holder in ((first, here), (second, there)):
            tasks = set(await net.tasks_of(await net.buy(trust=2, volume=4, dataset=dataset)))
            await holder.until(partial(lambda holder, tasks: tasks == set(assigned(holder)), holder, tasks))
        group.cancel_scope.cancel()


async def test_what_workers_lend_is_shown(net: Net) -> None:
    worker = net.workers[0]
    worker.lends = {"cpus": 4, "memory_bytes": 1 << 33, "disk_bytes": 1 << 34, "gpus": 2, "enclaves": ["tdx"]}
    async with net.scheduler() as url, anyio.create_task_group() as group:
        await join(group, url, worker)
        (found,) = await shown(url, "/workers")
        assert (found["cpus"], found["memoryBytes"], found["diskBytes"]) == (4, 1 << 33, 1 << 34)
        assert (found["gpus"], found["enclaves"]) == (2, ["tdx"])
        assert (await shown(url, "/metrics"))["aliveTotalGpu"] == 2
        group.cancel_scope.cancel()


async def test_after_a_restart_a_task_still_knows_what_it_needs(net: Net) -> None:
    plain, with_gpu, *_ = net.workers
    with_gpu.lends = {"gpus": 1}
    async with anyio.create_task_group() as group:
        async with net.scheduler() as url, anyio.create_task_group() as first:
            await join(first, url, plain)
            deal = await net.buy(tag=GPU)
            (task_id,) = await net.tasks_of(deal)
            await until_shown(url, f"/tasks/{task_id}", blaming("REQUIREMENTS_UNMET"))
            first.cancel_scope.cancel()
        async with net.scheduler() as url:
            await join(group, url, plain)
            await until_shown(url, f"/tasks/{task_id}", blaming("REQUIREMENTS_UNMET"))
            await join(group, url, with_gpu)
            assert await net.settled(deal) == [TaskStatus.COMPLETED]
        group.cancel_scope.cancel()
    assert not assigned(plain)


async def test_a_worker_that_fails_is_replaced_within_two_heartbeats(net: Net) -> None:
    first, second, *_ = net.workers
    async with net.scheduler() as url, anyio.create_task_group() as group:
        first.on_assign = nothing
        await join(group, url, first)
        deal = await net.buy(trust=2)
        assign = await first.command(Assign)
        assert isinstance(assign, Assign)
        await join(group, url, second)
        await first.report(assign.task_id, S.FAILED, cause="STAKE_TOO_LOW", message="no stake is free")
        await second.command(Assign, seconds=2 * HEARTBEAT + 1)
        assert await net.settled(deal) == [TaskStatus.COMPLETED]
        group.cancel_scope.cancel()


async def test_a_worker_that_makes_no_progress_is_replaced_within_two_heartbeats_of_its_time_being_up(net: Net) -> None:
    """It says all the time that it is there."""
    slow, second, *_ = net.workers
    async with net.scheduler() as url, anyio.create_task_group() as group:
        slow.on_assign = nothing
        await join(group, url, slow)
        deal = await net.buy(trust=2, category=SHORT)
        (task_id,) = await net.tasks_of(deal)
        await slow.command(Assign)
        given = anyio.current_time()
        await join(group, url, second)
        await second.command(Assign)
        category_and_patience = 2 + 1
        # Chain time has whole seconds, at both ends.
        assert anyio.current_time() - given <= category_and_patience + 2 * HEARTBEAT + 2
        assert await net.settled(deal) == [TaskStatus.COMPLETED]
        task = await shown(url, f"/tasks/{task_id}")
        assert [replicate["walletAddress"] for replicate in task["replicates"]] == [slow.address, second.address]
        group.cancel_scope.cancel()


async def test_a_task_that_waits_for_a_slow_worker_alone_is_given_to_an_idle_one_too(net: Net) -> None:
    *quick, slow, spare = net.workers[:4]
    async with net.scheduler(hedge_seconds=1, hedge_factor=1.0) as url, anyio.create_task_group() as group:
        slow.on_assign = nothing
        await join(group, url, *quick, slow)
        deal = await net.buy(trust=5)
        (task_id,) = await net.tasks_of(deal)
        for worker in (*quick, slow):
            await worker.command(Assign)
        await join(group, url, spare)
        # The category's time is an hour's: it is not for that that the task is given once more.
        assert await net.settled(deal) == [TaskStatus.COMPLETED]
        task = await until_shown(url, f"/tasks/{task_id}", lambda task: task["phase"] == "COMPLETED")
        replicates: dict[str, Any] = {replicate["walletAddress"]: replicate for replicate in task["replicates"]}
        assert replicates[spare.address]["statusUpdateList"][0]["reason"] == "HEDGED"
        assert replicates[slow.address]["currentStatus"] == "ABORTED"
        assert assigned(spare) == [task_id]
        group.cancel_scope.cancel()
