"""Which worker gets which task, pure.

Tasks wait in the order of their contribution deadlines, and the requester whose tasks occupy the fewest slots goes
first. A task prefers workers that the chain did not find wrong too often, then those of whose votes it takes the fewest
to reach its trust, then those that hold its application already, that did not fail lately, and that are the least busy.
Among equals chance decides, so that nobody can arrange to meet on a task; therefore it is not the heaviest vote that is
preferred, but any that saves a replica.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import NamedTuple

from pyiexec.protocol.primitives import Address, TaskId
from pyiexec.protocol.trust import NEWCOMER_WEIGHT


class Demand(NamedTuple):
    """A task that needs more workers."""

    task_id: TaskId
    requester: Address
    deadline: int
    app_checksum: str


class WaitingTasks:
    """Tasks that need more workers, by requester and urgency; adding and taking cost the logarithm of their number."""

    def __init__(self) -> None:
        self._demands: dict[TaskId, Demand] = {}
        self._queues: dict[Address, list[tuple[int, int, TaskId]]] = {}
        self._arrivals = 0

    def __len__(self) -> int:
        return len(self._demands)

    def __contains__(self, task_id: object) -> bool:
        return task_id in self._demands

    def put(self, demand: Demand) -> None:
        """Let a task wait; one that waits already keeps its place."""
        if demand.task_id not in self._demands:
            self._demands[demand.task_id] = demand
            self._arrivals += 1
            queue = self._queues.setdefault(demand.requester, [])
            heapq.heappush(queue, (demand.deadline, self._arrivals, demand.task_id))

    def discard(self, task_id: TaskId) -> None:
        """The task needs nobody any more; its place in the queue is cleared when it is met there."""
        self._demands.pop(task_id, None)

    def ids(self) -> list[TaskId]:
        """All that wait."""
        return list(self._demands)

    def take(self, busy: Mapping[Address, int]) -> tuple[Demand, tuple[int, int, TaskId]] | None:
        """Remove and give the next task and its place; `busy` counts slots occupied by requester."""
        for requester in sorted(self._queues, key=lambda requester: busy.get(requester, 0)):
            queue = self._queues[requester]
            while queue:
                place = heapq.heappop(queue)
                demand = self._demands.pop(place[2], None)
                if demand is not None:
                    return demand, place
            del self._queues[requester]
        return None

    def restore(self, demand: Demand, place: tuple[int, int, TaskId]) -> None:
        """Put a taken task back at its place."""
        self._demands[demand.task_id] = demand
        heapq.heappush(self._queues.setdefault(demand.requester, []), place)


class Supply(NamedTuple):
    """A connected worker with room for another task.

    Attributes:
        load: share of its slots that is occupied, from 0 to 1.
        strikes: failures of its own since its last success.
        cached: checksums of the applications it holds.
        weight: of its vote.
        doubtful: the chain found it wrong more often than can be put down to bad luck.
    """

    worker: Address
    free_slots: int
    load: float
    strikes: int
    cached: frozenset[str] | set[str]
    weight: int = NEWCOMER_WEIGHT
    doubtful: bool = False


def choose_worker(
    demand: Demand, supplies: Iterable[Supply], votes: Callable[[int], int], chance: random.Random
) -> Supply | None:
    """The best of the workers that may take the task; `votes` says how many of a weight it misses."""
    needed: dict[int, int] = {}

    def rank(supply: Supply) -> tuple[bool, int, bool, int, float, float]:
        if supply.weight not in needed:
            needed[supply.weight] = votes(supply.weight)
        return (
            supply.doubtful,
            needed[supply.weight],
            demand.app_checksum not in supply.cached,
            supply.strikes,
            supply.load,
            chance.random(),
        )

    return min(supplies, key=rank, default=None)


def match(
    waiting: WaitingTasks,
    supplies: Iterable[Supply],
    busy: dict[Address, int],
    *,
    participants: Callable[[TaskId], set[Address]],
    give: Callable[[TaskId, Address], int],
    votes: Callable[[TaskId, int], int],
    chance: random.Random,
) -> None:
    """Give waiting tasks to free workers until one of both runs out.

    Args:
        waiting: loses the tasks that are served in full.
        supplies: workers with free slots.
        busy: slots occupied by requester; kept up.
        participants: workers that ever had the task; none gets it twice.
        give: carries an assignment out and says how many more workers the task needs.
        votes: how many workers whose votes have a weight the task needs.
        chance: decides among equals.
    """
    free = {supply.worker: supply for supply in supplies if supply.free_slots > 0}
    unserved: list[tuple[Demand, tuple[int, int, TaskId]]] = []
    while free:
        taken = waiting.take(busy)
        if taken is None:
            break
        demand = taken[0]
        excluded = participants(demand.task_id)
        supplied = (supply for supply in free.values() if supply.worker not in excluded)
        chosen = choose_worker(demand, supplied, partial(votes, demand.task_id), chance)
        if chosen is None:
            unserved.append(taken)
            continue
        missing = give(demand.task_id, chosen.worker)
        busy[demand.requester] = busy.get(demand.requester, 0) + 1
        free[chosen.worker] = _loaded(chosen)
        if free[chosen.worker].free_slots == 0:
            del free[chosen.worker]
        if missing:
            waiting.restore(*taken)
    for demand, place in unserved:
        waiting.restore(demand, place)


def _loaded(supply: Supply) -> Supply:
    slots = supply.free_slots / (1 - supply.load) if supply.load < 1 else supply.free_slots
    return supply._replace(free_slots=supply.free_slots - 1, load=supply.load + 1 / slots)
