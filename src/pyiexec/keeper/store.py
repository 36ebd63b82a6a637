"""The keeper's SQL; every function runs in the transaction of the connection it is given."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import NamedTuple

import msgspec
import sqlalchemy as sa

from pyiexec.foundation.database import Migrations
from pyiexec.keeper.rules import Bag
from pyiexec.keeper.tables import KEPT_DEALS
from pyiexec.protocol.primitives import Address, DealId

MIGRATIONS = Migrations("pyiexec.keeper.migrations", lineage="keeper")

_C = KEPT_DEALS.c
#: Ids in one statement: databases bound how many values they take.
_MOST_IDS = 10_000


class Notice(NamedTuple):
    """A deal as its notice on chain names it."""

    deal_id: DealId
    boost: bool
    workerpool: Address
    block: int


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What was read of a deal; `final_deadline` is chain time in seconds."""

    requester: Address
    first_index: int
    tasks: int
    final_deadline: int


class Patronage(msgspec.Struct, frozen=True):
    """Whose deals are looked after; everybody's where a list is empty."""

    workerpools: Sequence[Address] = ()
    requesters: Sequence[Address] = ()

    def __bool__(self) -> bool:
        return bool(self.workerpools or self.requesters)

    @property
    def condition(self) -> sa.ColumnElement[bool]:
        """The same in SQL."""
        wanted: sa.ColumnElement[bool] = sa.true()
        if self.workerpools:
            wanted = sa.and_(wanted, _C.workerpool.in_(self.workerpools))
        if self.requesters:
            wanted = sa.and_(wanted, _C.requester.in_(self.requesters))
        return wanted


def go_back(connection: sa.Connection, block: int) -> None:
    """Undo what blocks above this one told: deals are gone, and tasks that were over may not be."""
    connection.execute(sa.delete(KEPT_DEALS).where(_C.block > block))
    connection.execute(sa.update(KEPT_DEALS).where(_C.settled_block > block).values(settled_block=None))


def note(connection: sa.Connection, notices: Iterable[Notice]) -> None:
    """Take deals up; one that is known already stays as it is."""
    found = {notice.deal_id: notice for notice in notices}
    ids, known = list(found), set[str]()
    for start in range(0, len(ids), _MOST_IDS):
        part = ids[start : start + _MOST_IDS]
        known |= set(connection.scalars(sa.select(_C.deal_id).where(_C.deal_id.in_(part))))
    new = [notice._asdict() for deal_id, notice in found.items() if deal_id not in known]
    if new:
        connection.execute(sa.insert(KEPT_DEALS), new)


def unread(connection: sa.Connection, most: int) -> list[Notice]:
    """Deals of which nothing but the notice is known, oldest first."""
    query = sa.select(_C.deal_id, _C.boost, _C.workerpool, _C.block).where(_C.tasks.is_(None))
    return [Notice(*row) for row in connection.execute(query.order_by(_C.block, _C.deal_id).limit(most))]


def learn(connection: sa.Connection, read: dict[DealId, Facts], patience: int) -> None:
    """Store what was read of deals; each is looked at `patience` seconds after its final deadline."""
    for deal_id, facts in read.items():
        values = {
            "requester": facts.requester,
            "first_index": facts.first_index,
            "tasks": facts.tasks,
            "look_at": facts.final_deadline + patience,
        }
        connection.execute(sa.update(KEPT_DEALS).where(_C.deal_id == deal_id).values(values))


def due(connection: sa.Connection, now: int, patronage: Patronage, most: int) -> list[Bag]:
    """Deals to look at by chain time `now`, the longest overdue first."""
    query = (
        sa.select(_C.deal_id, _C.boost, _C.first_index, _C.tasks)
        .where(_C.settled_block.is_(None), _C.look_at <= now, patronage.condition)
        .order_by(_C.look_at, _C.deal_id)
        .limit(most)
    )
    return [Bag(**row) for row in connection.execute(query).mappings()]


def next_look(connection: sa.Connection, patronage: Patronage) -> int | None:
    """Chain time at which the next deal is to be looked at; None while there is none."""
    query = sa.select(sa.func.min(_C.look_at)).where(_C.settled_block.is_(None), patronage.condition)
    found: int | None = connection.scalar(query)
    return found


def settle(connection: sa.Connection, deal_ids: Collection[DealId], block: int) -> None:
    """No task of these deals holds money any more, as of this block."""
    connection.execute(sa.update(KEPT_DEALS).where(_C.deal_id.in_(deal_ids)).values(settled_block=block))


def postpone(connection: sa.Connection, deal_ids: Collection[DealId], look_at: int) -> None:
    """Look at deals again at chain time `look_at`."""
    connection.execute(sa.update(KEPT_DEALS).where(_C.deal_id.in_(deal_ids)).values(look_at=look_at))


def count_open(connection: sa.Connection, patronage: Patronage) -> int:
    """Deals that may hold money."""
    query = sa.select(sa.func.count()).select_from(KEPT_DEALS).where(_C.settled_block.is_(None), patronage.condition)
    return connection.scalar(query) or 0
