"""What a Linux machine tells of its owner: how busy it is with other things, when it was last used, what feeds it.

Everything is read from files that any user may read, below a root that tests can choose.

Source: proc(5) for `stat`, `interrupts` and `[pid]/stat`; the kernel's ABI of ``/sys/class/power_supply``. A terminal's
access time is when somebody last typed there, as `w` shows it.
"""

from __future__ import annotations

import os
import re
from datetime import datetime, tzinfo
from pathlib import Path
from typing import NamedTuple, Protocol

from pyiexec.worker.presence import Observation

#: Interrupts that come from keyboards, mice and touch pads that are not on a bus shared with other devices.
_INPUT_INTERRUPT = re.compile(r"i8042|keyboard|mouse|touchpad|trackpad|\bhid\b|i2c_hid|ELAN|SYNA", re.IGNORECASE)
_TERMINAL = re.compile(r"tty\d+|pts/\d+")
#: Columns of the line `cpu` in which nothing is computed here: idle, iowait, and what other machines of the host took.
#: Guests' time is among user's already.
_IDLE_COLUMNS, _COLUMNS = (3, 4, 7), 8
#: Fields of `[pid]/stat` after the program's name: time in user and kernel mode, and that of children waited for.
_OWN_TIMES = slice(11, 15)
_PARENT = 1
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Sensors(Protocol):
    """Where observations come from."""

    def observe(self, now: float, elsewhere: float | None = 0.0) -> Observation:
        """What is seen at `now`, seconds since the Unix epoch; blocks for as long as files take.

        Args:
            elsewhere: processor time, seconds, that what this worker runs has used so far outside of its process and
                those it started; None where that is not known since the last time.
        """
        ...


class _Ticks(NamedTuple):
    """Processor time so far, in the kernel's ticks."""

    total: int
    busy: int
    own: float


class LinuxSensors:
    """The sensors of this machine.

    Args:
        root: where `proc`, `sys` and `dev` are.
        zone: of the owner's calendar; the machine's when None.
    """

    def __init__(self, root: Path = Path("/"), zone: tzinfo | None = None) -> None:
        self._root = root
        self._zone = zone
        self._ticks: _Ticks | None = None
        self._share: float | None = None
        self._interrupts: int | None = None
        self._interrupted_at: float | None = None

    def observe(self, now: float, elsewhere: float | None = 0.0) -> Observation:
        """What is seen at `now`; how busy the machine is shows from the second time on."""
        return Observation(
            local=datetime.fromtimestamp(now, self._zone),
            other_cpu=self._other_cpu(elsewhere),
            input_idle=self._input_idle(now),
            on_battery=self._on_battery(),
        )

    def _other_cpu(self, elsewhere: float | None) -> float | None:
        before, self._ticks = self._ticks, self._read_ticks(elsewhere)
        if before is None or self._ticks is None:
            return self._share
        total = self._ticks.total - before.total
        if total > 0:
            others = (self._ticks.busy - before.busy) - (self._ticks.own - before.own)
            # The counters are read one after the other, so that a difference may be a tick off.
            self._share = min(max(others / total, 0.0), 1.0)
        return self._share

    def _read_ticks(self, elsewhere: float | None) -> _Ticks | None:
        if elsewhere is None:
            return None
        try:
            summary = (self._root / "proc/stat").read_text().partition("\n")[0].split()
            own = self._own_ticks()
        except OSError:
            return None
        columns = [int(text) for text in summary[1 : 1 + _COLUMNS]]
        idle = sum(columns[place] for place in _IDLE_COLUMNS)
        return _Ticks(sum(columns), sum(columns) - idle, own + elsewhere * _TICKS_PER_SECOND)

    def _own_ticks(self) -> int:
        """What this process and all that it has started have used."""
        pid, _, used = _times((self._root / "proc/self/stat").read_text())
        started: dict[int, list[tuple[int, int]]] = {}
        for path in (self._root / "proc").glob("[0-9]*/stat"):
            try:
                child, parent, ticks = _times(path.read_text())
            except (FileNotFoundError, ProcessLookupError):
                # Ended meanwhile, and counted by its parent from then on.
                continue
            started.setdefault(parent, []).append((child, ticks))
        family = started.get(pid, [])
        while family:
            child, ticks = family.pop()
            used += ticks
            family += started.get(child, [])
        return used

    def _input_idle(self, now: float) -> float | None:
        moments = [moment for moment in (self._last_interrupt(now), self._last_typed()) if moment is not None]
        return max(now - max(moments), 0.0) if moments else None

    def _last_interrupt(self, now: float) -> float | None:
        """When an input device was last seen to interrupt; since the first look, when none has."""
        try:
            lines = (self._root / "proc/interrupts").read_text().splitlines()
        except OSError:
            return None
        of_input = [line.split() for line in lines if _INPUT_INTERRUPT.search(line)]
        if not of_input:
            return None
        count = sum(int(text) for fields in of_input for text in fields[1:] if text.isdecimal())
        if count != self._interrupts:
            # The first look tells nothing: until the next change the machine counts as used just now.
            self._interrupts, self._interrupted_at = count, now
        return self._interrupted_at

    def _last_typed(self) -> float | None:
        folder = self._root / "dev"
        moments = []
        for path in [*folder.glob("tty*"), *folder.glob("pts/*")]:
            if _TERMINAL.fullmatch(path.relative_to(folder).as_posix()):
                try:
                    moments.append(path.stat().st_atime)
                except FileNotFoundError:
                    # Closed meanwhile.
                    continue
        return max(moments, default=None)

    def _on_battery(self) -> bool | None:
        folder = self._root / "sys/class/power_supply"
        if not folder.is_dir():
            return None
        mains = discharging = False
        for supply in folder.iterdir():
            kind, scope = _word(supply / "type"), _word(supply / "scope")
            if kind in ("Mains", "USB") and (online := _word(supply / "online")):
                mains = mains or online != "0"
            # A mouse has a battery too.
            elif kind == "Battery" and scope != "Device":
                discharging = discharging or _word(supply / "status") == "Discharging"
        return discharging and not mains


def _times(stat: str) -> tuple[int, int, int]:
    """Number of a process, that of its parent, and its ticks, by the content of its `stat`."""
    # A program's name may hold blanks and parentheses.
    begin, _, rest = stat.rpartition(")")
    fields = rest.split()
    return int(begin.split()[0]), int(fields[_PARENT]), sum(int(text) for text in fields[_OWN_TIMES])


def _word(path: Path) -> str:
    """The content of a small file, empty where there is none."""
    try:
        return path.read_text().strip()
    except OSError:
        return ""
