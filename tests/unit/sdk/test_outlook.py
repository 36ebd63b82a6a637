"""Asking a scheduler about tasks that have gone quiet."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import TaskId, bytes32
from pyiexec.sdk.outlook import QUIET_SECONDS, ROUND, Inquiry, Obstacle, SchedulerVoice, obstacle_of

pytestmark = pytest.mark.anyio
START = 1000
TASKS = [TaskId(bytes32(number)) for number in range(3 * ROUND)]
CLOSED = "http://127.0.0.1:9"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Scheduler:
    """An HTTP server that says of tasks what a test has it say, and notes what it was asked."""

    def __init__(self) -> None:
        self.views: dict[str, dict[str, Any]] = {}
        self.asked: list[str] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        task = request.match_info["task"]
        self.asked.append(task)
        return web.json_response(self.views[task]) if task in self.views else web.json_response({}, status=404)

    def say(self, task: TaskId, status: str, cause: str | None) -> None:
        told = {"code": cause, "what": "so it is", "remedy": None} if cause else None
        self.views[task] = {"currentStatus": status, "cause": told}


@asynccontextmanager
async def scheduler() -> AsyncIterator[Scheduler]:
    made = Scheduler()
    app = web.Application()
    app.router.add_get("/tasks/{task}", made.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        made.url = site.name
        yield made
    finally:
        await runner.cleanup()


def test_a_view_without_a_cause_is_no_obstacle() -> None:
    assert obstacle_of({"currentStatus": "RUNNING", "cause": None}) is None


def test_a_cause_is_final_when_the_task_failed() -> None:
    cause = {"code": "NO_CONSENSUS", "what": "two results", "remedy": "Ask again."}
    view = {"currentStatus": "FAILED", "cause": cause}
    assert obstacle_of(view) == Obstacle("NO_CONSENSUS", "two results", "Ask again.", final=True)
    waiting = obstacle_of({"currentStatus": "RUNNING", "cause": {"code": "NO_WORKER"}})
    assert waiting is not None
    assert not waiting.final
    # What the scheduler leaves out, the catalogue knows.
    assert waiting.remedy


async def test_a_task_that_was_just_heard_of_is_not_asked_about() -> None:
    async with scheduler() as pool:
        inquiry = Inquiry(SchedulerVoice(pool.url), START)
        assert await inquiry.news(TASKS[:1], START + QUIET_SECONDS - 1) == []
        inquiry.heard(TASKS[0], START + QUIET_SECONDS)
        assert await inquiry.news(TASKS[:1], START + 2 * QUIET_SECONDS - 1) == []
        assert pool.asked == []


async def test_an_obstacle_is_told_once_and_again_when_it_is_gone() -> None:
    async with scheduler() as pool:
        inquiry = Inquiry(SchedulerVoice(pool.url), START)
        pool.say(TASKS[0], "RUNNING", "NO_WORKER")
        ((task, obstacle),) = await inquiry.news(TASKS[:1], START + 10)
        assert task == TASKS[0]
        assert obstacle is not None
        assert obstacle.code == "NO_WORKER"
        assert await inquiry.news(TASKS[:1], START + 20) == []
        pool.say(TASKS[0], "RUNNING", None)
        assert await inquiry.news(TASKS[:1], START + 30) == [(TASKS[0], None)]


async def test_a_task_given_up_is_not_asked_about_again() -> None:
    async with scheduler() as pool:
        inquiry = Inquiry(SchedulerVoice(pool.url), START)
        pool.say(TASKS[0], "FAILED", "APP_TRAPPED")
        assert len(await inquiry.news(TASKS[:1], START + 10)) == 1
        assert await inquiry.news(TASKS[:1], START + 20) == []
        assert len(pool.asked) == 1


async def test_a_large_bag_is_asked_about_in_turns() -> None:
    async with scheduler() as pool:
        inquiry = Inquiry(SchedulerVoice(pool.url), START)
        for turn in range(3):
            await inquiry.news(TASKS, START + 10 * (turn + 1))
            assert len(pool.asked) == ROUND * (turn + 1)
        assert set(pool.asked) == set(TASKS)


async def test_a_task_of_another_pool_is_nothing_to_report() -> None:
    async with scheduler() as pool:
        voice = SchedulerVoice(pool.url)
        assert await voice.task(TASKS[0]) is None
        assert await Inquiry(voice, START).news(TASKS[:1], START + 10) == []


async def test_a_silent_scheduler_is_an_obstacle_that_may_pass() -> None:
    voice = SchedulerVoice(CLOSED)
    ((_, obstacle),) = await Inquiry(voice, START).news(TASKS[:1], START + 10)
    assert obstacle is not None
    assert (obstacle.code, obstacle.final) == ("SCHEDULER_UNREACHABLE", False)
    with pytest.raises(IexecError) as refused:
        await voice.task(TASKS[0])
    assert refused.value.code == "SCHEDULER_UNREACHABLE"


async def test_where_no_scheduler_is_named_nobody_is_asked() -> None:
    voice = SchedulerVoice(None)
    assert await voice.task(TASKS[0]) is None
    assert await Inquiry(voice, START).news(TASKS[:1], START + 10) == []
