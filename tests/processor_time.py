"""How much a process computes, with all that it has started."""

from __future__ import annotations

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
#: Of /proc/PID/stat, counted from the field after the name.
_USER, _SYSTEM = 11, 12


def busy_seconds(pid: int | None = None) -> float:
    """Processor time that a process, this one by default, and its living descendants have used."""
    pid = pid or os.getpid()
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        children = [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in _children(task)]
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    own = (int(fields[_USER]) + int(fields[_SYSTEM])) / _TICKS
    return own + sum(busy_seconds(child) for child in children)


def _children(task: Path) -> list[str]:
    try:
        return (task / "children").read_text().split()
    except FileNotFoundError:
        return []
