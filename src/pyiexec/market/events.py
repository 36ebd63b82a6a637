"""The journal of what the book tells the world: every visible change, numbered, stored with the change itself.

Whoever listens has the number of the last event it saw, and is told what came after it. That holds because writes of a
book come one after the other: an event with a smaller number is never committed after one with a larger number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from pyiexec.foundation.database import announce
from pyiexec.foundation.statements import Statement
from pyiexec.market.tables import METADATA, ORDERS

#: On which the database says that there is something new.
CHANNEL = "market_events"
#: Events kept; whoever missed more has to read the book anew.
KEPT = 20_000
#: The journal is cut once in so many events.
_CUT_EVERY = 256
#: Which parties of an order or a deal a listener may ask for.
PARTIES = ("app", "dataset", "workerpool", "requester")
ROOMS = ("orders", "deals")

EVENTS = sa.Table(
    "events",
    METADATA,
    sa.Column("seq", sa.Integer().with_variant(sa.BigInteger, "postgresql"), primary_key=True, autoincrement=True),
    sa.Column("room", sa.String(16), nullable=False),
    sa.Column("event", sa.String(40), nullable=False),
    sa.Column("payload", sa.LargeBinary, nullable=False),
    # Parties of what the event is about; of an order, the null address stands for anybody.
    *(sa.Column(party, sa.String(42)) for party in PARTIES),
    sa.Column("reason", sa.String(64)),
    sa.Column("block_number", sa.BigInteger),
    sa.Column("transaction_hash", sa.String(66)),
    # A number is never given twice, also when the newest events are gone.
    sqlite_autoincrement=True,
)


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One visible change.

    Attributes:
        seq: its number in the book; they grow, with gaps.
        room: of `ROOMS`.
        event: what happened, as clients of the network name it: ``apporder_published``, ``deal_created``.
        payload: the order, its hash, or the deal, as JSON.
        parties: who it is about, by the names in `PARTIES`.
        reason: why, where the event does not say it.
        block_number: where the chain caused it.
        transaction_hash: likewise.
    """

    seq: int
    room: str
    event: str
    payload: msgspec.Raw
    parties: dict[str, str] = {}
    reason: str | None = None
    block_number: int | None = None
    transaction_hash: str | None = None

    @property
    def kind(self) -> str:
        """What it is about: a kind of order, or ``deal``."""
        return self.event.partition("_")[0]


class Interest(msgspec.Struct, frozen=True, kw_only=True):
    """Which events somebody wants.

    Attributes:
        room: of `ROOMS`.
        kinds: kinds of orders; empty for all.
        parties: addresses that parties must have, by the names in `PARTIES`.
    """

    room: str
    kinds: frozenset[str] = frozenset()
    parties: Mapping[str, str] = {}

    def covers(self, event: Event) -> bool:
        """Whether an event is wanted."""
        return (
            event.room == self.room
            and (not self.kinds or event.kind in self.kinds)
            and all(event.parties.get(party) == address for party, address in self.parties.items())
        )


class Extent(msgspec.Struct, frozen=True):
    """What of the journal there is: the numbers of its oldest and newest event, both 0 when nothing ever happened."""

    oldest: int
    newest: int

    def follows(self, seq: int) -> bool:
        """Whether the journal has everything that came after `seq`."""
        return self.oldest - 1 <= seq <= self.newest


_RECORD = Statement(
    sa.insert(EVENTS).returning(EVENTS.c.seq),
    columns=[column.name for column in EVENTS.c if column is not EVENTS.c.seq],
)
# Each by itself, or SQLite reads the whole journal.
_EXTENT = Statement(
    sa.select(
        sa.select(sa.func.min(EVENTS.c.seq)).scalar_subquery(), sa.select(sa.func.max(EVENTS.c.seq)).scalar_subquery()
    )
)
_AFTER = Statement(
    sa.select(
        *(EVENTS.c[name] for name in ("seq", "room", "event", "payload", "reason", "block_number", "transaction_hash")),
        *(EVENTS.c[party] for party in PARTIES),
    )
    .where(EVENTS.c.seq > sa.bindparam("after"), EVENTS.c.seq <= sa.bindparam("until"))
    .order_by(EVENTS.c.seq)
    .limit(sa.bindparam("limit"))
)
#: No number of an event is greater.
_LAST = (1 << 63) - 1


def record(
    connection: sa.Connection,
    *,
    room: str,
    event: str,
    payload: Any,
    reason: str | None = None,
    block_number: int | None = None,
    transaction_hash: str | None = None,
) -> None:
    """Write an event down, in the transaction that makes the change: there is never one without the other.

    Args:
        connection: transaction of the change.
        room: of `ROOMS`.
        event: its name, ``<kind>_<what happened>``.
        payload: what clients get: an order as it is listed, the hash of an order in the book, or a deal.
        reason: why, for those who ask.
        block_number: where the chain caused it.
        transaction_hash: likewise.
    """
    values = {
        "room": room,
        "event": event,
        "payload": msgspec.json.encode(payload),
        "reason": reason,
        "block_number": block_number,
        "transaction_hash": transaction_hash,
        **_parties(connection, payload),
    }
    seq: int = _RECORD.run(connection, **values)[0][0]
    announce(connection, CHANNEL, str(seq))
    if seq % _CUT_EVERY == 0:
        connection.execute(sa.delete(EVENTS).where(EVENTS.c.seq <= seq - KEPT))


def extent(connection: sa.Connection) -> Extent:
    """How far the journal reaches."""
    ((oldest, newest),) = _EXTENT.run(connection)
    return Extent(oldest or 0, newest or 0)


def after(connection: sa.Connection, seq: int, *, until: int | None = None, limit: int) -> list[Event]:
    """The first `limit` events after number `seq` and up to `until`, oldest first."""
    until = _LAST if until is None else until
    return [_event(*row) for row in _AFTER.run(connection, after=seq, until=until, limit=limit)]


def _event(
    seq: int,
    room: str,
    event: str,
    payload: bytes,
    reason: str | None,
    block_number: int | None,
    transaction_hash: str | None,
    *parties: str | None,
) -> Event:
    return Event(
        seq=seq,
        room=room,
        event=event,
        payload=msgspec.Raw(payload),
        parties={party: address for party, address in zip(PARTIES, parties, strict=True) if address is not None},
        reason=reason,
        block_number=block_number,
        transaction_hash=transaction_hash,
    )


def _parties(connection: sa.Connection, payload: Any) -> dict[str, str | None]:
    if isinstance(payload, str):
        query = sa.select(*(ORDERS.c[party] for party in PARTIES)).where(ORDERS.c.order_hash == payload)
        row = connection.execute(query).one_or_none()
        return dict.fromkeys(PARTIES) if row is None else dict(zip(PARTIES, row, strict=True))
    terms: Mapping[str, Any] = payload.get("order", payload)
    return {party: _address(terms, party) for party in PARTIES}


def _address(terms: Mapping[str, Any], party: str) -> str | None:
    # An order names the party it sells, or the one it is restricted to; a deal says more of each.
    value = terms.get(party, terms.get(f"{party}restrict"))
    address: str | None = value["pointer"] if isinstance(value, dict) else value
    return address
