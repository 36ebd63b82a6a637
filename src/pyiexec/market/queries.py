"""SQL of lists, publication, withdrawal and logins. Each function runs inside the transaction it is given."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from pyiexec.chain.follower.cursor import cursors
from pyiexec.market import chain_state, deals, events
from pyiexec.market.chain_state import OWNER, PRESIGNER, STAKE
from pyiexec.market.changes import Changes
from pyiexec.market.filters import DealFilter, Filter, Window
from pyiexec.market.listing import (
    LIVE,
    Listing,
    Reason,
    Status,
    listing_to_json,
    parties,
    resource_name,
    task_stake,
)
from pyiexec.market.review import event_item, review
from pyiexec.market.rows import LISTING_COLUMNS, bump, read_listing, row_of
from pyiexec.market.rules import Book, Facts, serving
from pyiexec.market.sql_filters import clauses, constant
from pyiexec.market.tables import CHALLENGES, ORDERS, REVISIONS
from pyiexec.protocol.orders import Order, RequestOrder, kind_of
from pyiexec.protocol.primitives import NULL_ADDRESS, Address, Bytes32, OrderHash
from pyiexec.protocol.tags import TEE

#: Under which the place reached on the chain is kept.
CURSOR = "market"
#: Answers to "how many" that are remembered.
_COUNTED = 4096


class Counts:
    """How many entries filters let through, remembered for as long as nothing of the kind changes.

    Counting means visiting every entry that is counted, so it is done once between two changes. The entries themselves
    are always read.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, tuple[int, int]] = OrderedDict()

    def get(self, connection: sa.Connection, name: str, wanted: Any, count: Callable[[], int]) -> int:
        """The number for a filter over the entries called `name`, counted by `count` if need be."""
        query = sa.select(REVISIONS.c.number).where(REVISIONS.c.name == name)
        return self.at(connection.execute(query).scalar_one_or_none() or 0, name, wanted, count)

    def at(self, revision: int, name: str, wanted: Any, count: Callable[[], int]) -> int:
        """The same at a revision that was read already."""
        key = msgspec.json.encode((name, wanted))
        known = self._known.get(key)
        if known is not None and known[0] == revision:
            return known[1]
        found = count()
        # Several threads read: whichever is last is right for its revision.
        self._known[key] = (revision, found)
        while len(self._known) > _COUNTED:
            self._known.popitem(last=False)
        return found


# --- reading ------------------------------------------------------------------------------------------------------


def listing(connection: sa.Connection, kind: str, order_hash: Bytes32) -> Listing | None:
    """The order of a kind by its hash, unless its signer took it back."""
    query = sa.select(*LISTING_COLUMNS).where(
        ORDERS.c.order_hash == order_hash, ORDERS.c.kind == kind, ORDERS.c.status != Status.UNPUBLISHED
    )
    row = connection.execute(query).one_or_none()
    return None if row is None else read_listing(row)


def page_query(wanted: Filter, window: Window) -> sa.Select[Any]:
    """Open orders that a filter lets through: offers cheapest first, requests best payer first; then the oldest.

    An index holds the orders of each kind in the order wanted.
    """
    return (
        sa.select(*LISTING_COLUMNS)
        .where(*clauses(wanted))
        .order_by(ORDERS.c.rank, ORDERS.c.published_at, ORDERS.c.order_hash)
        .limit(window.limit)
        .offset(window.offset)
    )


def page_of_deals(
    connection: sa.Connection, wanted: DealFilter, window: Window, counts: Counts
) -> tuple[list[msgspec.Raw], int]:
    """Deals that a filter lets through, newest first, and how many there are in all."""
    total = counts.get(connection, "deal", wanted, lambda: deals.count_deals(connection, wanted))
    return deals.page_of_deals(connection, wanted, window), total


def best_price(connection: sa.Connection, wanted: Filter) -> int | None:
    """Lowest price, nRLC, among the open offers a filter lets through."""
    lowest: int | None = connection.execute(sa.select(sa.func.min(ORDERS.c.price)).where(*clauses(wanted))).scalar_one()
    return lowest


def statuses(connection: sa.Connection) -> dict[str, dict[str, int]]:
    """How many orders of each kind are in each status."""
    query = sa.select(ORDERS.c.kind, ORDERS.c.status, sa.func.count().label("number"))
    found: dict[str, dict[str, int]] = {}
    for row in connection.execute(query.group_by(ORDERS.c.kind, ORDERS.c.status)):
        found.setdefault(row.kind, {})[row.status] = row.number
    return found


def cursor_block(connection: sa.Connection) -> int:
    """Number of the last block whose events are in the book; -1 before the first."""
    number = connection.execute(sa.select(cursors.c.number).where(cursors.c.name == CURSOR)).scalar_one_or_none()
    return -1 if number is None else int(number)


def status_of(connection: sa.Connection, order_hash: OrderHash) -> Status | None:
    """Status of an order of any kind; None when it was never here."""
    query = sa.select(ORDERS.c.status).where(ORDERS.c.order_hash == order_hash)
    found = connection.execute(query).scalar_one_or_none()
    return None if found is None else Status(found)


def book_around(connection: sa.Connection, order: Order, order_hash: OrderHash, signer: Address) -> Book:
    """What the book holds that bears on the publication of an order."""
    kind = kind_of(order)
    live_orders = connection.execute(
        sa.select(sa.func.count())
        .select_from(ORDERS)
        .where(ORDERS.c.signer == signer, ORDERS.c.kind == kind, ORDERS.c.status.in_(LIVE))
    ).scalar_one()
    prices: dict[str, int | None] = {}
    if isinstance(order, RequestOrder):
        tee = bool(int(order.tag, 16) & TEE)
        prices["app_price"] = best_price(connection, serving("apporder", parties(order), tee=tee))
        if order.dataset != NULL_ADDRESS:
            prices["dataset_price"] = best_price(connection, serving("datasetorder", parties(order), tee=tee))
    return Book(status=status_of(connection, order_hash), live_orders=live_orders, **prices)


# --- publishing ---------------------------------------------------------------------------------------------------


def is_outdated(connection: sa.Connection, order: Order, order_hash: OrderHash, facts: Facts) -> bool:
    """Whether events that nobody kept may have overtaken what was read of the chain, so that it must be read anew."""
    if facts.block >= cursor_block(connection):
        return False
    return any(
        chain_state.copied(connection, copy, subject) is None for copy, subject, _ in _copies(order_hash, order, facts)
    )


def update(connection: sa.Connection, order: Order, order_hash: OrderHash, facts: Facts) -> Facts:
    """The facts with whatever events have told since they were read."""
    newer = {}
    for copy, subject, _ in _copies(order_hash, order, facts):
        known = chain_state.copied(connection, copy, subject)
        if known is not None and known.as_of > facts.block:
            newer[copy.value] = known.value
    return msgspec.structs.replace(
        facts,
        owner=newer.get("owner", facts.owner),
        stake=newer.get("amount", facts.stake),
        consumed=max(facts.consumed, chain_state.consumed_of(connection, order_hash)),
    )


def publish(connection: sa.Connection, new: Listing, facts: Facts) -> Listing:
    """List an order that passed the checks, and answer with where it stands.

    One that was suspended keeps its place in time; one that was withdrawn begins anew.

    Args:
        connection: transaction.
        new: the order; where it stands is found out here.
        facts: what was read of the chain: events about some of it may not have arrived yet.
    """
    changes = Changes()
    for copy, subject, value in _copies(new.order_hash, new.order, facts):
        known = chain_state.copied(connection, copy, subject)
        # What was read before the newest event about the subject is not news.
        if known is not None and known.as_of > facts.block:
            continue
        if chain_state.save_copy(connection, copy, subject, value, facts.block) and known is not None:
            chain_state.note(copy, subject, None, changes)
    known_consumed = chain_state.consumed_of(connection, new.order_hash)
    row = row_of(new) | {"presigned": facts.by_transaction}
    if facts.consumed > known_consumed:
        row |= {"ahead_consumed": facts.consumed, "ahead_block": facts.block}
    before = connection.execute(
        sa.select(ORDERS.c.status, ORDERS.c.published_at, ORDERS.c.since).where(ORDERS.c.order_hash == new.order_hash)
    ).one_or_none()
    alone = before is None and not changes.signers and not changes.assets and _is_alone(connection, new)
    if before is not None:
        if before.status == Status.SUSPENDED:
            row |= {"published_at": before.published_at, "since": before.since}
        connection.execute(sa.delete(ORDERS).where(ORDERS.c.order_hash == new.order_hash))
    if alone:
        # Nothing else depends on it, and it on nothing but the checks it passed.
        connection.execute(sa.insert(ORDERS).values(row))
        bump(connection, new.kind)
        events.record(
            connection, room="orders", event=f"{new.kind}_published", payload=event_item(listing_to_json(new))
        )
        return new
    connection.execute(sa.insert(ORDERS).values(row | {"status": Status.SUSPENDED, "reason": None, "fillable": -1}))
    changes.orders[new.order_hash] = None
    review(connection, changes, new.published_at)
    query = sa.select(*LISTING_COLUMNS).where(ORDERS.c.order_hash == new.order_hash)
    return read_listing(connection.execute(query).one())


def _is_alone(connection: sa.Connection, new: Listing) -> bool:
    """Whether no other order stands otherwise because of this one."""
    live = [constant(status) for status in LIVE]
    query = sa.select(ORDERS.c.order_hash).where(ORDERS.c.status.in_(live)).limit(1)
    if task_stake(new.order):
        query = query.where(ORDERS.c.signer == new.signer, ORDERS.c.kind.in_(("workerpoolorder", "requestorder")))
    elif new.kind in ("apporder", "datasetorder"):
        name = resource_name(new.kind)
        missing = Reason.NO_APPORDER if new.kind == "apporder" else Reason.NO_DATASETORDER
        resource = parties(new.order)[name]
        query = query.where(
            ORDERS.c.kind == constant("requestorder"), ORDERS.c[name] == resource, ORDERS.c.reason == missing
        )
    else:
        return True
    return connection.execute(query).first() is None


def _copies(order_hash: OrderHash, order: Order, facts: Facts) -> Iterable[tuple[chain_state.Copy, str, Any]]:
    """What was read for a publication, as it is kept."""
    kind = kind_of(order)
    if kind != "requestorder":
        yield OWNER, parties(order)[resource_name(kind)], facts.owner
    if facts.stake is not None:
        yield STAKE, facts.caller, facts.stake
    if facts.by_transaction:
        yield PRESIGNER, order_hash, facts.caller


def withdrawable(connection: sa.Connection, kind: str, signer: Address, resource: Address) -> list[OrderHash]:
    """Orders in the book that a signer published for a resource, newest first."""
    query = (
        sa.select(ORDERS.c.order_hash)
        .where(
            ORDERS.c.kind == kind,
            ORDERS.c.status.in_(LIVE),
            ORDERS.c.signer == signer,
            ORDERS.c.resource == resource,
        )
        .order_by(ORDERS.c.published_at.desc(), ORDERS.c.order_hash)
    )
    return list(connection.execute(query).scalars())


def unpublish(connection: sa.Connection, kind: str, order_hashes: Sequence[OrderHash], now: int) -> None:
    """Take orders out of the book; on chain they stay valid until closed there.

    Args:
        connection: transaction.
        kind: of all of them.
        order_hashes: orders in the book.
        now: milliseconds since the Unix epoch.
    """
    changes = Changes()
    for order_hash in order_hashes:
        query = sa.select(*ORDERS.c).where(ORDERS.c.order_hash == order_hash)
        row = connection.execute(query).one()
        if row.status == Status.OPEN:
            events.record(
                connection, room="orders", event=f"{kind}_unpublished", payload=order_hash, reason="withdrawn"
            )
        if kind in ("apporder", "datasetorder"):
            changes.left[kind, row.resource] = None
        elif row.task_stake:
            changes.signers[row.signer] = None
    connection.execute(
        sa.update(ORDERS)
        .where(ORDERS.c.order_hash.in_(order_hashes))
        .values(status=Status.UNPUBLISHED, reason=None, since=None, ahead_consumed=None, ahead_block=None)
    )
    bump(connection, kind)
    review(connection, changes, now)


# --- login challenges ---------------------------------------------------------------------------------------------


def add_challenge(connection: sa.Connection, digest: Bytes32, address: Address, now: float, expires_at: float) -> None:
    """Remember a challenge, and forget those that expired."""
    connection.execute(sa.delete(CHALLENGES).where(CHALLENGES.c.expires_at <= now))
    connection.execute(sa.insert(CHALLENGES).values(digest=digest, address=address, expires_at=expires_at))


def has_challenge(connection: sa.Connection, digest: Bytes32, address: Address, now: float) -> bool:
    """Whether this address may answer this challenge now."""
    query = sa.select(CHALLENGES.c.digest).where(*_answerable(digest, address, now))
    return connection.execute(query).first() is not None


def burn_challenge(connection: sa.Connection, digest: Bytes32, address: Address, now: float) -> bool:
    """Use a challenge up; False when it could not be answered any more."""
    return connection.execute(sa.delete(CHALLENGES).where(*_answerable(digest, address, now))).rowcount == 1


def _answerable(digest: Bytes32, address: Address, now: float) -> tuple[sa.ColumnElement[bool], ...]:
    return CHALLENGES.c.digest == digest, CHALLENGES.c.address == address, CHALLENGES.c.expires_at > now
