"""Readiness names what is missing, and asks a dependency no more often than it must."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from pyiexec.foundation import health as module
from pyiexec.foundation.health import GOOD_FOR, Dependency, Health
from pyiexec.protocol.errors import IexecError


class Clock:
    """Time that stands still until it is moved."""

    def __init__(self) -> None:
        self.time = 1000.0

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        await anyio.sleep(seconds)


class Asked:
    """A dependency that counts how often it is asked."""

    def __init__(self) -> None:
        self.times = 0
        self.why = ""

    async def __call__(self) -> str:
        self.times += 1
        await anyio.lowlevel.checkpoint()
        return self.why


def run(story: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(story())


def test_a_service_is_ready_when_all_it_needs_is_there() -> None:
    async def story() -> None:
        first, second, clock = Asked(), Asked(), Clock()
        health = Health("test", clock)
        health.needs("first", first)
        health.needs("second", second)
        assert (await health.readiness()).ok
        second.why = "it is asleep"
        clock.time += GOOD_FOR
        found = await health.readiness()
        assert not found.ok
        assert found.dependencies == [Dependency("first", True), Dependency("second", False, "it is asleep")]
        second.why = ""
        clock.time += GOOD_FOR
        assert (await health.readiness()).ok

    run(story)


def test_many_probes_cost_one_look() -> None:
    async def story() -> None:
        asked, clock = Asked(), Clock()
        health = Health("test", clock)
        health.needs("it", asked)
        async with anyio.create_task_group() as group:
            for _ in range(50):
                group.start_soon(health.readiness)
        assert asked.times == 1
        clock.time += GOOD_FOR / 2
        await health.readiness()
        assert asked.times == 1
        clock.time += GOOD_FOR / 2
        await health.readiness()
        assert asked.times == 2

    run(story)


def test_a_dependency_that_does_not_answer_holds_no_probe_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PATIENCE", 0.05)

    async def story() -> None:
        health = Health("test", Clock())

        async def never() -> str:
            await anyio.sleep_forever()
            return ""

        health.needs("it", never)
        with anyio.fail_after(2):
            found = await health.readiness()
        assert found.dependencies == [Dependency("it", False, "no answer within 0.05 s")]

    run(story)


def test_strangers_learn_the_code_of_an_error_and_not_its_details() -> None:
    async def story() -> None:
        health = Health("test", Clock())

        async def fails() -> str:
            raise IexecError("DATABASE_UNAVAILABLE", "the server at secret-host says no")

        health.needs("database", fails)
        assert (await health.readiness()).dependencies == [Dependency("database", False, "DATABASE_UNAVAILABLE")]

    run(story)
