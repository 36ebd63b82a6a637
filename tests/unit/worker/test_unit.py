"""The systemd unit says what systemd understands, and shuts the worker in."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from pyiexec.worker.unit import systemd_unit

COMMAND = ["/usr/bin/env", "worker", "start", "--config", "/srv/worker one/worker.toml"]


def lines(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line and not line.startswith("#"))


def unit(data: str = "/srv/worker one/data", *reads: str) -> str:
    return systemd_unit(command=COMMAND, data_dir=Path(data), reads=[Path(path) for path in reads], user="root")


def test_words_with_blanks_and_specifiers_reach_the_program_as_they_are() -> None:
    text = systemd_unit(command=["/bin/p", 'a "b" $c %d'], data_dir=Path("/srv/50%"), reads=[], user="worker")
    assert lines(text)["ExecStart"] == '/bin/p "a \\"b\\" $$c %%d"'
    assert lines(text)["ReadWritePaths"] == "/srv/50%%"
    assert lines(text)["User"] == "worker"


def test_homes_are_hidden_unless_the_worker_needs_something_of_one() -> None:
    assert lines(unit())["ProtectHome"] == "tmpfs"
    assert lines(unit("/home/ada/worker"))["ProtectHome"] == "read-only"
    assert lines(unit("/srv/worker", "/home/ada/key"))["ProtectHome"] == "read-only"


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd on this machine")
def test_systemd_finds_no_fault_with_it(tmp_path: Path) -> None:
    file = tmp_path / "worker.service"
    file.write_text(unit())
    checked = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(file)], capture_output=True, text=True, timeout=60, check=False
    )
    # What is wrong with other units of the machine is not our business.
    assert not [line for line in checked.stderr.splitlines() if file.name in line], checked.stderr


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd on this machine")
def test_systemd_counts_it_among_the_services_that_are_shut_in(tmp_path: Path) -> None:
    file = tmp_path / "worker.service"
    file.write_text(unit().replace("User=root", "User=nobody"))
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=30", str(file)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    # From 0, which is safe, to 100.
    assert judged.returncode == 0, judged.stdout + judged.stderr
