"""Which tasks are to be claimed, and which of them together: the decisions of the keeper, pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import Enum, auto

import msgspec

from pyiexec.protocol import ids
from pyiexec.protocol.primitives import DealId, TaskId
from pyiexec.protocol.tasks import Task, TaskStatus

#: What claiming takes, units of gas: of a transaction, of a task, of opening it before, and of each vote given back.
_GAS_BASE, _GAS_CLAIM, _GAS_OPEN, _GAS_VOTE = 50_000, 110_000, 120_000, 60_000


class Bag(msgspec.Struct, frozen=True, kw_only=True):
    """A deal past its final deadline.

    Attributes:
        boost: its tasks take one transaction each, and are claimed one by one.
        first_index: of its tasks.
        tasks: how many.
    """

    deal_id: DealId
    boost: bool
    first_index: int
    tasks: int

    @property
    def slots(self) -> Iterator[Slot]:
        """Its tasks."""
        for index in range(self.first_index, self.first_index + self.tasks):
            yield Slot(self.deal_id, self.boost, index, ids.task_id(self.deal_id, index))


class Slot(msgspec.Struct, frozen=True):
    """One task of a deal."""

    deal_id: DealId
    boost: bool
    index: int
    task_id: TaskId


class Way(Enum):
    """How a task is claimed."""

    #: It was opened.
    CLAIM = auto()
    #: It was never opened, and is opened for that.
    OPEN_AND_CLAIM = auto()
    #: It belongs to a Boost deal.
    CLAIM_BOOST = auto()


class Claim(msgspec.Struct, frozen=True):
    """Tasks to be claimed by one transaction."""

    way: Way
    slots: tuple[Slot, ...]


def holds_money(task: Task) -> bool:
    """Whether the price of a task, and the stakes on it, are still locked."""
    return task.status not in (TaskStatus.COMPLETED, TaskStatus.FAILED)


def way_of(slot: Slot, task: Task, now: int) -> Way | None:
    """How a task whose deal is past its final deadline is claimed; None when it cannot be."""
    if not holds_money(task):
        return None
    if slot.boost:
        return Way.CLAIM_BOOST
    if task.status is TaskStatus.UNSET:
        return Way.OPEN_AND_CLAIM
    return Way.CLAIM if task.may_claim(now) else None


def plan(found: Iterable[tuple[Slot, Task]], now: int, *, batch_size: int, batch_gas: int) -> list[Claim]:
    """Transactions that claim all that can be claimed.

    Args:
        found: tasks of deals past their final deadline, as the chain has them.
        now: chain time, seconds.
        batch_size: tasks in one transaction at most.
        batch_gas: gas it is meant to need at most; never less than one task is claimed.
    """
    claims: list[Claim] = []
    filling: dict[Way, tuple[list[Slot], int]] = {}
    for slot, task in found:
        way = way_of(slot, task, now)
        if way is None:
            continue
        gas = gas_of(way, task)
        slots, used = filling.setdefault(way, ([], _GAS_BASE))
        full = len(slots) == batch_size or used + gas > batch_gas or way is Way.CLAIM_BOOST
        if slots and full:
            claims.append(Claim(way, tuple(slots)))
            slots, used = [], _GAS_BASE
        slots.append(slot)
        filling[way] = slots, used + gas
    return claims + [Claim(way, tuple(slots)) for way, (slots, _) in filling.items()]


def gas_of(way: Way, task: Task) -> int:
    """About what claiming a task takes beyond the transaction itself, units of gas."""
    opening = _GAS_OPEN if way is Way.OPEN_AND_CLAIM else 0
    return _GAS_CLAIM + opening + _GAS_VOTE * len(task.contributors)


def alone(claim: Claim) -> Sequence[Claim]:
    """The same tasks one by one, to be tried when together they were refused: one that is over spoils them all."""
    return [Claim(claim.way, (slot,)) for slot in claim.slots]


def gas_limit(claim: Claim, tasks: Sequence[Task]) -> int:
    """The gas that a transaction is given, ample: what it does not use is not paid."""
    return 2 * (_GAS_BASE + sum(gas_of(claim.way, task) for task in tasks))
