"""What this machine has: processors, memory, GPUs.

Source: sched_getaffinity(2); proc(5) for `meminfo` and `[pid]/cgroup`; the kernel's documents on control groups, of
version 2 (`memory.max`) and 1 (`memory.limit_in_bytes`). A GPU shows as a device of NVIDIA's driver, ``/dev/nvidia0``,
or as a render node of the kernel, ``/dev/dri/renderD128``.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import NamedTuple

_TOTAL = re.compile(r"^MemTotal:\s+(\d+) kB$", re.MULTILINE)
_NVIDIA, _RENDER_NODE = re.compile(r"nvidia\d+"), re.compile(r"renderD\d+")


class Machine(NamedTuple):
    """What there is for all programs together.

    Attributes:
        cpus: processors that this process may run on.
        memory_bytes: of the machine, or of the control group that this process is in; None when neither is told.
        gpus: devices found, whether or not they can be used.
    """

    cpus: int
    memory_bytes: int | None
    gpus: int


def _own_processors() -> Collection[int]:
    return os.sched_getaffinity(0)


def look(root: Path = Path("/"), processors: Callable[[], Collection[int]] = _own_processors) -> Machine:
    """What is found; blocks for as long as files take.

    Args:
        root: where `proc`, `sys` and `dev` are.
        processors: those that this process may run on.
    """
    return Machine(len(processors()), _memory(root), _gpus(root / "dev"))


def _memory(root: Path) -> int | None:
    limits = [*_group_limits(root)]
    total = _TOTAL.search(_read(root / "proc/meminfo"))
    if total:
        limits.append(int(total[1]) * 1024)
    return min(limits, default=None)


def _group_limits(root: Path) -> Iterator[int]:
    """Limits of memory of the control groups that this process is in, and of those around them."""
    for line in _read(root / "proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if number == "0":
            top, name = root / "sys/fs/cgroup", "memory.max"
        elif "memory" in controllers.split(","):
            top, name = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
        else:
            continue
        group = Path(path.lstrip("/"))
        for place in (group, *group.parents):
            limit = _read(top / place / name).strip()
            # A group without one says `max`.
            if limit.isdecimal():
                yield int(limit)


def _gpus(devices: Path) -> int:
    # A card of NVIDIA's may show as both.
    return max(_count(devices, _NVIDIA), _count(devices / "dri", _RENDER_NODE))


def _count(folder: Path, name: re.Pattern[str]) -> int:
    try:
        return sum(name.fullmatch(found) is not None for found in os.listdir(folder))
    except OSError:
        return 0


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
