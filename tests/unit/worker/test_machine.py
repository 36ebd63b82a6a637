"""What a machine has, read from files as the kernel writes them, and what of it is lent."""

from __future__ import annotations

import os
from pathlib import Path

import anyio
import pytest

from pyiexec.foundation.clock import SystemClock
from pyiexec.protocol import limits
from pyiexec.protocol.primitives import Address
from pyiexec.worker.disk import Disk, used_bytes
from pyiexec.worker.machine import Machine, look
from pyiexec.worker.offering import Offering, lent
from pyiexec.worker.runtimes.docker.runtime import DockerRuntime
from pyiexec.worker.runtimes.docker.settings import DockerSettings
from pyiexec.worker.runtimes.wasm import WasmRuntime
from pyiexec.worker.settings import WorkerSettings

MEBIBYTE, GIBIBYTE = 1 << 20, 1 << 30
ADDRESS = Address("0x" + "11" * 20)
MACHINE = Machine(cpus=8, memory_bytes=16 * GIBIBYTE, gpus=2)


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    return "asyncio"


def write(root: Path, name: str, text: str = "") -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def meminfo(root: Path, mebibytes: int) -> None:
    write(root, "proc/meminfo", f"MemTotal:       {mebibytes * 1024} kB\nMemFree:         100 kB\n")


def test_this_machine_has_something() -> None:
    here = look()
    assert here.cpus == len(os.sched_getaffinity(0))
    assert here.memory_bytes is not None
    assert 64 * MEBIBYTE < here.memory_bytes <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def test_a_machine_without_groups_has_all_its_memory(tmp_path: Path) -> None:
    meminfo(tmp_path, 4096)
    assert look(tmp_path, lambda: {0, 3}) == Machine(2, 4 * GIBIBYTE, 0)


def test_a_machine_that_tells_nothing_is_no_error(tmp_path: Path) -> None:
    assert look(tmp_path, lambda: {0}) == Machine(1, None, 0)


@pytest.mark.parametrize(
    ("limits_by_group", "mebibytes"),
    [
        ({"": "max", "a": "max", "a/b": "max"}, 4096),
        ({"a/b": str(GIBIBYTE)}, 1024),
        # That of a group holds for all groups in it.
        ({"a": str(GIBIBYTE), "a/b": str(2 * GIBIBYTE)}, 1024),
        # As a container shows its own group, which it takes for the uppermost.
        ({"": str(512 * MEBIBYTE)}, 512),
        ({"a/b": str(64 * GIBIBYTE)}, 4096),
        # Another's.
        ({"c": "1"}, 4096),
    ],
)
def test_the_limit_of_a_control_group_counts(tmp_path: Path, limits_by_group: dict[str, str], mebibytes: int) -> None:
    meminfo(tmp_path, 4096)
    write(tmp_path, "proc/self/cgroup", "0::/a/b\n")
    for group, limit in limits_by_group.items():
        write(tmp_path, f"sys/fs/cgroup/{group}/memory.max", limit + "\n")
    assert look(tmp_path).memory_bytes == mebibytes * MEBIBYTE


def test_so_does_one_of_the_first_version(tmp_path: Path) -> None:
    meminfo(tmp_path, 4096)
    write(tmp_path, "proc/self/cgroup", "12:cpu,cpuacct:/x\n7:memory:/a\n1:name=systemd:/y\n")
    write(tmp_path, "sys/fs/cgroup/memory/a/memory.limit_in_bytes", f"{GIBIBYTE}\n")
    write(tmp_path, "sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n")
    assert look(tmp_path).memory_bytes == GIBIBYTE


@pytest.mark.parametrize(
    ("devices", "gpus"),
    [
        ([], 0),
        (["nvidiactl", "nvidia-uvm", "nvidia-caps/nvidia-cap1", "dri/card0"], 0),
        (["nvidia0", "nvidia1", "nvidiactl"], 2),
        (["dri/card0", "dri/renderD128"], 1),
        (["nvidia0", "dri/renderD128", "dri/renderD129"], 2),
    ],
)
def test_gpus_show_as_devices(tmp_path: Path, devices: list[str], gpus: int) -> None:
    for device in devices:
        write(tmp_path, f"dev/{device}")
    assert look(tmp_path).gpus == gpus


def settings(**changes: object) -> WorkerSettings:
    required = dict.fromkeys(("rpc_url", "scheduler_url", "gateway_url"), "http://x")
    paths = {"key_file": Path("key"), "data_dir": Path("data")}
    return WorkerSettings(hub=ADDRESS, workerpool=ADDRESS, **required, **paths, **changes)  # type: ignore[arg-type]


def containers(tmp_path: Path, *, gpus: bool) -> DockerRuntime:
    return DockerRuntime(tmp_path, DockerSettings(engine="unix:///nowhere", gpus=gpus))


def test_an_owner_may_lend_less_than_there_is_and_never_more(tmp_path: Path) -> None:
    runtimes = [WasmRuntime(), containers(tmp_path, gpus=True)]
    assert lent(settings(), MACHINE, runtimes) == MACHINE
    less = settings(cpus=2, memory_bytes=GIBIBYTE, gpus=1)
    assert lent(less, MACHINE, runtimes) == Machine(2, GIBIBYTE, 1)
    more = settings(cpus=99, memory_bytes=99 * GIBIBYTE, gpus=99)
    assert lent(more, MACHINE, runtimes) == MACHINE
    assert lent(settings(gpus=0), MACHINE, runtimes).gpus == 0


def test_gpus_are_lent_where_a_runtime_hands_them_to_applications(tmp_path: Path) -> None:
    assert lent(settings(), MACHINE, [WasmRuntime(), containers(tmp_path, gpus=False)]).gpus == 0


def fill(folder: Path, name: str, mebibytes: int) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, mebibytes * MEBIBYTE)
    return path


@pytest.mark.anyio
async def test_the_disk_lent_is_the_budget_without_what_makes_no_way_for_tasks(tmp_path: Path) -> None:
    disk = Disk(tmp_path, 100 * MEBIBYTE)
    assert await disk.lent() == 100 * MEBIBYTE
    for name in ("content/x", "runtimes/wasm/y", "tasks/0x12/result"):
        fill(tmp_path, name, 4)
    assert await disk.lent() == 100 * MEBIBYTE
    log = fill(tmp_path, "worker.log", 3)
    assert await disk.lent() == 100 * MEBIBYTE - used_bytes(tmp_path, ("content", "runtimes", "tasks"))
    assert used_bytes(tmp_path, ("content", "runtimes", "tasks")) == log.stat().st_blocks * 512
    # A folder of that name further down is no such thing.
    fill(tmp_path, "else/tasks/y", 2)
    assert await disk.lent() <= 95 * MEBIBYTE


@pytest.mark.anyio
async def test_without_a_budget_it_is_what_others_leave(tmp_path: Path) -> None:
    unbounded, larger = Disk(tmp_path, None), Disk(tmp_path, 1 << 60)
    found = await unbounded.lent()
    assert found > 0
    assert await larger.lent() == pytest.approx(found, abs=64 * MEBIBYTE)


class Steps(SystemClock):
    """A clock whose sleeps end when they are told to."""

    def __init__(self) -> None:
        self.asleep, self.rung = anyio.Event(), anyio.Event()

    async def sleep(self, seconds: float) -> None:
        self.asleep.set()
        await self.rung.wait()
        self.rung = anyio.Event()

    async def step(self) -> None:
        await self.asleep.wait()
        self.asleep = anyio.Event()
        self.rung.set()
        await self.asleep.wait()


@pytest.mark.anyio
async def test_an_offer_is_said_anew_when_the_disk_has_room_for_another_number_of_tasks(tmp_path: Path) -> None:
    disk, clock, told = Disk(tmp_path, 2 * limits.DISK_BYTES + MEBIBYTE), Steps(), list[int]()
    offering = Offering(MACHINE, disk, [WasmRuntime()], lambda: 3, lambda: ["0xa", "0xb"])
    said = await offering.say()
    assert (said.slots, said.runtimes, said.cached, said.gpus) == (3, ["wasm"], ["0xa", "0xb"], 2)
    assert (said.cpus, said.memory_bytes, said.disk_bytes) == (8, 16 * GIBIBYTE, 2 * limits.DISK_BYTES + MEBIBYTE)
    async with anyio.create_task_group() as group:
        group.start_soon(offering.run, lambda: told.append(1), clock)
        await clock.step()
        assert not told
        fill(tmp_path, "other", 2)
        await clock.step()
        assert told
        group.cancel_scope.cancel()
    assert (await offering.say()).disk_bytes == 2 * limits.DISK_BYTES - MEBIBYTE
