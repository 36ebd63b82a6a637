"""When a machine may work for others: a pure function of what its owner allows, of what is seen of it, and of time.

An obstacle counts at once, its absence only after a while without any: an owner who pauses to read a page is not gone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from pyiexec.protocol.errors import IexecError

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS = re.compile(r"(?P<days>[a-z,\-]+) (?P<from>\d\d:\d\d)-(?P<to>\d\d:\d\d)")
_DAY_MINUTES = 24 * 60


class Mode(StrEnum):
    """What the worker does.

    RUN: takes tasks and runs them. FINISH: ends what it runs, and takes nothing new. PAUSE: what it runs stands still.
    What is due for a vote that was cast is done in every mode: a stake depends on it.
    """

    RUN = "run"
    FINISH = "finish"
    PAUSE = "pause"


class Obstacle(StrEnum):
    """Why the machine is not to work."""

    OUTSIDE_HOURS = "OUTSIDE_HOURS"
    ON_BATTERY = "ON_BATTERY"
    INPUT_ACTIVE = "INPUT_ACTIVE"
    PROCESSOR_BUSY = "PROCESSOR_BUSY"


#: What to tell people of each.
EXPLANATIONS = {
    Obstacle.OUTSIDE_HOURS: "it is outside of the hours it may work in",
    Obstacle.ON_BATTERY: "the machine runs on battery",
    Obstacle.INPUT_ACTIVE: "somebody uses the machine",
    Obstacle.PROCESSOR_BUSY: "other programs use the processor",
}


@dataclass(frozen=True, slots=True)
class Hours:
    """A span of a week's days, in the machine's own time; one that ends before it begins goes on past midnight."""

    days: frozenset[int]
    begin: int
    end: int

    def covers(self, moment: datetime) -> bool:
        """Whether `moment` lies in it."""
        day, minute = moment.weekday(), moment.hour * 60 + moment.minute
        if self.begin < self.end:
            return day in self.days and self.begin <= minute < self.end
        # After midnight it still belongs to the day on which it began.
        return (day in self.days and minute >= self.begin) or ((day - 1) % 7 in self.days and minute < self.end)


def parse_hours(text: str) -> Hours:
    """Hours such as ``mon-fri 19:00-07:00`` or ``sat,sun 00:00-24:00``.

    Raises:
        IexecError: ``BAD_SETTINGS``.
    """
    match = _HOURS.fullmatch(text.strip().lower())
    if match is not None:
        days: set[int] = set()
        for part in match["days"].split(","):
            first, _, last = part.partition("-")
            if first not in _DAYS or (last or first) not in _DAYS or part.endswith("-"):
                break
            span = (_DAYS.index(last or first) - _DAYS.index(first)) % 7
            days |= {(_DAYS.index(first) + step) % 7 for step in range(span + 1)}
        else:
            begin, end = _minutes(match["from"]), _minutes(match["to"])
            if begin is not None and end is not None and begin < _DAY_MINUTES and begin != end:
                return Hours(frozenset(days), begin, end)
    raise IexecError("BAD_SETTINGS", f"hours: {text[:60]!r} is not like 'mon-fri 19:00-07:00' or 'sat,sun 00:00-24:00'")


def _minutes(text: str) -> int | None:
    hours, minutes = int(text[:2]), int(text[3:])
    total = hours * 60 + minutes
    return total if minutes < 60 and total <= _DAY_MINUTES else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What the owner allows.

    Attributes:
        max_other_cpu: share of all processors that other programs may use, from 0 to 1; 1 for any.
        input_idle_seconds: how long nobody may have used the machine; 0 for not looking.
        hours: when it may work; always if empty.
        on_battery: whether it may work without mains.
        calm_seconds: for how long there must have been no obstacle before work goes on.
        finishes: tasks that run when an obstacle comes are ended, not paused.
    """

    max_other_cpu: float = 1.0
    input_idle_seconds: float = 0.0
    hours: tuple[Hours, ...] = ()
    on_battery: bool = True
    calm_seconds: float = 30.0
    finishes: bool = False

    @property
    def is_always(self) -> bool:
        """Whether there is no obstacle at all."""
        return self.max_other_cpu >= 1 and not self.input_idle_seconds and not self.hours and self.on_battery


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What is seen of the machine; None for what cannot be seen (yet).

    Attributes:
        local: the machine's own time.
        other_cpu: share of all processors that other programs used of late, from 0 to 1.
        input_idle: seconds since somebody used a keyboard, a mouse or a terminal.
        on_battery: whether a battery is what it runs on.
    """

    local: datetime
    other_cpu: float | None = None
    input_idle: float | None = None
    on_battery: bool | None = None


@dataclass(frozen=True, slots=True)
class Presence:
    """What follows from all that was seen.

    Attributes:
        obstacles: the last ones met, until work goes on.
        since: when the mode was entered, seconds of a clock that never goes back.
        calm_since: when the last obstacle went, while it is not trusted yet.
    """

    mode: Mode
    obstacles: tuple[Obstacle, ...] = ()
    since: float = 0.0
    calm_since: float | None = None

    def explain(self) -> str:
        """Why no task is taken, in words; empty when they are."""
        return " and ".join(EXPLANATIONS[obstacle] for obstacle in self.obstacles)


def obstacles(policy: Policy, seen: Observation) -> tuple[Obstacle, ...]:
    """What keeps the machine from working now. What cannot be seen is no obstacle."""
    found: list[Obstacle] = []
    if policy.hours and not any(hours.covers(seen.local) for hours in policy.hours):
        found.append(Obstacle.OUTSIDE_HOURS)
    if not policy.on_battery and seen.on_battery:
        found.append(Obstacle.ON_BATTERY)
    if policy.input_idle_seconds and seen.input_idle is not None and seen.input_idle < policy.input_idle_seconds:
        found.append(Obstacle.INPUT_ACTIVE)
    if policy.max_other_cpu < 1 and seen.other_cpu is not None and seen.other_cpu > policy.max_other_cpu:
        found.append(Obstacle.PROCESSOR_BUSY)
    return tuple(found)


def observe(before: Presence | None, policy: Policy, seen: Observation, now: float) -> Presence:
    """What follows from an observation at `now`, seconds of a clock that never goes back.

    Args:
        before: None for the first observation, which is believed as it is.
    """
    found = obstacles(policy, seen)
    if found:
        mode = Mode.FINISH if policy.finishes else Mode.PAUSE
        return Presence(mode, found, before.since if before and before.mode is mode else now)
    if before is None:
        return Presence(Mode.RUN, since=now)
    if before.mode is Mode.RUN:
        return before
    calm_since = now if before.calm_since is None else before.calm_since
    if now - calm_since >= policy.calm_seconds:
        return Presence(Mode.RUN, since=now)
    return Presence(before.mode, before.obstacles, before.since, calm_since)


def is_to_be_given_back(*, paused_for: float, longest_pause: float, time_left: float, may_take: float) -> bool:
    """Whether a task that stands still goes back to its scheduler.

    Args:
        paused_for: seconds for which it has stood still.
        longest_pause: seconds for which a task may stand still.
        time_left: seconds until votes on the task are no longer taken.
        may_take: seconds which the application may still run.
    """
    return paused_for >= longest_pause or time_left < may_take
