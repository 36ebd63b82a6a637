"""When a task will be begun and done, estimated from what waits before it, pure.

Slots are given to the waiting tasks in the order of matching: the requester who occupies the fewest slots goes first,
and of one requester's tasks the one with the earliest deadline. Each takes as long as tasks of its app and category
did before. Nothing is promised: workers come and go, and so do more urgent tasks.

Times are seconds, moments chain time.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

import msgspec

from pyiexec.protocol.primitives import Address, TaskId

#: App (by its checksum) and time of the category, seconds: what tasks have in common that should take as long.
WorkKey: TypeAlias = tuple[str, int]

#: An observation weighs at least one part in so many: what tasks took long ago is forgotten.
MEMORY = 16
#: Standard deviations that an estimate leaves to either side.
DEVIATIONS = 2.0


class Waiting(NamedTuple):
    """A task that waits for `workers` workers."""

    task_id: TaskId
    requester: Address
    deadline: int
    key: WorkKey
    workers: int


class Running(NamedTuple):
    """A slot that was given a task at `since`."""

    key: WorkKey
    since: int


class Span(NamedTuple):
    """How long something takes: probably `mean`, seldom less than `low` or more than `high`."""

    low: float
    mean: float
    high: float


class Figure(msgspec.Struct, frozen=True):
    """What was observed of a quantity: how often, its running mean and variance."""

    count: int = 0
    mean: float = 0.0
    variance: float = 0.0

    def observe(self, value: float) -> Figure:
        """The figure with one more observation."""
        if not self.count:
            # Nothing tells yet how much it varies.
            return Figure(1, value, (value / 2) ** 2)
        weight = 1 / min(self.count + 1, MEMORY)
        off = value - self.mean
        return Figure(self.count + 1, self.mean + weight * off, (1 - weight) * (self.variance + weight * off * off))

    def span(self) -> Span:
        """The next value; one second is what a moment on chain is known to."""
        margin = DEVIATIONS * math.sqrt(self.variance)
        return Span(max(self.mean - margin - 1, 0.0), self.mean, self.mean + margin + 1)


class Experience(msgspec.Struct, frozen=True):
    """What tasks of one kind took: `work` on a slot, and from the last work done to the end `rest`."""

    work: Figure = Figure()
    rest: Figure = Figure()

    def work_span(self, timeref: int) -> Span:
        """The next task's time on a slot; without experience all that the category allows is possible."""
        return self.work.span() if self.work.count else Span(0.0, timeref / 2, float(timeref))

    def rest_span(self, timeref: int) -> Span:
        """The time from there to the end."""
        return self.rest.span() if self.rest.count else Span(0.0, min(timeref / 2, 15.0), float(timeref))


class Forecast(msgspec.Struct, frozen=True, kw_only=True):
    """When a task is expected to end.

    Attributes:
        position: in the line of those waiting, from 1; 0 once it has all the workers that it needs for now.
        starts_by: moment at which it has its workers, at the latest; None when there are none.
        eta: expected moment of its end.
        earliest, latest: between which that lies, most likely.
        observed: tasks of its app and category whose times are known.
        late: its work is expected to be done after its contribution deadline only.
    """

    position: int
    starts_by: int | None
    eta: int | None
    earliest: int | None
    latest: int | None
    observed: int
    late: bool


def in_line(tasks: Iterable[Waiting], busy: Mapping[Address, int]) -> list[Waiting]:
    """Waiting tasks in the order in which they will be served.

    Args:
        tasks: in the order in which they came.
        busy: slots occupied, by requester.
    """
    queues: dict[Address, list[Waiting]] = {}
    for task in tasks:
        queues.setdefault(task.requester, []).append(task)
    places: list[tuple[int, Address, Waiting]] = []
    for requester, queue in queues.items():
        queue.sort(key=lambda task: task.deadline)
        first = busy.get(requester, 0)
        places += [(first + turn, requester, task) for turn, task in enumerate(queue)]
    # Between requesters who occupy as much the address decides here, so that nobody's place depends on who else waits.
    return [task for _, _, task in sorted(places, key=lambda place: place[:2])]


def schedule(
    line: Sequence[Waiting],
    running: Iterable[Running],
    slots: int,
    seconds: Callable[[WorkKey], float],
    now: float,
) -> list[tuple[float, float]]:
    """When each of `line` has its last worker, and when that worker is done.

    Args:
        line: in the order in which they are served.
        running: what occupies slots.
        slots: of all workers, at least 1.
        seconds: that work of a kind takes.
        now: chain time.
    """
    free = [max(now, slot.since + seconds(slot.key)) for slot in running]
    free += [now] * (slots - len(free))
    heapq.heapify(free)
    moments = []
    for task in line:
        took = seconds(task.key)
        begun = now
        for _ in range(task.workers):
            begun = free[0]
            heapq.heapreplace(free, begun + took)
        moments.append((begun, begun + took))
    return moments
