"""What comes of well-behaved and misbehaving applications; the programs are in ``apps/``."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import anyio
import pytest
from wasmtime import wat2wasm

from pyiexec.protocol.errors import IexecError
from pyiexec.worker.runtimes import RunOutcome, RunRequest, RunStatus, WasmRuntime, limits_for, seed_for_task
from pyiexec.worker.runtimes.base import FUEL_PER_SECOND
from pyiexec.worker.runtimes.suspension import Suspension

from .conftest import LIMITS, Requests

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["thread", "process"], autouse=True)
def where(request: pytest.FixtureRequest) -> str:
    """Whether the worker's own process runs it, or one that can be made to stand still: nobody may tell them apart."""
    place: str = request.param
    return place


@pytest.fixture
def request_for(request_for: Requests, where: str) -> Requests:
    def make(*args: Any, **options: Any) -> RunRequest:
        return replace(request_for(*args, **options), suspension=Suspension() if where == "process" else None)

    return make


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def failure(runtime: WasmRuntime, request: RunRequest) -> RunOutcome:
    """Run what must fail, and leave nothing."""
    outcome = await runtime.run(request)
    assert outcome.status is RunStatus.FAILED
    assert outcome.message
    assert list(request.output_dir.parent.iterdir()) == [request.input_dir]
    return outcome


class TestSuccess:
    async def test_the_output_folder_holds_what_the_app_wrote(
        self, runtime: WasmRuntime, request_for: Requests
    ) -> None:
        request = request_for("noop/noop", "one", "two words")
        outcome = await runtime.run(request)
        assert (outcome.status, outcome.exit_code, outcome.cause) == (RunStatus.SUCCEEDED, 0, None)
        assert contents(request.output_dir) == {
            "result.txt": b"one\ntwo words\n",
            "computed.json": b'{"deterministic-output-path": "/iexec_out/result.txt"}\n',
        }
        assert 0 < outcome.fuel_used < LIMITS.fuel

    async def test_an_earlier_result_in_the_folder_is_replaced(
        self, runtime: WasmRuntime, request_for: Requests
    ) -> None:
        request = request_for("noop/noop", "new")
        (request.output_dir / "left" / "over").mkdir(parents=True)
        await runtime.run(request)
        assert contents(request.output_dir).keys() == {"result.txt", "computed.json"}

    async def test_files_work_as_libc_expects(self, runtime: WasmRuntime, request_for: Requests) -> None:
        outcome = await runtime.run(request_for("faulty/files_probe"))
        assert (outcome.stderr, outcome.cause) == (b"", None)

    async def test_inputs_may_be_links_to_a_cache(
        self, runtime: WasmRuntime, request_for: Requests, tmp_path: Path
    ) -> None:
        request = request_for("faulty/files_probe")
        cached = tmp_path / "cached"
        (request.input_dir / "greeting.txt").rename(cached)
        (request.input_dir / "greeting.txt").symlink_to(cached)
        assert (await runtime.run(request)).cause is None

    async def test_files_deleted_on_the_way_do_not_count_as_output(
        self, runtime: WasmRuntime, request_for: Requests
    ) -> None:
        request = request_for("faulty/writes_too_much", "delete")
        assert (await runtime.run(request)).cause is None
        assert contents(request.output_dir).keys() == {"whole", "computed.json"}

    async def test_a_log_is_cut_and_says_how_much_is_missing(self, runtime: WasmRuntime, request_for: Requests) -> None:
        outcome = await runtime.run(request_for("faulty/floods_log"))
        assert outcome.cause is None
        assert outcome.stdout.startswith(b"first line\n")
        assert outcome.stdout.endswith(b"\n[10484771 more bytes were not kept]\n")
        assert len(outcome.stdout) < LIMITS.log_bytes + 100

    async def test_a_refused_write_does_not_matter_if_the_app_succeeds(
        self, runtime: WasmRuntime, request_for: Requests
    ) -> None:
        outcome = await runtime.run(request_for("faulty/writes_outside", "write", "/x", "carry-on"))
        assert outcome.cause is None

    async def test_callback_data_alone_is_a_result(self, runtime: WasmRuntime, request_for: Requests) -> None:
        outcome = await runtime.run(request_for("faulty/no_result", '{"callback-data": "0x12"}'))
        assert outcome.cause is None


class TestFailure:
    @pytest.mark.parametrize("code", [1, 3, 126, 255])
    async def test_exit_code(self, runtime: WasmRuntime, request_for: Requests, code: int) -> None:
        outcome = await failure(runtime, request_for("faulty/exits_3", str(code)))
        assert (outcome.cause, outcome.exit_code) == ("APP_EXITED_NON_ZERO", code)
        assert outcome.stderr == b"giving up\n"

    @pytest.mark.parametrize("how", ["compute", "calls", "sleep"])
    async def test_an_endless_app_runs_out_of_fuel(self, runtime: WasmRuntime, request_for: Requests, how: str) -> None:
        limits = replace(LIMITS, fuel=200_000_000)
        outcome = await failure(runtime, request_for("faulty/endless_loop", how, limits=limits))
        assert (outcome.cause, outcome.exit_code, outcome.fuel_used) == ("APP_OUT_OF_FUEL", None, limits.fuel)

    @pytest.mark.parametrize("how", ["compute", "calls", "sleep"])
    async def test_an_endless_app_runs_out_of_time(self, runtime: WasmRuntime, request_for: Requests, how: str) -> None:
        limits = replace(LIMITS, seconds=0.2, fuel=10**15)
        outcome = await failure(runtime, request_for("faulty/endless_loop", how, limits=limits))
        assert outcome.cause == "APP_TIMEOUT"
        assert 0.2 <= outcome.seconds < 5

    @pytest.mark.parametrize(("how", "code"), [("exit", 1), ("abort", None)])
    async def test_a_greedy_app_runs_out_of_memory(
        self, runtime: WasmRuntime, request_for: Requests, how: str, code: int | None
    ) -> None:
        outcome = await failure(runtime, request_for("faulty/eats_memory", how))
        assert (outcome.cause, outcome.exit_code) == ("APP_OUT_OF_MEMORY", code)
        assert "of the 64.0 MiB" in outcome.message

    async def test_an_app_that_starts_with_too_much_memory_never_starts(
        self, runtime: WasmRuntime, request_for: Requests
    ) -> None:
        limits = replace(LIMITS, memory_bytes=1 << 20)
        outcome = await failure(runtime, request_for("noop/noop", limits=limits))
        assert (outcome.cause, outcome.fuel_used) == ("APP_OUT_OF_MEMORY", 0)

    @pytest.mark.parametrize(("how", "reason"), [("trap", "unreachable"), ("stack", "stack overflow")])
    async def test_a_crash(self, runtime: WasmRuntime, request_for: Requests, how: str, reason: str) -> None:
        outcome = await failure(runtime, request_for("faulty/traps", how))
        assert (outcome.cause, outcome.exit_code) == ("APP_TRAPPED", None)
        assert reason in outcome.message

    @pytest.mark.parametrize(
        ("how", "path"),
        [
            *((how, path) for how in ("write", "delete", "move") for path in ("/iexec_in/greeting.txt", "../x")),
            *((how, path) for how in ("write", "mkdir", "move") for path in ("/etc/passwd", "x")),
            ("mkdir", "/iexec_out/../../x"),
        ],
    )
    async def test_a_write_outside_is_refused_and_named(
        self, runtime: WasmRuntime, request_for: Requests, how: str, path: str
    ) -> None:
        request = request_for("faulty/writes_outside", how, path)
        before = contents(request.input_dir)
        outcome = await failure(runtime, request)
        assert (outcome.cause, outcome.exit_code) == ("APP_WROTE_OUTSIDE", 1)
        assert path.lstrip("./") in outcome.message
        assert contents(request.input_dir) == before

    @pytest.mark.parametrize("how", ["bytes", "files", "hole"])
    async def test_an_app_that_writes_too_much_is_stopped(
        self, runtime: WasmRuntime, request_for: Requests, how: str
    ) -> None:
        outcome = await failure(runtime, request_for("faulty/writes_too_much", how))
        assert (outcome.cause, outcome.exit_code) == ("APP_OUTPUT_TOO_LARGE", None)

    @pytest.mark.parametrize(
        "computed",
        [
            None,
            "not json",
            "[]",
            "{}",
            '{"deterministic-output-path": "/iexec_out/missing"}',
            '{"deterministic-output-path": "/etc/passwd"}',
            '{"deterministic-output-path": "/iexec_out/../iexec_in"}',
            '{"callback-data": "hello"}',
        ],
    )
    async def test_no_result(self, runtime: WasmRuntime, request_for: Requests, computed: str | None) -> None:
        args = [] if computed is None else [computed]
        outcome = await failure(runtime, request_for("faulty/no_result", *args))
        assert (outcome.cause, outcome.exit_code) == ("APP_NO_RESULT", 0)

    @pytest.mark.parametrize(
        ("app", "reason"),
        [
            (b"#!/bin/sh\n", "not a WebAssembly module"),
            (b"\0asm\1\0\0\0garbage", "not a valid"),
            (b"\0asm\1\0\0\0", "not a WASI command"),
            (wat2wasm('(module (import "env" "socket" (func)))'), "imports env.socket"),
            (wat2wasm('(module (import "wasi_snapshot_preview1" "sock_open" (func)))'), "sock_open"),
            (
                wat2wasm(
                    '(module (import "wasi_snapshot_preview1" "fd_write" (func)) (memory (export "memory") 1)'
                    ' (func (export "_start")))'
                ),
                "cannot be linked",
            ),
            (wat2wasm('(module (memory (export "memory") 1 1 shared) (func (export "_start")))'), "not a valid"),
        ],
    )
    async def test_what_is_no_wasi_program(
        self, runtime: WasmRuntime, request_for: Requests, app: bytes, reason: str
    ) -> None:
        outcome = await failure(runtime, replace(request_for("noop/noop"), app=bytes(app)))
        assert (outcome.cause, outcome.fuel_used) == ("APP_INVALID_MODULE", 0)
        assert reason in outcome.message
        with pytest.raises(IexecError, match=reason):
            await runtime.prepare(bytes(app))

    async def test_addresses_outside_the_memory_are_refused(self, runtime: WasmRuntime, request_for: Requests) -> None:
        # random_get and fd_write beyond the memory answer FAULT (21), which becomes the exit code.
        app = wat2wasm(
            """(module
              (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
              (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
              (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
              (memory (export "memory") 1)
              (func (export "_start")
                (if (i32.ne (call $write (i32.const 1) (i32.const -8) (i32.const 3) (i32.const 0)) (i32.const 21))
                  (then unreachable))
                (call $exit (call $random (i32.const 65530) (i32.const -1)))))"""
        )
        outcome = await failure(runtime, replace(request_for("noop/noop"), app=bytes(app)))
        assert (outcome.cause, outcome.exit_code) == ("APP_EXITED_NON_ZERO", 21)

    @pytest.mark.parametrize("where", ["thread"], indirect=True)
    async def test_an_input_that_the_host_cannot_read_is_not_the_apps_fault(
        self, runtime: WasmRuntime, request_for: Requests, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        request = request_for("faulty/files_probe")

        def unreadable(*_: object) -> bytes:
            raise OSError("the disk is gone")

        monkeypatch.setattr("pyiexec.worker.runtimes.wasi.process.os.pread", unreadable)
        with pytest.raises(OSError, match="the disk is gone"):
            await runtime.run(request)


class TestCancelling:
    @pytest.mark.parametrize("how", ["compute", "calls"])
    async def test_a_cancelled_run_stops_at_once_and_leaves_the_runtime_usable(
        self, runtime: WasmRuntime, request_for: Requests, how: str
    ) -> None:
        limits = replace(LIMITS, fuel=10**15)
        request = request_for("faulty/endless_loop", how, limits=limits)
        await runtime.prepare(request.app)
        with anyio.move_on_after(0.1) as scope:
            await runtime.run(request)
        assert scope.cancelled_caught
        assert anyio.current_time() - scope.deadline < 0.2
        assert not request.output_dir.exists()
        assert (await runtime.run(request_for("noop/noop"))).cause is None

    async def test_cancelling_one_run_leaves_its_neighbour_alone(
        self, runtime: WasmRuntime, request_for: Requests
    ) -> None:
        endless = request_for("faulty/endless_loop", limits=replace(LIMITS, fuel=10**15))
        lasting = request_for("faulty/endless_loop", limits=replace(LIMITS, fuel=1_500_000_000), name="lasting")
        outcomes: list[RunOutcome] = []

        async def last() -> None:
            outcomes.append(await runtime.run(lasting))

        async with anyio.create_task_group() as group:
            group.start_soon(last)
            with anyio.move_on_after(0.05):
                await runtime.run(endless)
        assert [outcome.cause for outcome in outcomes] == ["APP_OUT_OF_FUEL"]


async def test_concurrent_runs_do_not_mix(runtime: WasmRuntime, request_for: Requests) -> None:
    """Also the causes: one exits, one traps, one runs out of fuel, one succeeds, again and again."""
    kinds = {
        "noop/noop": None,
        "faulty/exits_3": "APP_EXITED_NON_ZERO",
        "faulty/traps": "APP_TRAPPED",
        "faulty/endless_loop": "APP_OUT_OF_FUEL",
    }
    wrong: list[tuple[str, RunOutcome]] = []
    limits = replace(LIMITS, fuel=20_000_000)

    async def repeat(app: str) -> None:
        for turn in range(15):
            request = request_for(app, f"7{turn}" if "noop" in app else "7", limits=limits, name=app.replace("/", "-"))
            outcome = await runtime.run(request)
            if outcome.cause != kinds[app]:
                wrong.append((app, outcome))
            if "noop" in app:
                assert contents(request.output_dir)["result.txt"] == f"7{turn}\n".encode()

    async with anyio.create_task_group() as group:
        for app in kinds:
            group.start_soon(repeat, app)
    assert wrong == []


async def test_more_runs_than_places_wait_without_losing_their_time(compiled: Path, request_for: Requests) -> None:
    runtime = WasmRuntime(compiled, concurrency=1)
    limits = replace(LIMITS, seconds=2.0, fuel=500_000_000)
    causes = []

    async def one(turn: int) -> None:
        request = request_for("faulty/endless_loop", limits=limits, name=f"task-{turn}")
        causes.append((await runtime.run(request)).cause)

    async with anyio.create_task_group() as group:
        for turn in range(8):
            group.start_soon(one, turn)
    assert causes == ["APP_OUT_OF_FUEL"] * 8
    await runtime.close()


async def test_a_warm_run_of_the_smallest_app_costs_milliseconds(runtime: WasmRuntime, request_for: Requests) -> None:
    request = request_for("noop/noop")
    await runtime.run(request)
    times = []
    for _ in range(30):
        before = time.process_time()
        await runtime.run(request)
        times.append(time.process_time() - before)
    # Of the processor, not the clock on the wall: other programs run beside the tests. 2 ms at 2.5 GHz.
    assert min(times) < 0.005


def test_a_category_buys_time_and_fuel_in_proportion() -> None:
    assert (limits_for(5).seconds, limits_for(5).fuel) == (5.0, 5 * FUEL_PER_SECOND)


def test_every_task_has_a_seed_of_its_own() -> None:
    assert seed_for_task("0x" + "1" * 64) != seed_for_task("0x" + "2" * 64)


@pytest.mark.parametrize(
    ("args", "environment"), [(["a\0b"], {}), ([], {"A": "\0"}), ([], {"A=B": "c"}), ([], {"": "c"})]
)
def test_ill_formed_arguments_and_variables_are_refused(
    request_for: Requests, args: list[str], environment: dict[str, str]
) -> None:
    with pytest.raises(ValueError):
        replace(request_for("noop/noop"), args=args, environment=environment)
