"""Which worker gets which task, pure.

Tasks wait in the order of their contribution deadlines, and the requester whose tasks occupy the fewest slots goes
first. Only workers that have what a task needs are asked, and a task for which there is none lets the others pass. Of
these it prefers workers that the chain did not find wrong too often, then those of whose votes it takes the fewest to
reach its trust, then those that hold its application and its dataset already, that did not fail lately, and that are
the least busy. Among equals chance decides, so that nobody can arrange to meet on a task; therefore it is not the
heaviest vote that is preferred, but any that saves a replica.
"""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import partial
from typing import NamedTuple

from pyiexec.protocol.primitives import Address, TaskId
from pyiexec.protocol.trust import NEWCOMER_WEIGHT
from pyiexec.scheduler.requirements import NOT_SAID, NOTHING_USED, Lent, Needs, Use, meets

#: A task's place among the waiting ones of its requester: deadline, arrival, id.
Place = tuple[int, int, TaskId]
#: Checksums that the workers of a heap hold.
_Held = tuple[str, ...]


class Demand(NamedTuple):
    """A task that needs more workers; its checksums are those of what it reads, the dataset's empty without one."""

    task_id: TaskId
    requester: Address
    deadline: int
    app_checksum: str
    dataset_checksum: str = ""
    needs: Needs = Needs()


class WaitingTasks:
    """Tasks that need more workers, by requester, needs and urgency; adding and taking cost the logarithm of their
    number."""

    def __init__(self) -> None:
        self._demands: dict[TaskId, Demand] = {}
        # A requester's tasks with other needs stand in another queue, so that none has to be passed over.
        self._queues: dict[Address, dict[Needs, list[Place]]] = {}
        self._arrivals = 0

    def __len__(self) -> int:
        return len(self._demands)

    def __contains__(self, task_id: object) -> bool:
        return task_id in self._demands

    def put(self, demand: Demand) -> None:
        """Let a task wait; one that waits already keeps its place."""
        if demand.task_id not in self._demands:
            self._arrivals += 1
            self.restore(demand, (demand.deadline, self._arrivals, demand.task_id))

    def discard(self, task_id: TaskId) -> None:
        """The task needs nobody any more; its place in the queue is cleared when it is met there."""
        self._demands.pop(task_id, None)

    def ids(self) -> list[TaskId]:
        """All that wait."""
        return list(self._demands)

    def take(self, busy: Mapping[Address, int], unmet: Collection[Needs] = ()) -> tuple[Demand, Place] | None:
        """Remove and give the next task and its place.

        Args:
            busy: counts slots occupied by requester.
            unmet: needs of tasks that are not to be given.
        """
        while self._queues:
            able = self._queues
            if unmet:
                able = {requester: queues for requester, queues in able.items() if queues.keys() - unmet}
                if not able:
                    return None
            # Mostly the first one asked has something: cheaper than to put all of them in order.
            requester = min(able, key=lambda requester: busy.get(requester, 0))
            queues = self._queues[requester]
            heads = [queue[0] for needs in list(queues) if needs not in unmet and (queue := self._clean(queues, needs))]
            if heads:
                demand = self._demands.pop(min(heads)[2])
                return demand, heapq.heappop(queues[demand.needs])
            if not queues:
                del self._queues[requester]
        return None

    def _clean(self, queues: dict[Needs, list[Place]], needs: Needs) -> list[Place]:
        """One of a requester's queues, from whose head those are gone that no longer wait; dropped if that is all."""
        queue = queues[needs]
        while queue and queue[0][2] not in self._demands:
            heapq.heappop(queue)
        if not queue:
            del queues[needs]
        return queue

    def restore(self, demand: Demand, place: Place) -> None:
        """Put a taken task back at its place."""
        self._demands[demand.task_id] = demand
        heapq.heappush(self._queues.setdefault(demand.requester, {}).setdefault(demand.needs, []), place)


class Supply(NamedTuple):
    """A connected worker with room for another task.

    Attributes:
        load: share of its slots that is occupied, from 0 to 1.
        strikes: failures of its own since its last success.
        cached: checksums of the applications and datasets that it holds.
        weight: of its vote.
        doubtful: the chain found it wrong more often than can be put down to bad luck.
        lent: what it lends to all its tasks.
        used: what they occupy of it.
    """

    worker: Address
    free_slots: int
    load: float
    strikes: int
    cached: Collection[str]
    weight: int = NEWCOMER_WEIGHT
    doubtful: bool = False
    lent: Lent = NOT_SAID
    used: Use = NOTHING_USED


class _Ranked(NamedTuple):
    """A worker at its place in a heap; the address only keeps heaps from comparing further."""

    rank: tuple[int, float, float]
    worker: Address
    supply: Supply


class _Sort(NamedTuple):
    """What workers have in common that a task compares before anything else."""

    doubtful: bool
    weight: int


_Heaps = dict[_Sort, list[_Ranked]]


class FreeWorkers:
    """Workers with free slots, the best for a task first.

    Choosing costs the logarithm of their number for each of the few weights that votes have, once the holders of what
    the task reads have been looked up.
    """

    def __init__(self, supplies: Iterable[Supply], chance: random.Random) -> None:
        self._chance = chance
        self._free = {supply.worker: supply for supply in supplies if supply.free_slots > 0}
        # By needs and what is held, since these tell who comes first. An entry that is outdated is put where its worker
        # belongs by now, which is further behind, when it is met.
        self._heaps: dict[tuple[Needs, _Held], _Heaps] = {}

    def __len__(self) -> int:
        return len(self._free)

    def serve(self, needs: Needs) -> bool:
        """Whether any of them has what a task needs."""
        return any(self._head(heap, needs) for heap in self._holding(needs, ()).values())

    def choose(self, demand: Demand, votes: Callable[[int], int], excluded: Collection[Address] = ()) -> Supply | None:
        """Take a slot of the best of the workers that may take the task; the worker as it was before.

        Args:
            votes: how many votes of a weight the task misses.
        """
        heads = []
        for held in _combinations(demand):
            for sort, heap in self._holding(demand.needs, held).items():
                head = self._head(heap, demand.needs, excluded)
                if head is not None:
                    heads.append((sort.doubtful, votes(sort.weight), _absent(demand, head.supply), head))
        if not heads:
            return None
        # Still in its heaps, and outdated there from now on.
        chosen = min(heads)[3].supply
        loaded = _loaded(chosen, demand.needs)
        if loaded.free_slots:
            self._free[chosen.worker] = loaded
        else:
            del self._free[chosen.worker]
        return chosen

    def _holding(self, needs: Needs, held: _Held) -> _Heaps:
        """The workers that hold all of these and have what is needed."""
        heaps = self._heaps.get((needs, held))
        if heaps is None:
            heaps = self._heaps[needs, held] = {}
            for supply in self._free.values():
                if all(checksum in supply.cached for checksum in held) and meets(supply.lent, needs, supply.used):
                    heaps.setdefault(_Sort(supply.doubtful, supply.weight), []).append(self._rank(supply))
            for heap in heaps.values():
                heapq.heapify(heap)
        return heaps

    def _head(self, heap: list[_Ranked], needs: Needs, excluded: Collection[Address] = ()) -> _Ranked | None:
        """The first of a heap that is free and may take the task; it stays there."""
        passed_over: list[_Ranked] = []
        found = None
        while heap and found is None:
            best = heap[0]
            now = self._free.get(best.worker)
            if now is not best.supply:
                if now is None or not meets(now.lent, needs, now.used):
                    heapq.heappop(heap)
                else:
                    heapq.heapreplace(heap, self._rank(now))
            elif best.worker in excluded:
                passed_over.append(heapq.heappop(heap))
            else:
                found = best
        for one in passed_over:
            heapq.heappush(heap, one)
        return found

    def _rank(self, supply: Supply) -> _Ranked:
        return _Ranked((supply.strikes, supply.load, self._chance.random()), supply.worker, supply)


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
    unserved: list[tuple[Demand, Place]] = []
    unmet: set[Needs] = set()
    while len(free):
        taken = waiting.take(busy, unmet)
        if taken is None:
            break
        demand = taken[0]
        chosen = free.choose(demand, partial(votes, demand.task_id), participants(demand.task_id))
        if chosen is None:
            unserved.append(taken)
            if not free.serve(demand.needs):
                unmet.add(demand.needs)
            continue
        missing = give(demand.task_id, chosen.worker)
        busy[demand.requester] = busy.get(demand.requester, 0) + 1
        if missing:
            waiting.restore(*taken)
    for demand, place in unserved:
        waiting.restore(demand, place)


def _combinations(demand: Demand) -> Iterator[_Held]:
    """What the workers of a heap may hold of what the task reads: everything, a part, anything."""
    app, dataset = demand.app_checksum, demand.dataset_checksum
    if dataset:
        yield (app, dataset)
        yield (dataset,)
    yield (app,)
    yield ()


def _absent(demand: Demand, supply: Supply) -> int:
    """How much of what the task reads the worker would have to fetch."""
    dataset = demand.dataset_checksum
    return (demand.app_checksum not in supply.cached) + bool(dataset and dataset not in supply.cached)


def _loaded(chosen: Supply, needs: Needs) -> Supply:
    slots = chosen.free_slots / (1 - chosen.load) if chosen.load < 1 else chosen.free_slots
    return chosen._replace(free_slots=chosen.free_slots - 1, load=chosen.load + 1 / slots, used=chosen.used.plus(needs))
