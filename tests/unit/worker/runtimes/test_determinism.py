"""Two honest workers cannot differ: not by clock, chance, folder order, file times, machine or moment."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from pyiexec.worker.runtimes import RunRequest, WasmRuntime
from pyiexec.worker.runtimes.wasi.determinism import EPOCH_NS, TICK_NS, RandomStream, VirtualClock

from .conftest import Requests

pytestmark = pytest.mark.anyio


def shuffled(request: RunRequest, *, backwards: bool, moment: int) -> RunRequest:
    """Inputs made in another order, of other times."""
    names = [f"{letter}{number}" for letter in "zma" for number in range(20)]
    for name in names[::-1] if backwards else names:
        path = request.input_dir / name
        path.write_text(name)
        os.utime(path, (moment, moment))
    return request


async def probe(runtime: WasmRuntime, request: RunRequest) -> str:
    outcome = await runtime.run(request)
    assert outcome.cause is None, outcome
    return (request.output_dir / "probe.txt").read_text()


async def test_a_program_that_looks_at_everything_sees_the_same_twice(
    runtime: WasmRuntime, request_for: Requests
) -> None:
    first = shuffled(request_for("faulty/determinism_probe", name="one"), backwards=False, moment=10**9)
    second = shuffled(request_for("faulty/determinism_probe", name="other"), backwards=True, moment=2 * 10**9)
    other_machine = WasmRuntime(concurrency=1)
    assert await probe(runtime, first) == await probe(other_machine, second)
    await other_machine.close()


async def test_it_uses_the_same_fuel_twice(runtime: WasmRuntime, request_for: Requests) -> None:
    request = request_for("faulty/determinism_probe")
    assert (await runtime.run(request)).fuel_used == (await runtime.run(request)).fuel_used


async def test_another_task_sees_other_random_numbers_and_nothing_else(
    runtime: WasmRuntime, request_for: Requests
) -> None:
    request = request_for("faulty/determinism_probe")
    one = (await probe(runtime, request)).splitlines()
    other = (await probe(runtime, replace(request, seed=b"another task"))).splitlines()
    assert [line.split()[0] for line, also in zip(one, other, strict=True) if line != also] == ["random"]


async def test_what_the_program_sees(runtime: WasmRuntime, request_for: Requests) -> None:
    lines = (await probe(runtime, request_for("faulty/determinism_probe", "an argument"))).splitlines()
    assert lines[:6] == [
        "argument app.wasm",
        "argument an argument",
        "variable IEXEC_IN=/iexec_in",
        "variable IEXEC_OUT=/iexec_out",
        "clock 0: 1577836800.001000000, resolution 1000000 ns",
        "clock 1: 0.002000000, resolution 1000000 ns",
    ]
    assert "slept 86400 s" in lines
    assert [line for line in lines if line.startswith("nan")] == ["nan 7ff8000000000000"] * 4
    listed = [line.split(":")[0] for line in lines if line.startswith("/iexec_out/")]
    assert listed == ["/iexec_out/.", "/iexec_out/a", "/iexec_out/probe.txt", "/iexec_out/z"]
    assert all("times 1577836800 1577836800 1577836800" in line for line in lines if "inode" in line)


async def test_there_is_no_network(runtime: WasmRuntime, request_for: Requests) -> None:
    request = request_for("faulty/opens_socket")
    assert (await runtime.run(request)).cause is None
    answers = (request.output_dir / "network.txt").read_text().splitlines()
    # 57 is "not a socket", 8 "not open".
    assert {line.split(": ")[1] for line in answers} == {"accept 57, send 57", "accept 8, send 8"}


def test_random_bytes_do_not_depend_on_how_they_are_asked_for() -> None:
    whole, parts = RandomStream(b"seed"), RandomStream(b"seed")
    sizes = [0, 1, 5000, 4096, 7, 20_000]
    assert whole.take(sum(sizes)) == b"".join(parts.take(size) for size in sizes)


def test_random_bytes_are_pinned() -> None:
    """Workers of different versions must agree: these bytes never change."""
    assert RandomStream(b"seed").take(16).hex() == "ca609b005a9654a865c79b5f9ee4c492"


def test_time_passes_by_being_read_and_slept_through() -> None:
    clock = VirtualClock()
    assert (clock.read(), clock.read()) == (TICK_NS, 2 * TICK_NS)
    clock.sleep(1 << 64)
    assert EPOCH_NS + clock.read() < 1 << 63
