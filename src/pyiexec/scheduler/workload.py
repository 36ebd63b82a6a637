"""What a pool has to do and with how many slots, taken from the engine's memory in the form that estimates need."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from pyiexec.protocol.primitives import Address
from pyiexec.protocol.tasks import TaskStatus
from pyiexec.scheduler.crew import Crew
from pyiexec.scheduler.forecast import Running, Waiting, WorkKey
from pyiexec.scheduler.pool_policy import Admission
from pyiexec.scheduler.rules import Policy, occupies_slot, replicas_missing
from pyiexec.scheduler.sales_plan import Capacity, workers_for
from pyiexec.scheduler.state import TaskState


def key_of(state: TaskState) -> WorkKey:
    """What a task has in common with those that should take as long."""
    return state.app_checksum, state.chain.timeref


def workers_missing(state: TaskState, now: int, policy: Policy) -> int:
    """Workers that must still be given a task, be it opened already or not."""
    if state.given_up or state.settled or now >= state.chain.contribution_deadline:
        return 0
    if not state.replicates and not state.chain.contributors:
        return 1 if state.single else workers_for(state.trust)
    if state.chain.status is TaskStatus.UNSET:
        return 0 if state.replicates else 1
    return replicas_missing(state, now, policy)


def waiting(states: Iterable[TaskState], now: int, policy: Policy) -> Iterator[Waiting]:
    """The tasks that wait for workers, in the order in which they came."""
    for state in states:
        missing = workers_missing(state, now, policy)
        if missing:
            deadline = state.chain.contribution_deadline
            yield Waiting(state.task_id, state.requester, deadline, key_of(state), missing)


def running(states: Iterable[TaskState]) -> Iterator[Running]:
    """The slots that tasks occupy."""
    for state in states:
        for replicate in state.replicates:
            if occupies_slot(replicate) and not replicate.lost:
                yield Running(key_of(state), replicate.assigned_at)


def slots_of(crew: Crew) -> int:
    """Slots of the workers in reach."""
    return sum(member.slots for member in crew.in_reach())


def capacity_of(
    crew: Crew,
    states: Iterable[TaskState],
    *,
    now: int,
    policy: Policy,
    admission: Admission,
    margin: int,
    free_stake: int,
    categories: int,
) -> Capacity:
    """What the pool has to sell.

    Args:
        crew: its workers.
        states: its unfinished tasks.
        now: chain time.
        policy: the pool's choices.
        admission: bounds on what may wait.
        margin: per cent of the slots by which more or less than is free is sold.
        free_stake: of the pool's owner, nRLC.
        categories: that the hub has.
    """
    members = [member for member in crew.in_reach() if member.slots]
    slots = sum(member.slots for member in members) * (100 + margin) // 100
    owed = sum(len(member.computing) for member in members)
    most, most_each = admission.max_waiting, admission.max_waiting_per_requester
    counted, by_requester = 0, Counter[Address]()
    for task in waiting(states, now, policy):
        owed += task.workers
        counted += 1
        by_requester[task.requester] += 1
        if owed >= slots and most_each is None and (most is None or counted >= most):
            # However many more there are, nothing is left to sell.
            break
    crowding = (who for who, tasks in by_requester.items() if most_each is not None and tasks >= most_each)
    return Capacity(
        slots=slots,
        owed=owed,
        workers=len(members),
        free_stake=free_stake,
        full=most is not None and counted >= most,
        crowding=frozenset(crowding),
        categories=categories,
    )
