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
from collections.abc import Callable, Collection, Iterable, Mapping
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
        while self._queues:
            # Mostly the first one asked has something: cheaper than to put all of them in order.
            requester = min(self._queues, key=lambda requester: busy.get(requester, 0))
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


class _Ranked(NamedTuple):
    """A worker at its place in a heap; the address only keeps heaps from comparing further."""

    rank: tuple[bool, int, float, float]
    worker: Address
    supply: Supply


class _Sort(NamedTuple):
    """What workers have in common that a task compares before anything else."""

    doubtful: bool
    weight: int


class FreeWorkers:
    """Workers with free slots, the best for an application first.

    Choosing costs the logarithm of their number for each of the few weights that votes have.
    """

    def __init__(self, supplies: Iterable[Supply], chance: random.Random) -> None:
        self._chance = chance
        self._free = {supply.worker: supply for supply in supplies if supply.free_slots > 0}
        # By application, since it matters who holds it; what is outdated is passed over when it is met.
        self._ranked: dict[str, dict[_Sort, list[_Ranked]]] = {}

    def __len__(self) -> int:
        return len(self._free)

    def choose(self, demand: Demand, votes: Callable[[int], int], excluded: Collection[Address] = ()) -> Supply | None:
        """Take a slot of the best of the workers that may take the task; the worker as it was before.

        Args:
            votes: how many votes of a weight the task misses.
        """
        ranked = self._ranked.get(demand.app_checksum)
        if ranked is None:
            ranked = self._ranked[demand.app_checksum] = {}
            for supply in self._free.values():
                ranked.setdefault(_Sort(supply.doubtful, supply.weight), []).append(
                    self._rank(demand.app_checksum, supply)
                )
            for heap in ranked.values():
                heapq.heapify(heap)
        heads = []
        for sort, heap in ranked.items():
            head = self._head(heap, excluded)
            if head is not None:
                heads.append((sort.doubtful, votes(sort.weight), head))
        if not heads:
            return None
        # Still in its heap, and outdated there from now on.
        chosen = min(heads)[2].supply
        self._load(chosen)
        return chosen

    def _head(self, heap: list[_Ranked], excluded: Collection[Address]) -> _Ranked | None:
        """The first of a heap that is free and may take the task; it stays there."""
        passed_over: list[_Ranked] = []
        found = None
        while heap and found is None:
            best = heap[0]
            if self._free.get(best.worker) is not best.supply:
                heapq.heappop(heap)
            elif best.worker in excluded:
                passed_over.append(heapq.heappop(heap))
            else:
                found = best
        for one in passed_over:
            heapq.heappush(heap, one)
        return found

    def _load(self, chosen: Supply) -> None:
        loaded = _loaded(chosen)
        if loaded.free_slots == 0:
            del self._free[chosen.worker]
            return
        self._free[chosen.worker] = loaded
        for app_checksum, ranked in self._ranked.items():
            heap = ranked.setdefault(_Sort(loaded.doubtful, loaded.weight), [])
            heapq.heappush(heap, self._rank(app_checksum, loaded))

    def _rank(self, app_checksum: str, supply: Supply) -> _Ranked:
        rank = app_checksum not in supply.cached, supply.strikes, supply.load, self._chance.random()
        return _Ranked(rank, supply.worker, supply)


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
    free = FreeWorkers(supplies, chance)
    unserved: list[tuple[Demand, tuple[int, int, TaskId]]] = []
    while len(free):
        taken = waiting.take(busy)
        if taken is None:
            break
        demand = taken[0]
        chosen = free.choose(demand, partial(votes, demand.task_id), participants(demand.task_id))
        if chosen is None:
            unserved.append(taken)
            continue
        missing = give(demand.task_id, chosen.worker)
        busy[demand.requester] = busy.get(demand.requester, 0) + 1
        if missing:
            waiting.restore(*taken)
    for demand, place in unserved:
        waiting.restore(demand, place)


def _loaded(supply: Supply) -> Supply:
    slots = supply.free_slots / (1 - supply.load) if supply.load < 1 else supply.free_slots
    return supply._replace(free_slots=supply.free_slots - 1, load=supply.load + 1 / slots)
