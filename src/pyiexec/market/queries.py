"""All SQL of the order book. Each function runs inside the transaction of the connection it is given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from pyiexec.market.filters import LENIENT_TAG_BITS, Filter
from pyiexec.market.listing import BULK_VOLUME, Listing, Status, parties, ranking_price
from pyiexec.market.rules import Book, serving, standing
from pyiexec.market.tables import CHALLENGES, CLOSURES, DEALS, ORDERS, TAG_WORDS
from pyiexec.protocol.orders import ORDER_KINDS, Order, RequestOrder, WorkerpoolOrder, kind_of
from pyiexec.protocol.primitives import Address, Bytes32, OrderHash

_WORD_BITS = 64
_WORD_MASK = (1 << _WORD_BITS) - 1
_DEAL_COLUMNS = {
    "apporder": DEALS.c.apporder_hash,
    "datasetorder": DEALS.c.datasetorder_hash,
    "workerpoolorder": DEALS.c.workerpoolorder_hash,
    "requestorder": DEALS.c.requestorder_hash,
}
_LISTING_COLUMNS = (
    ORDERS.c.order_hash,
    ORDERS.c.chain_id,
    ORDERS.c.kind,
    ORDERS.c.document,
    ORDERS.c.signer,
    ORDERS.c.remaining,
    ORDERS.c.status,
    ORDERS.c.published_at,
)


class Page(NamedTuple):
    """Part of an answer: the listings, and how many there are in all."""

    listings: list[Listing]
    total: int


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


# --- reading ------------------------------------------------------------------------------------------------------


def listing(connection: sa.Connection, kind: str, order_hash: Bytes32) -> Listing | None:
    """The order of a kind by its hash, whatever its status."""
    query = sa.select(*_LISTING_COLUMNS).where(ORDERS.c.order_hash == order_hash, ORDERS.c.kind == kind)
    row = connection.execute(query).one_or_none()
    return None if row is None else _listing(row)


def page(connection: sa.Connection, wanted: Filter) -> Page:
    """Open orders that a filter lets through: offers cheapest first, requests best payer first; then the oldest."""
    clauses = _clauses(wanted)
    price = ORDERS.c.price.desc() if wanted.kind == "requestorder" else ORDERS.c.price
    query = (
        sa.select(*_LISTING_COLUMNS)
        .where(*clauses)
        .order_by(price, ORDERS.c.published_at, ORDERS.c.order_hash)
        .limit(wanted.limit)
        .offset(wanted.offset)
    )
    count = connection.execute(sa.select(sa.func.count()).select_from(ORDERS).where(*clauses)).scalar_one()
    return Page([_listing(row) for row in connection.execute(query)], count)


def best_price(connection: sa.Connection, wanted: Filter) -> int | None:
    """Lowest price, nRLC, among the open offers a filter lets through."""
    lowest: int | None = connection.execute(
        sa.select(sa.func.min(ORDERS.c.price)).where(*_clauses(wanted))
    ).scalar_one()
    return lowest


def book_around(connection: sa.Connection, order: Order, order_hash: OrderHash, signer: Address) -> Book:
    """What the book holds that bears on the publication of an order."""
    kind = kind_of(order)
    status = connection.execute(
        sa.select(ORDERS.c.status).where(ORDERS.c.order_hash == order_hash)
    ).scalar_one_or_none()
    open_orders = connection.execute(
        sa.select(sa.func.count())
        .select_from(ORDERS)
        .where(ORDERS.c.signer == signer, ORDERS.c.kind == kind, ORDERS.c.status == Status.OPEN)
    ).scalar_one()
    prices: dict[str, int | None] = {}
    if isinstance(order, RequestOrder):
        prices = {
            "app_price": best_price(connection, serving(order, "apporder")),
            "dataset_price": best_price(connection, serving(order, "datasetorder")),
        }
    return Book(published=status not in (None, Status.DEAD), open_orders=open_orders, **prices)


def latest_of(connection: sa.Connection, kind: str, signer: Address, resource: Address) -> list[OrderHash]:
    """Open orders that a signer published for a resource, newest first."""
    query = (
        sa.select(ORDERS.c.order_hash)
        .where(
            ORDERS.c.kind == kind,
            ORDERS.c.status == Status.OPEN,
            ORDERS.c.signer == signer,
            ORDERS.c[resource_name(kind)] == resource,
        )
        .order_by(ORDERS.c.published_at.desc(), ORDERS.c.order_hash)
    )
    return list(connection.execute(query).scalars())


def resource_name(kind: str) -> str:
    """The party an order of a kind belongs to: what it sells, or the requester."""
    return "requester" if kind == "requestorder" else kind.removesuffix("order")


# --- publishing ---------------------------------------------------------------------------------------------------


def publish(connection: sa.Connection, new: Listing, consumed: int) -> Listing:
    """List an order, as what the chain left of it; a dead order is revived with its place in time.

    Args:
        connection: transaction.
        new: the order, as it was checked.
        consumed: tasks used up on chain, as read from there: events about some of them may not have arrived yet.
    """
    known = _consumed(connection, new.kind, new.order_hash)
    closed = _is_closed(connection, new.order_hash)
    after = standing(new.status, new.order.volume, max(known, consumed), closed)
    before = connection.execute(
        sa.select(ORDERS.c.published_at).where(ORDERS.c.order_hash == new.order_hash)
    ).scalar_one_or_none()
    published_at = new.published_at if before is None else before
    listed = msgspec.structs.replace(new, status=after.status, remaining=after.remaining, published_at=published_at)
    connection.execute(sa.delete(ORDERS).where(ORDERS.c.order_hash == new.order_hash))
    connection.execute(sa.insert(ORDERS).values(**_row(listed), consumed=known))
    return listed


def unpublish(connection: sa.Connection, order_hashes: Sequence[OrderHash]) -> None:
    """Take orders out of the book; on chain they stay valid until closed there."""
    connection.execute(sa.delete(ORDERS).where(ORDERS.c.order_hash.in_(order_hashes)))


# --- what the chain did -------------------------------------------------------------------------------------------


def apply_matched(connection: sa.Connection, deal: Matched) -> None:
    """Take the tasks of a deal off its orders; a deal applied before changes nothing."""
    exists = connection.execute(sa.select(DEALS.c.deal_id).where(DEALS.c.deal_id == deal.deal_id)).first()
    if exists is None:
        connection.execute(sa.insert(DEALS).values(**deal._asdict()))
        _consume(connection, deal, deal.volume)


def apply_closed(connection: sa.Connection, closed: Closed) -> None:
    """Cancel an order; one closed before stays so."""
    connection.execute(sa.delete(CLOSURES).where(CLOSURES.c.order_hash == closed.order_hash))
    connection.execute(sa.insert(CLOSURES).values(**closed._asdict()))
    _settle(connection, closed.order_hash, 0)


def rewind(connection: sa.Connection, block: int) -> None:
    """Forget what happened above a block: the chain took it back. Orders get their tasks back, closed ones reopen."""
    dropped = connection.execute(sa.select(*DEALS.c).where(DEALS.c.block_number > block)).all()
    reopened = (
        connection.execute(sa.select(CLOSURES.c.order_hash).where(CLOSURES.c.block_number > block)).scalars().all()
    )
    connection.execute(sa.delete(DEALS).where(DEALS.c.block_number > block))
    connection.execute(sa.delete(CLOSURES).where(CLOSURES.c.block_number > block))
    for row in dropped:
        _consume(connection, Matched(*row), -row.volume)
    for order_hash in reopened:
        _settle(connection, order_hash, 0)


def _consume(connection: sa.Connection, deal: Matched, volume: int) -> None:
    hashes = (deal.apporder_hash, deal.datasetorder_hash, deal.workerpoolorder_hash, deal.requestorder_hash)
    for order_hash in hashes:
        _settle(connection, order_hash, volume)


def _settle(connection: sa.Connection, order_hash: str, volume: int) -> None:
    """Bring a listed order in line with its facts after `volume` more tasks of it were matched (or fewer)."""
    query = sa.select(ORDERS.c.status, ORDERS.c.volume, ORDERS.c.consumed, ORDERS.c.remaining)
    row = connection.execute(query.where(ORDERS.c.order_hash == order_hash)).one_or_none()
    if row is None:
        return
    consumed = row.consumed + volume
    after = standing(Status(row.status), row.volume, consumed, _is_closed(connection, order_hash))
    # Read from the chain at publication, what remains may be ahead of the events: they never raise it.
    remaining = min(row.remaining, after.remaining) if volume > 0 else after.remaining
    values = {"consumed": consumed, "status": after.status, "remaining": remaining}
    connection.execute(sa.update(ORDERS).where(ORDERS.c.order_hash == order_hash).values(**values))


def _consumed(connection: sa.Connection, kind: str, order_hash: OrderHash) -> int:
    total = sa.func.coalesce(sa.func.sum(DEALS.c.volume), 0)
    return int(connection.execute(sa.select(total).where(_DEAL_COLUMNS[kind] == order_hash)).scalar_one())


def _is_closed(connection: sa.Connection, order_hash: str) -> bool:
    query = sa.select(CLOSURES.c.order_hash).where(CLOSURES.c.order_hash == order_hash)
    return connection.execute(query).first() is not None


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


# --- rows ---------------------------------------------------------------------------------------------------------


def _clauses(wanted: Filter) -> list[sa.ColumnElement[bool]]:
    """The SQL of `rules.wanted`."""
    columns = ORDERS.c
    clauses = [columns.kind == wanted.kind, columns.status == Status.OPEN]
    clauses += [columns[name] == address for name, address in wanted.equal.items()]
    clauses += [columns[name].in_(addresses) for name, addresses in wanted.allowed.items()]
    if wanted.signer is not None:
        clauses.append(columns.signer == wanted.signer)
    for name, word in zip(TAG_WORDS, _words(wanted.min_tag), strict=True):
        if word:
            clauses.append(columns[name].bitwise_and(word) == word)
    if wanted.max_tag is not None:
        forbidden = ~(wanted.max_tag | LENIENT_TAG_BITS)
        for name, word in zip(TAG_WORDS, _words(forbidden), strict=True):
            if word:
                clauses.append(columns[name].bitwise_and(word) == 0)
    if wanted.category is not None:
        clauses.append(columns.category == wanted.category)
    if wanted.min_volume:
        clauses.append(columns.remaining >= wanted.min_volume)
    if wanted.min_trust > 1:
        clauses.append(columns.trust >= wanted.min_trust)
    if wanted.max_trust is not None:
        clauses.append(columns.trust <= wanted.max_trust)
    if wanted.bulk_only:
        clauses += [columns.price == 0, columns.volume >= BULK_VOLUME]
    return clauses


def _words(tag: int) -> list[int]:
    """A 256-bit tag as signed 64-bit words, lowest first."""
    words = [tag >> shift & _WORD_MASK for shift in range(0, 256, _WORD_BITS)]
    return [word - (1 << _WORD_BITS) if word >> (_WORD_BITS - 1) else word for word in words]


def _row(new: Listing) -> dict[str, Any]:
    order = new.order
    timed = isinstance(order, (WorkerpoolOrder, RequestOrder))
    return {
        "order_hash": new.order_hash,
        "chain_id": new.chain_id,
        "kind": new.kind,
        "status": new.status,
        "signer": new.signer,
        **parties(order),
        "beneficiary": order.beneficiary if isinstance(order, RequestOrder) else None,
        "price": ranking_price(order),
        "volume": order.volume,
        "remaining": new.remaining,
        **dict(zip(TAG_WORDS, _words(int(order.tag, 16)), strict=True)),
        "category": order.category if timed else None,  # type: ignore[union-attr]
        "trust": order.trust if timed else None,  # type: ignore[union-attr]
        "published_at": new.published_at,
        "document": msgspec.json.encode(order),
    }


def _listing(row: Any) -> Listing:
    return Listing(
        order_hash=row.order_hash,
        chain_id=row.chain_id,
        order=msgspec.json.decode(row.document, type=ORDER_KINDS[row.kind]),
        signer=row.signer,
        remaining=row.remaining,
        status=Status(row.status),
        published_at=row.published_at,
    )
