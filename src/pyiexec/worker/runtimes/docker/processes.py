"""Whether an application was refused a process: the kernel counts that, in the container's control group.

The engine does not pass the count on. It runs on the worker's machine, so that the worker reads it where the kernel
shows it, and asks the engine how many processes there are where it does not.

Source: Linux, cgroup v1 and v2, ``pids.events``.
"""

from __future__ import annotations

from pathlib import Path

_CGROUPS = Path("/sys/fs/cgroup")
_CONTROLLER = "pids"


def refusals_file(process: int, cgroups: Path = _CGROUPS, processes: Path = Path("/proc")) -> Path | None:
    """The file in which the kernel counts what the control group of a process was refused; None if it is not seen."""
    try:
        groups = (processes / str(process) / "cgroup").read_text()
    except OSError:
        return None
    for line in groups.splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "" or _CONTROLLER in controllers.split(","):
            hierarchy = cgroups / controllers if controllers else cgroups
            file = hierarchy / path.lstrip("/") / "pids.events"
            if file.exists():
                return file
    return None


def refusals(file: Path) -> int:
    """How often a process was refused; 0 once the control group has gone."""
    try:
        counts = dict(line.split() for line in file.read_text().splitlines())
    except OSError:
        return 0
    return int(counts.get("max", 0))
