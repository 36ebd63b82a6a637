"""Containers stand still and go on, as the worker's owner comes and goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from pyiexec.worker.runtimes.base import Image, Limits, RunOutcome
from pyiexec.worker.runtimes.suspension import Suspension

from .conftest import LIMITS, RESULT, Bench

#: Prints a line a tenth of a second.
TICKS = "i=0; while [ $i -lt 30 ]; do echo tick; sleep 0.1; i=$((i+1)); done; echo done > /iexec_out/result" + RESULT


@asynccontextmanager
async def running(
    bench: Bench, image: Image, script: str, suspension: Suspension, told: Callable[[], None], limits: Limits = LIMITS
) -> AsyncIterator[asyncio.Task[RunOutcome]]:
    """A run beside the test, once it has printed something."""
    loop, begun = asyncio.get_running_loop(), asyncio.Event()

    def printed(_stream: str, _content: bytes) -> None:
        told()
        loop.call_soon_threadsafe(begun.set)

    runtime = bench.runtime()
    await runtime.open()
    request = bench.request(image, script, on_output=printed, suspension=suspension, limits=limits)
    run = asyncio.create_task(runtime.run(request))
    try:
        async with asyncio.timeout(60):
            await begun.wait()
            yield run
    finally:
        run.cancel()
        await asyncio.wait({run})
        await runtime.close()


async def frozen(bench: Bench) -> None:
    """Return once the engine has the container stand still."""
    async with asyncio.timeout(20):
        while not bench.engine.docker("ps", "--filter", "status=paused", "--quiet").stdout:  # noqa: ASYNC110 - asked
            await asyncio.sleep(0.02)


def test_a_container_that_stood_still_did_nothing_and_ends_as_it_would_have(bench: Bench, shell: Image) -> None:
    async def scene() -> RunOutcome:
        suspension, lines = Suspension(), list[float]()
        clock = asyncio.get_running_loop().time
        async with running(bench, shell, TICKS, suspension, lambda: lines.append(clock())) as run:
            suspension.impose()
            await frozen(bench)
            seen = len(lines)
            await asyncio.sleep(1.0)
            # A line may have been on its way.
            assert len(lines) <= seen + 1
            suspension.lift()
            return await run

    outcome = asyncio.run(scene())
    assert outcome.cause is None, outcome
    assert outcome.stdout == b"tick\n" * 30
    assert bench.result() == "done\n"


def test_the_time_of_a_container_stands_still_with_it(bench: Bench, shell: Image) -> None:
    limits = type(LIMITS)(seconds=1.5, fuel=1)

    async def scene() -> tuple[RunOutcome, float]:
        suspension = Suspension()
        clock = asyncio.get_running_loop().time
        began = clock()
        async with running(
            bench, shell, "echo begun; while :; do :; done", suspension, lambda: None, limits=limits
        ) as run:
            suspension.impose()
            await frozen(bench)
            await asyncio.sleep(2.0)
            assert not run.done()
            suspension.lift()
            return await run, clock() - began

    outcome, took = asyncio.run(scene())
    assert outcome.cause == "APP_TIMEOUT"
    assert 1.5 <= outcome.seconds < took - 1.8


def test_a_container_that_stands_still_can_be_given_up(bench: Bench, shell: Image) -> None:
    async def scene() -> None:
        suspension = Suspension()
        async with running(bench, shell, "echo begun; sleep 600", suspension, lambda: None) as run:
            suspension.impose()
            await frozen(bench)
            run.cancel()
            await asyncio.wait({run})
            assert run.cancelled()

    asyncio.run(scene())
    assert bench.engine.containers() == []
    assert bench.engine.volumes() == []


def test_what_containers_compute_is_known_while_they_run(bench: Bench, shell: Image) -> None:
    async def scene() -> None:
        runtime, begun = bench.runtime(), asyncio.Event()
        await runtime.open()
        assert await runtime.processor_seconds() == 0.0
        request = bench.request(
            shell, "echo begun; while :; do :; done", on_output=lambda _stream, _content: begun.set()
        )
        run = asyncio.create_task(runtime.run(request))
        try:
            async with asyncio.timeout(60):
                await begun.wait()
                while (used := await runtime.processor_seconds() or 0.0) < 0.3:  # noqa: ASYNC110 - it grows by itself
                    await asyncio.sleep(0.05)
        finally:
            run.cancel()
            await asyncio.wait({run})
        # Nobody knows how much more it used before it ended.
        assert await runtime.processor_seconds() is None
        after = await runtime.processor_seconds()
        assert after is not None
        assert after >= used
        await runtime.close()

    asyncio.run(scene())
