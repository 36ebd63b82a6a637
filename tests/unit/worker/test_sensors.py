"""What the machine's files tell, on trees of files as kernels write them, and on the machine itself."""

from __future__ import annotations

import os
import time
from datetime import UTC
from pathlib import Path

import pytest

from pyiexec.worker.sensors import LinuxSensors

_INTERRUPTS = """           CPU0       CPU1
  1:      {keys}         10  IR-IO-APIC    1-edge      i8042
  9:        400          0  IR-IO-APIC    9-fasteoi   acpi
 24:    {disk}          3  IR-PCI-MSI 1048576-edge      nvme0q0
"""


class Machine:
    """The files of a machine."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def write(self, name: str, content: str) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    def ticks(self, *, user: int, idle: int, steal: int = 0, own: int = 0) -> None:
        self.write("proc/stat", f"cpu  {user} 0 0 {idle} 0 0 0 {steal} 0 0\ncpu0 1 2 3 4\nintr 5\n")
        self.write("proc/self/stat", f"77 (a (bad) name) S 1 1 1 0 -1 0 0 0 0 0 {own} 0 0 0 20 0 1 0 100\n")

    def interrupts(self, keys: int, disk: int = 5) -> None:
        self.write("proc/interrupts", _INTERRUPTS.format(keys=keys, disk=disk))

    def supply(self, name: str, **files: str) -> None:
        for file, content in files.items():
            self.write(f"sys/class/power_supply/{name}/{file}", content + "\n")


def test_the_processor_time_of_others_is_what_is_not_our_own(tmp_path: Path) -> None:
    machine, sensors = Machine(tmp_path), LinuxSensors(tmp_path, UTC)
    machine.ticks(user=1000, idle=1000, own=100)
    assert sensors.observe(0).other_cpu is None
    machine.ticks(user=1100, idle=1100, own=150)
    assert sensors.observe(5).other_cpu == 0.25
    # Nothing new was counted: what was known stands.
    assert sensors.observe(5).other_cpu == 0.25
    machine.ticks(user=1200, idle=1100, own=250)
    assert sensors.observe(10).other_cpu == 0.0
    machine.ticks(user=1200, idle=1100, steal=100, own=250)
    assert sensors.observe(15).other_cpu == 0.0


def test_what_the_worker_has_started_is_its_own_wherever_it_runs(tmp_path: Path) -> None:
    machine, sensors = Machine(tmp_path), LinuxSensors(tmp_path, UTC)
    second = os.sysconf("SC_CLK_TCK")

    def others(user: int, child: int, grandchild: int, stranger: int, elsewhere: float | None = 0.0) -> float | None:
        machine.ticks(user=user, idle=2 * user)
        for pid, parent, ticks in ((78, 77, child), (79, 78, grandchild), (80, 1, stranger)):
            machine.write(f"proc/{pid}/stat", f"{pid} (x) S {parent} 1 1 0 -1 0 0 0 0 0 {ticks} 0 0 0 20 0 1 0 100\n")
        return sensors.observe(0, elsewhere).other_cpu

    assert others(0, 0, 0, 0) is None
    assert others(100, 40, 60, 0) == 0.0
    assert others(200, 40, 60, 100) == pytest.approx(1 / 3)
    assert others(300, 40, 60, 100, elsewhere=100 / second) == pytest.approx(0.0)
    # Something ended, and nobody knows how much it had used: what was known stands, and nothing is made of it later.
    assert others(900, 40, 60, 100, elsewhere=None) == pytest.approx(0.0)
    assert others(900, 40, 60, 100, elsewhere=0.0) == pytest.approx(0.0)
    assert others(1000, 40, 60, 200, elsewhere=0.0) == pytest.approx(1 / 3)


def test_a_keystroke_is_told_from_other_interrupts(tmp_path: Path) -> None:
    machine, sensors = Machine(tmp_path), LinuxSensors(tmp_path, UTC)
    machine.interrupts(keys=100)
    # Nobody knows how long ago the last one was.
    assert sensors.observe(1000).input_idle == 0
    machine.interrupts(keys=100, disk=9000)
    assert sensors.observe(1060).input_idle == 60
    machine.interrupts(keys=101)
    assert sensors.observe(1070).input_idle == 0


def test_typing_in_a_terminal_counts_from_when_it_was_read(tmp_path: Path) -> None:
    machine, sensors = Machine(tmp_path), LinuxSensors(tmp_path, UTC)
    for name, typed_at in (("dev/pts/3", 900), ("dev/tty1", 950), ("dev/tty", 999), ("dev/pts/ptmx", 999)):
        machine.write(name, "")
        os.utime(tmp_path / name, (typed_at, 1_000_000))
    assert sensors.observe(1000).input_idle == 50


def test_a_machine_runs_on_battery_when_it_discharges_and_has_no_mains(tmp_path: Path) -> None:
    machine, sensors = Machine(tmp_path), LinuxSensors(tmp_path, UTC)
    machine.supply("AC", type="Mains", online="1")
    machine.supply("BAT0", type="Battery", status="Charging")
    machine.supply("mouse", type="Battery", scope="Device", status="Discharging")
    assert sensors.observe(0).on_battery is False
    machine.supply("AC", type="Mains", online="0")
    machine.supply("BAT0", type="Battery", status="Discharging")
    assert sensors.observe(0).on_battery is True
    machine.supply("usb", type="USB", online="1")
    assert sensors.observe(0).on_battery is False


def test_a_machine_that_tells_nothing_is_no_error(tmp_path: Path) -> None:
    seen = LinuxSensors(tmp_path, UTC).observe(0)
    assert (seen.other_cpu, seen.input_idle, seen.on_battery) == (None, None, None)
    assert seen.local.year == 1970


def test_on_this_machine_our_own_work_is_not_that_of_others() -> None:
    sensors = LinuxSensors()
    sensors.observe(time.time())
    ends = time.monotonic() + 0.5
    own, wall = time.process_time(), time.monotonic()
    while time.monotonic() < ends:
        sum(range(1000))
    share_of_ours = (time.process_time() - own) / (time.monotonic() - wall) / (os.cpu_count() or 1)
    seen = sensors.observe(time.time())
    assert seen.other_cpu is not None
    # Ours and theirs together are at most the whole machine, give or take the kernel's ticks.
    assert 0 <= seen.other_cpu <= 1 - share_of_ours + 0.1
