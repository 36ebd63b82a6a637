"""Runs stand still and go on: their processor is free meanwhile, their time does not pass, their result is the same."""

from __future__ import annotations

import hashlib
import os
import select
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from tests.processor_time import busy_seconds

from pyiexec.foundation.clock import SystemClock
from pyiexec.protocol.errors import IexecError
from pyiexec.worker.runtimes import RunOutcome, RunRequest, RunStatus, WasmRuntime
from pyiexec.worker.runtimes.suspension import Suspension

from .conftest import APPS, LIMITS, Requests

pytestmark = pytest.mark.anyio


class Outcome:
    """A run beside the test."""

    def __init__(self) -> None:
        self.ended = anyio.Event()
        self.value: RunOutcome | None = None

    async def of(self, runtime: WasmRuntime, request: RunRequest) -> None:
        self.value = await runtime.run(request)
        self.ended.set()


def children() -> list[int]:
    """Processes started by this one's main thread."""
    pid = os.getpid()
    return [int(child) for child in Path(f"/proc/self/task/{pid}/children").read_text().split()]


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir()}


async def test_a_run_that_stood_still_took_no_processor_and_no_time_of_its_own(
    runtime: WasmRuntime, request_for: Requests
) -> None:
    suspension, outcome = Suspension(), Outcome()
    request = replace(
        request_for("faulty/endless_loop", limits=replace(LIMITS, seconds=0.6, fuel=10**15)), suspension=suspension
    )
    await runtime.prepare(request.app)
    clock = SystemClock()
    async with anyio.create_task_group() as group:
        began = clock.monotonic()
        group.start_soon(outcome.of, runtime, request)
        await anyio.sleep(0.2)
        suspension.impose()
        await anyio.sleep(0.1)
        used = busy_seconds()
        await anyio.sleep(1.0)
        assert busy_seconds() - used < 0.3
        assert not outcome.ended.is_set()
        suspension.lift()
        with anyio.fail_after(20):
            await outcome.ended.wait()
        took = clock.monotonic() - began
    assert outcome.value is not None
    assert outcome.value.cause == "APP_TIMEOUT"
    assert 0.6 <= outcome.value.seconds < took - 0.9


async def test_a_run_that_stood_still_ends_with_the_same_result(runtime: WasmRuntime, request_for: Requests) -> None:
    def rendering(name: str) -> RunRequest:
        request = request_for(
            "raytracer/raytracer", "--width", "96", "--height", "72", limits=replace(LIMITS, fuel=10**11), name=name
        )
        (request.input_dir / "scene").write_bytes((APPS / "raytracer" / "scene.txt").read_bytes())
        task = {"IEXEC_INPUT_FILE_NAME_1": "scene", "IEXEC_BOT_FIRST_INDEX": "0", "IEXEC_BOT_TASK_INDEX": "0"}
        return replace(request, environment={**request.environment, **task})

    undisturbed = rendering("undisturbed")
    plain = await runtime.run(undisturbed)
    suspension, outcome = Suspension(), Outcome()
    disturbed = replace(rendering("disturbed"), suspension=suspension)
    held = 0
    async with anyio.create_task_group() as group:
        group.start_soon(outcome.of, runtime, disturbed)
        while not outcome.ended.is_set():
            held += 1
            suspension.impose()
            await anyio.sleep(0.02)
            suspension.lift()
            with anyio.move_on_after(0.02):
                await outcome.ended.wait()
    assert held > 1
    assert plain.status is RunStatus.SUCCEEDED
    assert outcome.value is not None
    assert outcome.value.fuel_used == plain.fuel_used
    assert digests(disturbed.output_dir) == digests(undisturbed.output_dir)


async def test_a_run_that_begins_while_others_stand_still_waits_with_them(
    runtime: WasmRuntime, request_for: Requests
) -> None:
    suspension, outcome = Suspension(), Outcome()
    suspension.impose()
    async with anyio.create_task_group() as group:
        group.start_soon(outcome.of, runtime, replace(request_for("noop/noop"), suspension=suspension))
        with anyio.move_on_after(0.3):
            await outcome.ended.wait()
        assert not outcome.ended.is_set()
        suspension.lift()
        with anyio.fail_after(20):
            await outcome.ended.wait()
    assert outcome.value is not None
    assert outcome.value.status is RunStatus.SUCCEEDED


async def test_a_run_that_stands_still_can_be_given_up(runtime: WasmRuntime, request_for: Requests) -> None:
    suspension = Suspension()
    request = replace(
        request_for("faulty/endless_loop", limits=replace(LIMITS, seconds=60, fuel=10**15)), suspension=suspension
    )
    with anyio.fail_after(20):
        with anyio.move_on_after(0.3) as given_up:
            async with anyio.create_task_group() as group:
                group.start_soon(runtime.run, request)
                await anyio.sleep(0.1)
                suspension.impose()
                await anyio.sleep_forever()
        assert given_up.cancelled_caught
        # The engine serves the next one.
        suspension.lift()
        assert (await runtime.run(request_for("noop/noop"))).status is RunStatus.SUCCEEDED


async def test_a_sandbox_that_the_system_ended_is_said_so_and_replaced(
    runtime: WasmRuntime, request_for: Requests
) -> None:
    before = set(children())
    lost: list[IexecError] = []
    running = anyio.Event()

    def heard(_stream: str, _content: bytes) -> None:
        running.set()

    async def run() -> None:
        request = request_for("faulty/prints_and_hangs", limits=replace(LIMITS, seconds=60, fuel=10**15))
        try:
            await runtime.run(replace(request, suspension=Suspension(), on_output=heard))
        except IexecError as error:
            lost.append(error)

    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            group.start_soon(run)
            await running.wait()
            (sandbox,) = set(children()) - before
            os.kill(sandbox, signal.SIGKILL)
    assert [error.code for error in lost] == ["SANDBOX_LOST"]
    outcome = await runtime.run(replace(request_for("noop/noop"), suspension=Suspension()))
    assert outcome.status is RunStatus.SUCCEEDED


_HOLDS_A_RUN = """
import asyncio, os, pathlib, sys
from pyiexec.worker.runtimes import RunRequest, WasmRuntime, Limits
from pyiexec.worker.runtimes.suspension import Suspension
app, folder = map(pathlib.Path, sys.argv[1:])
(folder / "in").mkdir()
suspension = Suspension()
def stand_still(stream, content):
    suspension.impose()
    print(pathlib.Path(f"/proc/self/task/{os.getpid()}/children").read_text(), flush=True)
request = RunRequest(app=app, args=[], environment={"IEXEC_OUT": "/iexec_out"}, input_dir=folder / "in",
    output_dir=folder / "out", limits=Limits(seconds=60, fuel=10**15), seed=b"", on_output=stand_still,
    suspension=suspension)
asyncio.run(WasmRuntime().run(request))
"""


def test_a_sandbox_that_stands_still_goes_with_its_worker(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _HOLDS_A_RUN, APPS / "faulty" / "prints_and_hangs.wasm", tmp_path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
        assert worker.stdout is not None
        sandbox = int(worker.stdout.readline())
        watch = os.pidfd_open(sandbox)
        worker.kill()
    # A process that has ended is readable.
    assert select.select([watch], [], [], 20)[0]
    os.close(watch)
