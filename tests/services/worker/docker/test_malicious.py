"""Applications that mean harm: each is contained, and what it tried is told by a cause of its own."""

from __future__ import annotations

import asyncio
import gzip
import io
import socket
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from pyiexec.protocol.errors import IexecError
from pyiexec.worker.runtimes.base import MEBIBYTE, Image

from .conftest import LIMITS, RESULT, Bench
from .engine import DockerEngine

Run = Callable[..., Any]


@pytest.mark.parametrize(
    ("script", "cause", "told"),
    [
        pytest.param("f() { f | f & }; f; sleep 1000", "APP_TOO_MANY_PROCESSES", "32 processes", id="fork bomb"),
        pytest.param("dd if=/dev/zero of=/iexec_out/x bs=1M", "APP_OUTPUT_TOO_LARGE", "8388608", id="disk fill"),
        pytest.param(
            "i=0; while [ $i -lt 9 ]; do dd if=/dev/zero of=/iexec_out/$i bs=1M count=2 || exit 1; i=$((i+1)); done",
            "APP_OUTPUT_TOO_LARGE",
            "8388608",
            id="disk fill by several files",
        ),
        pytest.param(
            "i=0; while touch /iexec_out/$i; do i=$((i+1)); done; exit 1",
            "APP_OUTPUT_TOO_LARGE",
            "32 files",
            id="a flood of files",
        ),
        pytest.param("dd if=/dev/zero of=/dev/null bs=200M", "APP_OUT_OF_MEMORY", "72 MiB", id="memory balloon"),
        pytest.param(
            "exec 3>/tmp/a; rm /tmp/a; cat /dev/zero >&3 & cat /dev/zero > /dev/shm/b & cat /dev/zero > /tmp/c & wait;"
            "exit 1",
            "APP_OUT_OF_MEMORY",
            "72 MiB",
            id="scratch space is memory",
        ),
        pytest.param("yes", "APP_LOG_FLOOD", "stdout", id="log flood"),
        pytest.param("yes >&2", "APP_LOG_FLOOD", "stderr", id="log flood on stderr"),
        pytest.param("while :; do :; done", "APP_TIMEOUT", "2 seconds", id="endless loop"),
        pytest.param("ln -s /etc/passwd /iexec_out/result", "APP_BAD_OUTPUT", "/etc/passwd", id="symlink"),
        pytest.param("ln -s / /iexec_out/result", "APP_BAD_OUTPUT", "'result'", id="symlink to a folder"),
        pytest.param("ln -s ../../../etc /iexec_out/a", "APP_BAD_OUTPUT", "../../../etc", id="relative symlink"),
        pytest.param("mkfifo /iexec_out/result", "APP_BAD_OUTPUT", "no plain file", id="pipe"),
        pytest.param("nc -lU /iexec_out/result & sleep 1", "APP_NO_RESULT", "result", id="socket"),
        pytest.param(
            "truncate -s 1000000000000 /iexec_out/result",
            "APP_OUTPUT_TOO_LARGE",
            "more than 8388608",
            id="sparse terabyte",
        ),
        pytest.param(
            "for n in 1 2 3 4 5; do truncate -s 7000000 /iexec_out/$n; done",
            "APP_OUTPUT_TOO_LARGE",
            "more than 8388608",
            id="sparse files",
        ),
    ],
)
def test_it_is_contained_and_told(bench: Bench, run: Run, script: str, cause: str, told: str) -> None:
    limits = type(LIMITS)(
        seconds=2 if cause == "APP_TIMEOUT" else 30,
        fuel=1,
        memory_bytes=64 * MEBIBYTE,
        output_bytes=8 * MEBIBYTE,
        log_bytes=64 * 1024,
        files=32,
    )
    outcome = asyncio.run(run(script + RESULT, limits=limits, settings={"processes": 32}))
    assert outcome.cause == cause, outcome
    assert told in outcome.message
    assert len(outcome.stdout) <= limits.log_bytes + 100
    assert not bench.outputs.exists()


def test_an_archive_that_would_unpack_to_much_is_just_a_file(bench: Bench, run: Run) -> None:
    bomb = gzip.compress(bytes(64 * MEBIBYTE))
    (bench.inputs / "bomb.gz").write_bytes(bomb)
    assert asyncio.run(run("cp /iexec_in/bomb.gz /iexec_out/result" + RESULT)).cause is None
    assert (bench.outputs / "result").read_bytes() == bomb


def test_a_layer_that_unpacks_to_more_than_an_image_may_have_stops_the_transfer(
    bench: Bench, engine: DockerEngine
) -> None:
    buffer = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=1) as packed,
        tarfile.open(fileobj=packed, mode="w|") as tar,
    ):
        member = tarfile.TarInfo("bomb")
        member.size = 256 * MEBIBYTE
        tar.addfile(member, _Zeros(member.size))
    bomb = engine.registry.image("bomb", [buffer.getvalue()], {"Cmd": ["/bomb"]})
    before, size = engine.images(), size_of(engine.folder / "data")

    async def fetch() -> None:
        runtime = bench.runtime(max_image_bytes=8 * MEBIBYTE)
        try:
            await runtime.open()
            with pytest.raises(IexecError, match="more than the") as refused:
                await runtime.prepare(bomb)
            assert refused.value.code == "CONTENT_TOO_LARGE"
        finally:
            await runtime.close()

    asyncio.run(fetch())
    assert engine.images() == before
    # The engine clears away what it had unpacked after it has let go of the transfer.
    deadline = time.monotonic() + 30
    while size_of(engine.folder / "data") - size > 4 * MEBIBYTE:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def size_of(folder: Path) -> int:
    """Bytes that a folder takes on the disk."""
    # Files may go while it looks, which it says and counts on.
    told = subprocess.run(["du", "--summarize", "--block-size=1", folder], capture_output=True, text=True, check=False)
    return int(told.stdout.split()[0])


class _Zeros(io.RawIOBase):
    def __init__(self, size: int) -> None:
        self._left = size

    def read(self, size: int = -1, /) -> bytes:
        size = min(self._left, 1 << 20 if size < 0 else size)
        self._left -= size
        return bytes(size)


@contextmanager
def listening() -> Iterator[tuple[int, threading.Event]]:
    """A server on every interface of the worker's machine, and whether anybody has called."""
    called = threading.Event()
    with socket.create_server(("0.0.0.0", 0)) as server:

        def answer() -> None:
            try:
                server.accept()
            except OSError:
                return  # closed
            called.set()

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield server.getsockname()[1], called
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def test_there_is_no_network_no_metadata_and_no_host(bench: Bench, run: Run) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # nothing is sent
            host = probe.getsockname()[0]
        except OSError:
            host = "127.0.0.1"
    with listening() as (port, called):
        addresses = ["169.254.169.254 80", f"127.0.0.1 {port}", f"{host} {port}", f"172.17.0.1 {port}", "192.0.2.1 80"]
        tries = "; ".join(f"echo | nc -w 2 {address} && echo ANSWERED {address}" for address in addresses)
        script = f"({tries}; nslookup metadata.example 127.0.0.11 && echo ANSWERED; ip route) > /iexec_out/result 2>&1"
        outcome = asyncio.run(run(script + RESULT))
        assert outcome.cause is None, outcome
        assert "ANSWERED" not in bench.result()
        assert not called.is_set()


def test_a_process_left_behind_ends_with_the_application(bench: Bench, engine: DockerEngine, run: Run) -> None:
    marker = "86399"
    outcome = asyncio.run(run(f"setsid sleep {marker} & echo done > /iexec_out/result" + RESULT))
    assert outcome.cause is None, outcome
    running = [path.read_bytes() for path in _command_lines()]
    assert not [line for line in running if marker.encode() in line.split(b"\0")]


def _command_lines() -> Iterator[Path]:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        if path.exists():
            yield path


def test_volumes_of_an_image_are_scratch_space_too(bench: Bench, engine: DockerEngine) -> None:
    image: Image = engine.registry.shell("volumes", Volumes={"/data": {}, "/var/lib/other/../data": {}})
    fill = "; ".join(f"dd if=/dev/zero of={folder}/x bs=1M" for folder in ("/data", "/var/lib/data"))
    script = f"grep -c ' /data tmpfs' /proc/mounts; {fill}"
    before = engine.docker("system", "df", "--format", "{{.Size}}").stdout
    outcome = asyncio.run(bench.run(image, script, settings={"scratch_bytes": MEBIBYTE}))
    assert outcome.stdout == b"1\n"
    assert outcome.stderr.count(b"No space left on device") == 2
    assert outcome.exit_code == 1
    assert engine.docker("system", "df", "--format", "{{.Size}}").stdout.splitlines()[1:] == before.splitlines()[1:]


def test_nothing_of_an_image_is_executed_but_its_command(bench: Bench, engine: DockerEngine) -> None:
    now_and_then = {"Interval": 10_000_000, "Test": ["CMD-SHELL", "touch /iexec_out/health"]}
    image: Image = engine.registry.shell("healthy", Healthcheck=now_and_then, StopSignal="SIGWINCH")
    outcome = asyncio.run(bench.run(image, "sleep 1; ls /iexec_out > /iexec_out/result" + RESULT))
    assert outcome.cause is None, outcome
    assert bench.result() == "result\n"


def test_an_application_without_end_of_folders_is_refused(bench: Bench, run: Run) -> None:
    outcome = asyncio.run(run("cd /iexec_out; while mkdir d; do cd d || exit 1; done; exit 1"))
    assert outcome.cause == "APP_OUTPUT_TOO_LARGE"
