"""SQL of what the chain did: deals, closings, categories, and copies of stakes, owners and presigners.

Each function runs inside the transaction of the connection it is given, and notes what it changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa

from pyiexec.market.changes import Cause, Changes
from pyiexec.market.listing import LIVE, MAX_SAFE_INTEGER
from pyiexec.market.rows import bump
from pyiexec.market.tables import CATEGORIES, CLOSURES, CONSUMED, DEALS, ORDERS, OWNERS, PRESIGNERS, STAKES
from pyiexec.protocol.primitives import Address, OrderHash

#: Largest number kept of what people may choose at will: no order in the book comes near it.
_LARGEST = MAX_SAFE_INTEGER + 1
_SIDES = ("apporder_hash", "datasetorder_hash", "workerpoolorder_hash", "requestorder_hash")
_STAKED = ("workerpoolorder", "requestorder")


class Copy(NamedTuple):
    """A table of what was read of the chain, subject by subject, and where changes of a subject are noted."""

    table: sa.Table
    subject: str
    value: str


STAKE = Copy(STAKES, "account", "amount")
OWNER = Copy(OWNERS, "asset", "owner")
PRESIGNER = Copy(PRESIGNERS, "order_hash", "presigner")


class Matched(NamedTuple):
    """A deal the chain made, by the hashes of its orders."""

    deal_id: str
    apporder_hash: str
    datasetorder_hash: str
    workerpoolorder_hash: str
    requestorder_hash: str
    volume: int
    block_number: int
    transaction_hash: str


class Closed(NamedTuple):
    """An order its owner closed on chain."""

    order_hash: str
    block_number: int
    transaction_hash: str


class NewCategory(NamedTuple):
    """A category the hub's owner made; `work_clock_time_ref` in seconds."""

    category: int
    name: str
    description: str
    work_clock_time_ref: int
    block_number: int
    transaction_hash: str


# --- deals, closings, categories -----------------------------------------------------------------------------------


def block_of_deal(connection: sa.Connection, deal_id: str) -> int | None:
    """Number of the block of a deal; None when it is not known."""
    query = sa.select(DEALS.c.block_number).where(DEALS.c.deal_id == deal_id)
    return connection.execute(query).scalar_one_or_none()


def add_deal(connection: sa.Connection, deal: Matched, details: Mapping[str, Any], changes: Changes) -> bool:
    """Take the tasks of a deal off its orders; False for a deal applied before, which changes nothing."""
    if block_of_deal(connection, deal.deal_id) is not None:
        return False
    volume = min(deal.volume, _LARGEST)
    connection.execute(sa.insert(DEALS).values(**deal._replace(volume=volume)._asdict(), **details))
    bump(connection, "deal")
    cause = Cause(deal.block_number, deal.transaction_hash)
    for side in _SIDES:
        _consume(connection, getattr(deal, side), volume)
        changes.orders[getattr(deal, side)] = cause
    return True


def close_order(connection: sa.Connection, closed: Closed, changes: Changes) -> None:
    """Cancel an order; of several closings the first counts, as it stands when later ones are taken back."""
    query = sa.select(CLOSURES.c.order_hash).where(CLOSURES.c.order_hash == closed.order_hash)
    if connection.execute(query).first() is not None:
        return
    connection.execute(sa.insert(CLOSURES).values(**closed._asdict()))
    changes.orders[closed.order_hash] = Cause(closed.block_number, closed.transaction_hash)


def add_category(connection: sa.Connection, category: NewCategory, block_timestamp: int) -> None:
    """Note a category; block time in seconds."""
    if category.category > _LARGEST:
        return
    clean = {"name": category.name.replace("\0", ""), "description": category.description.replace("\0", "")}
    values = category._asdict() | clean | {"work_clock_time_ref": min(category.work_clock_time_ref, _LARGEST)}
    connection.execute(sa.delete(CATEGORIES).where(CATEGORIES.c.category == category.category))
    connection.execute(sa.insert(CATEGORIES).values(**values, block_timestamp=block_timestamp))


def rewind(connection: sa.Connection, block: int, changes: Changes) -> Sequence[Mapping[Any, Any]]:
    """Forget what happened above a block: the chain took it back. Answers with the deals that are gone."""
    dropped = list(connection.execute(sa.select(*DEALS.c).where(DEALS.c.block_number > block)).mappings())
    reopened = connection.execute(sa.select(CLOSURES.c.order_hash).where(CLOSURES.c.block_number > block)).scalars()
    changes.orders |= dict.fromkeys(reopened)
    ahead = connection.execute(sa.select(ORDERS.c.order_hash).where(ORDERS.c.ahead_block > block)).scalars()
    changes.orders |= dict.fromkeys(ahead)
    for row in dropped:
        for side in _SIDES:
            _consume(connection, row[side], -row["volume"])
            changes.orders[row[side]] = None
    for table in (DEALS, CLOSURES, CATEGORIES):
        connection.execute(sa.delete(table).where(table.c.block_number > block))
    _forget_ahead(connection, ORDERS.c.ahead_block > block)
    if dropped:
        bump(connection, "deal")
    return dropped


def catch_up_with(connection: sa.Connection, block: int, changes: Changes) -> None:
    """Drop what publications knew before the events did, now that these have told everything up to a block."""
    behind = ORDERS.c.ahead_block <= block
    changes.orders |= dict.fromkeys(connection.execute(sa.select(ORDERS.c.order_hash).where(behind)).scalars())
    _forget_ahead(connection, behind)


def _forget_ahead(connection: sa.Connection, which: sa.ColumnElement[bool]) -> None:
    connection.execute(sa.update(ORDERS).where(which).values(ahead_consumed=None, ahead_block=None))


def consumed_of(connection: sa.Connection, order_hash: OrderHash) -> int:
    """Tasks of an order that deals used up, as far as events told."""
    query = sa.select(CONSUMED.c.volume).where(CONSUMED.c.order_hash == order_hash)
    return connection.execute(query).scalar_one_or_none() or 0


def _consume(connection: sa.Connection, order_hash: str, volume: int) -> None:
    query = sa.select(CONSUMED.c.volume).where(CONSUMED.c.order_hash == order_hash)
    before = connection.execute(query).scalar_one_or_none()
    if before is None:
        connection.execute(sa.insert(CONSUMED).values(order_hash=order_hash, volume=max(0, volume)))
        return
    # Orders that are no order of the book may have any volume; theirs only must not break the table.
    after = min(before + volume, _LARGEST)
    if after <= 0:
        connection.execute(sa.delete(CONSUMED).where(CONSUMED.c.order_hash == order_hash))
        return
    connection.execute(sa.update(CONSUMED).where(CONSUMED.c.order_hash == order_hash).values(volume=after))


# --- copies of what the chain says of accounts, assets and presignatures -------------------------------------------


def stale(connection: sa.Connection, copy: Copy, block: int, touched: Iterable[str]) -> set[str]:
    """Subjects whose copy may not be what the chain says: read above `block`, or touched by an event."""
    subject = copy.table.c[copy.subject]
    found = set(connection.execute(sa.select(subject).where(copy.table.c.as_of > block)).scalars())
    wanted = list(touched)
    for start in range(0, len(wanted), 500):
        found |= set(connection.execute(sa.select(subject).where(subject.in_(wanted[start : start + 500]))).scalars())
    return found


def uncopied(connection: sa.Connection, copy: Copy) -> set[str]:
    """Subjects on which orders in the book depend, and of which there is no copy."""
    column: sa.Column[Any]
    which: sa.ColumnElement[bool]
    if copy is STAKE:
        column, which = ORDERS.c.signer, ORDERS.c.kind.in_(_STAKED)
    elif copy is OWNER:
        column, which = ORDERS.c.resource, ORDERS.c.kind != "requestorder"
    else:
        column, which = ORDERS.c.order_hash, ORDERS.c.presigned.is_(True)
    subject = copy.table.c[copy.subject]
    joined = sa.outerjoin(ORDERS, copy.table, subject == column)
    query = sa.select(column).distinct().select_from(joined)
    return set(connection.execute(query.where(ORDERS.c.status.in_(LIVE), which, subject.is_(None))).scalars())


def copied(connection: sa.Connection, copy: Copy, subject: str) -> Any:
    """The copy of one subject (`value` and `as_of`), None when there is none."""
    table = copy.table
    query = sa.select(table.c[copy.value].label("value"), table.c.as_of).where(table.c[copy.subject] == subject)
    return connection.execute(query).one_or_none()


def save_copy(connection: sa.Connection, copy: Copy, subject: str, value: Any, as_of: int) -> bool:
    """Store what the chain says of a subject as of a block; whether it is something else than before."""
    if copy is STAKE:
        value = min(value, (1 << 63) - 1)
    before = copied(connection, copy, subject)
    table = copy.table
    values = {copy.value: value, "as_of": as_of}
    if before is None:
        connection.execute(sa.insert(table).values({copy.subject: subject, **values}))
        return True
    if before.as_of != as_of or before.value != value:
        connection.execute(sa.update(table).where(table.c[copy.subject] == subject).values(values))
    return bool(before.value != value)


def note(copy: Copy, subject: str, cause: Cause | None, changes: Changes) -> None:
    """Have the orders looked at that depend on a subject."""
    if copy is STAKE:
        changes.signers[Address(subject)] = cause
    elif copy is OWNER:
        changes.assets[Address(subject)] = cause
    else:
        changes.orders[subject] = cause


def forget(connection: sa.Connection) -> None:
    """Drop everything that was derived from the chain; following it from the beginning derives it anew."""
    for table in (DEALS, CLOSURES, CATEGORIES, CONSUMED, STAKES, OWNERS, PRESIGNERS):
        connection.execute(sa.delete(table))
    _forget_ahead(connection, ORDERS.c.ahead_block.is_not(None))
    bump(connection, "deal")
