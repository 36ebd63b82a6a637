"""SQL of lists, withdrawal and logins. Each function runs inside the transaction it is given."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from pyiexec.chain.follower.cursor import cursors
from pyiexec.foundation.statements import Statement
from pyiexec.market import deals, events
from pyiexec.market.changes import Changes
from pyiexec.market.filters import DealFilter, Filter, Window
from pyiexec.market.listing import LIVE, Listing, Status
from pyiexec.market.review import review
from pyiexec.market.rows import LISTING_COLUMNS, bump, read_listing
from pyiexec.market.sql_filters import clauses
from pyiexec.market.tables import CHALLENGES, ORDERS, REVISIONS
from pyiexec.protocol.primitives import Address, Bytes32, OrderHash

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


#: The status of an order of any kind by its hash.
STATUS_OF = Statement(sa.select(ORDERS.c.status).where(ORDERS.c.order_hash == sa.bindparam("order_hash")))


# --- withdrawal ---------------------------------------------------------------------------------------------------


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


_EXPIRED = Statement(sa.delete(CHALLENGES).where(CHALLENGES.c.expires_at <= sa.bindparam("now")))
_ANSWERABLE = (
    CHALLENGES.c.digest == sa.bindparam("digest"),
    CHALLENGES.c.address == sa.bindparam("address"),
    CHALLENGES.c.expires_at > sa.bindparam("now"),
)
#: A challenge that an address may answer now; nothing when it may not.
ANSWERABLE = Statement(sa.select(CHALLENGES.c.digest).where(*_ANSWERABLE))
_BURN = Statement(sa.delete(CHALLENGES).where(*_ANSWERABLE).returning(CHALLENGES.c.digest))


class NewChallenge(NamedTuple):
    """A challenge by what is to be signed, who is asked to, and until when, in seconds since the Unix epoch."""

    digest: Bytes32
    address: Address
    expires_at: float


def add_challenges(connection: sa.Connection, new: Sequence[NewChallenge], now: float) -> None:
    """Remember challenges, and forget those that expired."""
    _EXPIRED.run(connection, now=now)
    connection.execute(sa.insert(CHALLENGES), [challenge._asdict() for challenge in new])


def burn_challenge(connection: sa.Connection, digest: Bytes32, address: Address, now: float) -> bool:
    """Use a challenge up; False when it could not be answered any more."""
    return bool(_BURN.run(connection, digest=digest, address=address, now=now))
