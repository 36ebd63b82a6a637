"""The doctor finds a worker that lacks nothing well, and tells each thing that one lacks."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import anyio
import anyio.from_thread
import anyio.to_thread
import pytest
from msgspec.structs import replace

from pyiexec.chain.signer import Signer
from pyiexec.foundation.clock import SystemClock
from pyiexec.foundation.settings import save_settings
from pyiexec.worker.doctor import Finding, examine
from pyiexec.worker.sensors import LinuxSensors
from pyiexec.worker.settings import WorkerSettings

from .conftest import StartWorker
from .network import Network
from .scripted import ScriptedScheduler

pytestmark = pytest.mark.anyio


class SkewedClock(SystemClock):
    """A clock that somebody set wrong."""

    def now(self) -> float:
        return super().now() - 3600


async def findings(settings: WorkerSettings, clock: SystemClock | None = None) -> dict[str, Finding]:
    settings.key_file.chmod(0o600)
    return {found.name: found async for found in examine(settings, LinuxSensors(), clock or SystemClock())}


async def test_a_worker_that_lacks_nothing_is_well_running_or_not(
    network: Network,
    scheduler: ScriptedScheduler,
    settings_of: Callable[..., WorkerSettings],
    start_worker: StartWorker,
) -> None:
    found = await findings(settings_of(0))
    assert [finding for finding in found.values() if not finding.good] == []
    assert found["running"].what.startswith("no worker runs")
    assert network.workers[0].address in found["key"].what
    assert network.workerpool in found["workerpool"].what
    async with start_worker(0) as settings:
        logins = len(scheduler.logins)
        found = await findings(settings)
        assert [finding for finding in found.values() if not finding.good] == []
        assert "connected" in found["running"].what
        # Examining it takes nobody's place.
        assert len(scheduler.logins) == logins


async def test_a_poor_worker_of_another_pool_is_told_what_it_lacks(
    network: Network, scheduler: ScriptedScheduler, settings_of: Callable[..., WorkerSettings]
) -> None:
    settings = settings_of(0)
    settings.key_file.write_text("0x" + Signer.from_key(b"\x07" * 32).secret.hex())
    elsewhere = replace(settings, workerpool=network.hub.address, slots=1024)
    found = await findings(elsewhere)
    lacking = {name for name, finding in found.items() if not finding.good}
    assert {"workerpool", "gas", "stake", "scheduler"} <= lacking <= {"workerpool", "gas", "stake", "scheduler", "disk"}
    assert network.workerpool in found["scheduler"].what
    assert all(found[name].remedy for name in lacking)


async def test_a_container_engine_that_is_not_there_is_noticed(
    network: Network, scheduler: ScriptedScheduler, settings_of: Callable[..., WorkerSettings], tmp_path: Path
) -> None:
    absent = {"docker": {"engine": f"unix://{tmp_path}/nowhere.sock"}}
    found = (await findings(settings_of(0, runtimes=absent)))["runtimes"]
    assert not found.good
    assert "nowhere.sock" in found.what
    assert found.remedy


async def test_a_clock_that_is_wrong_is_noticed_where_the_scheduler_tells_the_time(
    network: Network, settings_of: Callable[..., WorkerSettings]
) -> None:
    # The content store is a service of ours like any other: it tells the time.
    settings = settings_of(0, scheduler_url=network.gateway)
    found = await findings(settings, SkewedClock())
    assert not found["clock"].good
    assert "behind" in found["clock"].what
    assert (await findings(settings))["clock"].good


async def test_the_dashboard_shows_the_worker_until_it_ends(
    network: Network, scheduler: ScriptedScheduler, settings_of: Callable[..., WorkerSettings]
) -> None:
    settings = settings_of(0)
    config = settings.data_dir.with_suffix(".json")
    save_settings(settings, config)
    terminal, side = pty.openpty()
    shown = bytearray()
    works = anyio.Event()

    def read() -> None:
        # The last writer's end is told by an error.
        with suppress(OSError):
            while piece := os.read(terminal, 4096):
                shown.extend(piece)
                if b"takes tasks" in shown:
                    anyio.from_thread.run_sync(works.set)

    command = [sys.executable, "-m", "pyiexec", "worker", "start", "--dashboard", "--config", str(config)]
    environment = {**os.environ, "COLUMNS": "120", "TERM": "xterm"}
    async with anyio.create_task_group() as group:
        process = await anyio.open_process(command, stdin=subprocess.DEVNULL, stdout=side, stderr=side, env=environment)
        os.close(side)
        group.start_soon(anyio.to_thread.run_sync, read)
        try:
            with anyio.fail_after(30):
                await works.wait()
        finally:
            process.terminate()
            with anyio.fail_after(20, shield=True):
                ended = await process.wait()
    os.close(terminal)
    assert ended == 0, shown.decode()
    assert network.workers[0].address.encode() in shown
    assert (settings.data_dir / "worker.log").is_file()
