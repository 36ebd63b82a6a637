"""What the scheduler expects of tasks, held against what becomes of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import anyio
import pytest
from tests.services.scheduler.conftest import SHORT, Net, shown, until_shown
from tests.services.scheduler.test_failures import blaming, join

from pyiexec.protocol.messages import Assign
from pyiexec.protocol.tasks import TaskStatus

pytestmark = pytest.mark.anyio

#: Seconds that the scripted work takes.
WORK = 1.5


def seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def completed_at(task: dict[str, Any]) -> float:
    return next(seconds(change["date"]) for change in task["dateStatusList"] if change["status"] == "COMPLETED")


async def test_places_and_times_are_told_and_come_true(net: Net) -> None:
    worker = net.workers[0]

    async def slowly(assign: Assign) -> None:
        # The work itself, whose time is what is learned.
        await anyio.sleep(WORK)
        await worker.vote(assign)

    worker.on_assign = slowly
    async with net.scheduler() as url, anyio.create_task_group() as group:
        waiting = await net.buy(volume=7)
        ids = await net.tasks_of(waiting)
        alone = await until_shown(url, f"/tasks/{ids[6]}", lambda task: task.get("forecast"))
        assert (alone["forecast"]["position"], alone["forecast"]["eta"]) == (7, None)
        await join(group, url, worker)

        # The first of them teach what such tasks take.
        await until_shown(url, f"/tasks/{ids[2]}", lambda task: task["currentStatus"] == "COMPLETED")
        told = [await shown(url, f"/tasks/{task_id}") for task_id in ids[3:]]
        forecasts = [task["forecast"] for task in told if task["forecast"]]
        assert len(forecasts) >= 3
        places = [forecast["position"] for forecast in forecasts]
        assert places == sorted(places)
        etas = [seconds(forecast["eta"]) for forecast in forecasts]
        assert etas == sorted(etas)
        assert all(forecast["observed"] >= 2 and not forecast["late"] for forecast in forecasts)

        assert await net.settled(waiting) == [TaskStatus.COMPLETED] * 7
        for before in told:
            forecast = before["forecast"]
            if forecast is None:
                continue
            path = f"/tasks/{before['chainTaskId']}"
            done = completed_at(await until_shown(url, path, lambda task: task["currentStatus"] == "COMPLETED"))
            assert seconds(forecast["earliest"]) <= done <= seconds(forecast["latest"]), (forecast, done)
        group.cancel_scope.cancel()
    # What was learned is learned again, from what is stored.
    async with net.scheduler() as url:
        (again,) = await net.tasks_of(await net.buy())
        task = await until_shown(url, f"/tasks/{again}", lambda task: task.get("forecast"))
        assert task["forecast"]["observed"] == 7


async def test_a_task_that_will_hardly_be_done_in_time_is_told_so_long_before(net: Net) -> None:
    worker = net.workers[0]

    async def never(_assign: Assign) -> None:
        pass

    worker.on_assign = never
    async with net.scheduler() as url, anyio.create_task_group() as group:
        await join(group, url, worker)
        deal = await net.buy(volume=40, category=SHORT)
        ids = await net.tasks_of(deal)

        def warned(task: dict[str, Any]) -> bool:
            told = blaming("TASK_LIKELY_LATE")(task) and task["phase"] == "RUNNING"
            # All but the one that the worker has.
            return told and task["forecast"]["position"] == 39

        task = await until_shown(url, f"/tasks/{ids[39]}", warned)
        assert task["forecast"]["late"]
        assert task["cause"]["remedy"]
        assert (await shown(url, f"/tasks/{ids[1]}"))["cause"] is None
        group.cancel_scope.cancel()
