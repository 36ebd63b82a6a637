"""SQL of publications: what the book knows around an order, and listing it.

A publication is the one thing here that is paid for by the millisecond, so everything about it is asked in one query,
and only where other orders may stand otherwise because of it they are reviewed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from pyiexec.chain.follower.cursor import cursors
from pyiexec.foundation.statements import Statement
from pyiexec.market import chain_state, events
from pyiexec.market.chain_state import OWNER, PRESIGNER, STAKE, Copy
from pyiexec.market.changes import Changes
from pyiexec.market.listing import LIVE, Listing, Reason, Status, listing_to_json, parties, resource_name, task_stake
from pyiexec.market.queries import CURSOR, best_price
from pyiexec.market.review import claim, event_item, review, turn
from pyiexec.market.rows import LISTING_COLUMNS, bump, read_listing, row_of
from pyiexec.market.rules import Book, Facts, serving
from pyiexec.market.sql_filters import constant
from pyiexec.market.standing import Claim, spend
from pyiexec.market.tables import CONSUMED, ORDERS, OWNERS, PRESIGNERS, STAKES
from pyiexec.protocol.orders import ORDER_KINDS, Order, RequestOrder, kind_of
from pyiexec.protocol.primitives import NULL_ADDRESS, Address, OrderHash
from pyiexec.protocol.tags import TEE

_STAKED = ("workerpoolorder", "requestorder")
_WAITING = {"apporder": (ORDERS.c.app, Reason.NO_APPORDER), "datasetorder": (ORDERS.c.dataset, Reason.NO_DATASETORDER)}
_LIVE = ORDERS.c.status.in_([constant(status) for status in LIVE])
_IN_THE_WAY = ORDERS.c.order_hash == sa.bindparam("order_hash")
_OF_SIGNER = ORDERS.c.signer == sa.bindparam("signer")


class Around(msgspec.Struct, frozen=True, kw_only=True):
    """What the book knows around an order that somebody wants published.

    Attributes:
        order: the order, `order_hash` its hash.
        cursor: number of the last block whose events are in the book; -1 before the first.
        status: of the order; None when it was never here. `published_at` and `since` likewise.
        consumed: tasks of it that deals used up, as far as events told.
        owner: copy of the owner of what it sells, `owner_as_of` its block; None when there is no copy.
        stake: copy of its signer's stake, likewise.
        presigner: copy of who signed it by transaction, likewise.
        live_orders: orders of its kind that its signer has in the book.
        staked_orders: orders that its signer has in the book and that share the stake it wants.
        waiting: whether requests wait for such an offer.
    """

    order: Order
    order_hash: OrderHash
    cursor: int
    status: Status | None
    published_at: int | None
    since: int | None
    consumed: int
    owner: Address | None
    owner_as_of: int | None
    stake: int | None
    stake_as_of: int | None
    presigner: Address | None
    presigner_as_of: int | None
    live_orders: int
    staked_orders: int
    waiting: bool

    def is_outdated(self, facts: Facts) -> bool:
        """Whether events that nobody kept may have overtaken what was read of the chain: it must be read anew."""
        if facts.block >= self.cursor:
            return False
        return any(self._known(copy)[1] is None for copy, _, _ in _copies(self.order_hash, self.order, facts))

    def update(self, facts: Facts) -> Facts:
        """The facts with whatever events have told since they were read."""
        newer = {}
        for copy, _, _ in _copies(self.order_hash, self.order, facts):
            value, as_of = self._known(copy)
            if as_of is not None and as_of > facts.block:
                newer[copy.value] = value
        return msgspec.structs.replace(
            facts,
            owner=newer.get("owner", facts.owner),
            stake=newer.get("amount", facts.stake),
            consumed=max(facts.consumed, self.consumed),
        )

    def _known(self, copy: Copy) -> tuple[Any, int | None]:
        if copy is STAKE:
            return self.stake, self.stake_as_of
        return (self.owner, self.owner_as_of) if copy is OWNER else (self.presigner, self.presigner_as_of)

    def unlike(self, copy: Copy, value: Any, block: int) -> bool:
        """Whether what was read as of a block is news."""
        known, as_of = self._known(copy)
        return as_of is None or (as_of <= block and known != value)


def _around(kind: str) -> sa.Select[Any]:
    """The query for `Around`."""
    order_hash: Any = sa.bindparam("order_hash")
    resource: Any = sa.bindparam("resource")

    def one(column: sa.ColumnElement[Any], *which: sa.ColumnElement[bool]) -> sa.ScalarSelect[Any]:
        return sa.select(column).where(*which).scalar_subquery()

    def count(*which: sa.ColumnElement[bool]) -> sa.ScalarSelect[Any]:
        return sa.select(sa.func.count()).select_from(ORDERS).where(*which).scalar_subquery()

    nothing: Any = sa.literal_column("0")
    staked = count(_OF_SIGNER, ORDERS.c.kind.in_([constant(it) for it in _STAKED]), _LIVE)
    waiting: Any = nothing
    if kind in _WAITING:
        column, reason = _WAITING[kind]
        requests = sa.select(ORDERS.c.order_hash).where(
            ORDERS.c.kind == constant("requestorder"),
            ORDERS.c.status == constant(Status.SUSPENDED),
            column == resource,
            ORDERS.c.reason == reason.value,
        )
        waiting = requests.limit(1).scalar_subquery()
    return sa.select(
        one(cursors.c.number, cursors.c.name == CURSOR).label("cursor"),
        one(ORDERS.c.status, _IN_THE_WAY).label("status"),
        one(ORDERS.c.published_at, _IN_THE_WAY).label("published_at"),
        one(ORDERS.c.since, _IN_THE_WAY).label("since"),
        one(CONSUMED.c.volume, CONSUMED.c.order_hash == order_hash).label("consumed"),
        one(OWNERS.c.owner, OWNERS.c.asset == resource).label("owner"),
        one(OWNERS.c.as_of, OWNERS.c.asset == resource).label("owner_as_of"),
        one(STAKES.c.amount, STAKES.c.account == sa.bindparam("signer")).label("stake"),
        one(STAKES.c.as_of, STAKES.c.account == sa.bindparam("signer")).label("stake_as_of"),
        one(PRESIGNERS.c.presigner, PRESIGNERS.c.order_hash == order_hash).label("presigner"),
        one(PRESIGNERS.c.as_of, PRESIGNERS.c.order_hash == order_hash).label("presigner_as_of"),
        count(_OF_SIGNER, ORDERS.c.kind == constant(kind), _LIVE).label("live_orders"),
        (staked if kind in _STAKED else nothing).label("staked_orders"),
        waiting.label("waiting"),
    )


_AROUND = {kind: Statement(_around(kind)) for kind in ORDER_KINDS}
_FOUND = tuple(column.name for column in _around("apporder").selected_columns)


class _Staked(NamedTuple):
    """An order that shares its signer's stake, in the columns of the same names."""

    order_hash: str
    kind: str
    rank: int
    published_at: int
    task_stake: int
    remaining: int
    fillable: int
    reason: str | None


_SHARES = (_OF_SIGNER, ORDERS.c.kind.in_([constant(kind) for kind in _STAKED]), _LIVE)
_CLAIMS = Statement(sa.select(*(ORDERS.c[name] for name in _Staked._fields)).where(*_SHARES))
#: What all of them want together, as a float; and how many are left less than they want.
_WANTED = Statement(
    sa.select(
        sa.func.sum(sa.cast(ORDERS.c.task_stake, sa.Double) * ORDERS.c.remaining),
        sa.func.sum(sa.case((ORDERS.c.fillable == ORDERS.c.remaining, 0), else_=1)),
    ).where(*_SHARES)
)
#: More than what such a sum may be wrong by.
_ROUNDING = 1.000001
#: Whether the book has, or had, an offer of a resource.
_OFFERED = Statement(
    sa.select(ORDERS.c.order_hash)
    .where(
        ORDERS.c.kind == sa.bindparam("kind"),
        ORDERS.c.status.in_([constant(status) for status in Status]),
        ORDERS.c.resource == sa.bindparam("resource"),
    )
    .limit(1)
)
_INSERT = Statement(sa.insert(ORDERS))
_DELETE = Statement(sa.delete(ORDERS).where(_IN_THE_WAY))


def look_around(connection: sa.Connection, order: Order, order_hash: OrderHash, signer: Address) -> Around:
    """What the book knows around an order."""
    kind = kind_of(order)
    resource = parties(order)[resource_name(kind)]
    (row,) = _AROUND[kind].run(connection, order_hash=order_hash, signer=signer, resource=resource)
    found = dict(zip(_FOUND, row, strict=True))
    return Around(
        **found
        | {
            "order": order,
            "order_hash": order_hash,
            "cursor": -1 if found["cursor"] is None else found["cursor"],
            "status": None if found["status"] is None else Status(found["status"]),
            "consumed": found["consumed"] or 0,
            "waiting": bool(found["waiting"]),
        }
    )


def book_around(connection: sa.Connection, around: Around) -> Book:
    """What the book holds that bears on the publication of an order."""
    order = around.order
    prices: dict[str, int | None] = {}
    if isinstance(order, RequestOrder):
        tee = bool(int(order.tag, 16) & TEE)
        prices["app_price"] = best_price(connection, serving("apporder", parties(order), tee=tee))
        if order.dataset != NULL_ADDRESS:
            prices["dataset_price"] = best_price(connection, serving("datasetorder", parties(order), tee=tee))
    return Book(status=around.status, live_orders=around.live_orders, **prices)


def publish(connection: sa.Connection, new: Listing, facts: Facts, around: Around) -> Listing:
    """List an order that passed the checks, and answer with where it stands.

    One that was suspended keeps its place in time; one that was withdrawn begins anew.

    Args:
        connection: transaction.
        new: the order; where it stands is found out here.
        facts: what was read of the chain: events about some of it may not have arrived yet.
        around: what the book knows around it.
    """
    changes = Changes()
    for copy, subject, value in _copies(new.order_hash, new.order, facts):
        if around.unlike(copy, value, facts.block):
            chain_state.save_copy(connection, copy, subject, value, facts.block)
            # The owner of what is offered for the first time changes nothing for anybody.
            if copy is not OWNER or _OFFERED.run(connection, kind=new.kind, resource=subject):
                chain_state.note(copy, subject, None, changes)
    row = row_of(new) | {"presigned": facts.by_transaction}
    if facts.consumed > around.consumed:
        row |= {"ahead_consumed": facts.consumed, "ahead_block": facts.block}
    if around.status is None and not around.waiting:
        fillable = _left_for(connection, new, row["rank"], facts, around)
        if fillable is not None and not changes.assets:
            return _list(connection, new, row, fillable)
    if around.status is not None:
        if around.status is Status.SUSPENDED:
            row |= {"published_at": around.published_at, "since": around.since}
        _DELETE.run(connection, order_hash=new.order_hash)
    _INSERT.run(connection, **row | {"status": Status.SUSPENDED, "reason": None, "fillable": -1})
    changes.orders[new.order_hash] = None
    review(connection, changes, new.published_at)
    query = sa.select(*LISTING_COLUMNS).where(ORDERS.c.order_hash == new.order_hash)
    return read_listing(connection.execute(query).one())


def _left_for(connection: sa.Connection, new: Listing, rank: int, facts: Facts, around: Around) -> int | None:
    """Tasks that a new order is left of its signer's stake; None when other orders stand otherwise because of it."""
    each = task_stake(new.order)
    if new.kind not in _STAKED or not around.staked_orders:
        return new.remaining if not each else min(new.remaining, (facts.stake or 0) // each)
    stake = facts.stake or 0
    ((wanted, short),) = _WANTED.run(connection, signer=new.signer)
    if not short and _ROUNDING * (float(wanted) + each * new.remaining) < stake:
        # There is enough for everybody, whoever comes first.
        return new.remaining
    rows = [_Staked._make(row) for row in _CLAIMS.run(connection, signer=new.signer)]
    before = {row.order_hash: row.fillable for row in rows if row.reason in (None, Reason.STAKE)}
    claims = [claim(row, row.remaining) for row in rows if row.order_hash in before]
    own = Claim(new.order_hash, turn(new.kind, rank, new.published_at, new.order_hash), new.remaining, each)
    after = spend([*claims, own], stake)
    left = after.pop(new.order_hash)
    return left if after == before else None


def _list(connection: sa.Connection, new: Listing, row: dict[str, Any], fillable: int) -> Listing:
    """Put an order into the book because of which no other stands otherwise."""
    listed = msgspec.structs.replace(new, fillable=fillable)
    if fillable == 0:
        suspended = {"status": Status.SUSPENDED, "reason": Reason.STAKE, "since": new.published_at}
        listed = msgspec.structs.replace(listed, **suspended)
        row |= suspended
    _INSERT.run(connection, **row | {"fillable": fillable})
    bump(connection, new.kind)
    if fillable:
        item = event_item(listing_to_json(listed))
        events.record(connection, room="orders", event=f"{new.kind}_published", payload=item)
    return listed


def _copies(order_hash: OrderHash, order: Order, facts: Facts) -> Iterable[tuple[Copy, str, Any]]:
    """What was read for a publication, as it is kept."""
    kind = kind_of(order)
    if kind != "requestorder":
        yield OWNER, parties(order)[resource_name(kind)], facts.owner
    if facts.stake is not None:
        yield STAKE, facts.caller, facts.stake
    if facts.by_transaction:
        yield PRESIGNER, order_hash, facts.caller
