"""What an application prints is told while it runs, whatever it prints and however much."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import anyio
import pytest
from wasmtime import wat2wasm

from pyiexec.worker.runtimes import RunRequest, RunStatus, WasmRuntime
from pyiexec.worker.runtimes.base import FUEL_PER_SECOND, StreamName

from .conftest import LIMITS, Requests

pytestmark = pytest.mark.anyio

#: Prints `rounds` times the first `size` bytes of its memory, which say what `text` is, and then goes on for ever.
_PRINTER = """
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 32)
  (data (i32.const 65536) "{text}")
  (func (export "_start") (local $i i32)
    (i32.store (i32.const 0) (i32.const 65536))
    (i32.store (i32.const 4) (i32.const {size}))
    (loop $again
      (drop (call $write (i32.const {stream}) (i32.const 0) (i32.const 1) (i32.const 8)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $i) (i32.const {rounds}))))
    {end}))
"""


def printer(text: str, *, rounds: int = 1, stream: int = 1, size: int | None = None, for_ever: bool = False) -> bytes:
    end = "(loop $spin (br $spin))" if for_ever else ""
    size = len(text) if size is None else size
    return bytes(wat2wasm(_PRINTER.format(text=text, size=size, rounds=rounds, stream=stream, end=end)))


def telling(request: RunRequest, app: bytes, told: Callable[[StreamName, bytes], None]) -> RunRequest:
    limits = replace(LIMITS, seconds=60.0, fuel=60 * FUEL_PER_SECOND)
    return replace(request, app=app, limits=limits, on_output=told)


async def test_it_is_told_long_before_the_run_ends(runtime: WasmRuntime, request_for: Requests) -> None:
    heard: list[tuple[StreamName, bytes]] = []
    came = anyio.Event()

    def told(stream: StreamName, content: bytes) -> None:
        heard.append((stream, content))
        anyio.from_thread.run_sync(came.set)

    endless = telling(request_for("noop/noop"), printer("alive", stream=2, for_ever=True), told)
    async with anyio.create_task_group() as group:
        group.start_soon(runtime.run, endless)
        with anyio.fail_after(20):
            await came.wait()
        assert heard == [("stderr", b"alive")]
        group.cancel_scope.cancel()


async def test_a_gigabyte_is_told_and_not_kept(runtime: WasmRuntime, request_for: Requests) -> None:
    told = 0

    def count(_stream: StreamName, content: bytes) -> None:
        nonlocal told
        told += len(content)

    began = time.perf_counter()
    request = telling(request_for("noop/noop"), printer("x", rounds=1024, size=1 << 20), count)
    outcome = await runtime.run(request)
    assert told == 1 << 30
    assert outcome.status is RunStatus.FAILED
    assert len(outcome.stdout) < LIMITS.log_bytes + 100
    assert b"more bytes were not kept" in outcome.stdout
    assert time.perf_counter() - began < 30


async def test_a_run_that_nobody_listens_to_is_the_same(runtime: WasmRuntime, request_for: Requests) -> None:
    heard: list[bytes] = []
    request = request_for("faulty/exits_3")
    listened = await runtime.run(replace(request, on_output=lambda _stream, content: heard.append(content)))
    alone = await runtime.run(request)
    assert b"".join(heard) == alone.stderr == listened.stderr == b"giving up\n"
    assert listened.fuel_used == alone.fuel_used


async def test_a_listener_that_fails_is_the_worker_s_trouble_not_the_application_s(
    runtime: WasmRuntime, request_for: Requests
) -> None:
    def broken(_stream: StreamName, _content: bytes) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await runtime.run(replace(request_for("faulty/exits_3"), on_output=broken))
