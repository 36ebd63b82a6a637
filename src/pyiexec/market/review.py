"""Following up what happened: which orders stand otherwise now, written down with the events that tell so.

Only what a change can have touched is looked at. Offers come first, then the requests they serve, then the stakes that
pools' orders and requests share; nothing later in this row bears on anything earlier.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa

from pyiexec.market import events
from pyiexec.market.changes import Cause, Changes
from pyiexec.market.listing import LIVE, Reason, Status, listing_to_json
from pyiexec.market.rows import LISTING_COLUMNS, bump, read_listing
from pyiexec.market.rules import serving
from pyiexec.market.sql_filters import clauses, constant
from pyiexec.market.standing import Claim, Footing, Known, footing, spend
from pyiexec.market.tables import CLOSURES, CONSUMED, ORDERS, OWNERS, PRESIGNERS, STAKES
from pyiexec.protocol.primitives import NULL_ADDRESS, Address

T = TypeVar("T")

#: Values in one list of a query.
_AT_ONCE = 500
_STAKED = ("workerpoolorder", "requestorder")
_KNOWN = (
    sa.select(
        *(column for column in ORDERS.c if column is not ORDERS.c.document),
        CONSUMED.c.volume.label("consumed"),
        CLOSURES.c.order_hash.label("closure"),
        OWNERS.c.asset.label("known_asset"),
        OWNERS.c.owner,
        PRESIGNERS.c.presigner,
    )
    .select_from(ORDERS)
    .outerjoin(CONSUMED, CONSUMED.c.order_hash == ORDERS.c.order_hash)
    .outerjoin(CLOSURES, CLOSURES.c.order_hash == ORDERS.c.order_hash)
    .outerjoin(OWNERS, OWNERS.c.asset == ORDERS.c.resource)
    .outerjoin(PRESIGNERS, PRESIGNERS.c.order_hash == ORDERS.c.order_hash)
    .where(ORDERS.c.status != Status.UNPUBLISHED)
)
_UPDATE = (
    sa.update(ORDERS)
    .where(ORDERS.c.order_hash == sa.bindparam("_hash"))
    .values({name: sa.bindparam(f"_{name}") for name in ("status", "reason", "since", "remaining", "fillable")})
)


class _Change(msgspec.Struct, frozen=True):
    """An order that stands otherwise: as it was, as it is, and why."""

    row: Any
    after: Footing
    fillable: int
    cause: Cause | None


def review(connection: sa.Connection, changes: Changes, now: int) -> None:
    """Bring all orders that the changes bear on in line with what is known.

    Args:
        connection: transaction that made the changes.
        changes: what happened; what follows from it is added.
        now: milliseconds since the Unix epoch, for what is suspended.
    """
    touched = _rows(connection, ORDERS.c.order_hash, changes.orders)
    for kind in ("apporder", "datasetorder", "workerpoolorder"):
        touched |= _rows(connection, ORDERS.c.resource, changes.assets, ORDERS.c.kind == constant(kind))
    causes = {
        order_hash: changes.orders.get(order_hash) or changes.assets.get(row.resource)
        for order_hash, row in touched.items()
    }
    _review_offers(connection, [row for row in touched.values() if row.kind not in _STAKED], causes, changes, now)
    for order_hash, (row, cause) in _requests_concerned(connection, changes).items():
        touched.setdefault(order_hash, row)
        if causes.get(order_hash) is None:
            causes[order_hash] = cause
    _review_staked(connection, [row for row in touched.values() if row.kind in _STAKED], causes, changes, now)


def _review_offers(
    connection: sa.Connection, rows: Sequence[Any], causes: dict[str, Cause | None], changes: Changes, now: int
) -> None:
    """App and dataset orders: no stake stands behind them."""
    found = []
    for row in rows:
        after = footing(_known(row))
        cause = causes[row.order_hash]
        if (after.status is Status.OPEN) != (row.status == Status.OPEN):
            moved = changes.opened if after.status is Status.OPEN else changes.left
            moved[row.kind, row.resource] = cause
        found.append(_Change(row, after, after.remaining if after.status is Status.OPEN else 0, cause))
    _store(connection, found, now)


def _requests_concerned(connection: sa.Connection, changes: Changes) -> dict[str, tuple[Any, Cause | None]]:
    """Requests that came to be served, or ceased to be, with the offers that came and went."""
    concerned: dict[str, tuple[Any, Cause | None]] = {}
    for moved, came in ((changes.opened, True), (changes.left, False)):
        for (kind, resource), cause in moved.items():
            column = ORDERS.c.app if kind == "apporder" else ORDERS.c.dataset
            missing = Reason.NO_APPORDER if kind == "apporder" else Reason.NO_DATASETORDER
            # Whom an offer already serves, another one does not help; whom none serves, none leaves.
            suits = ORDERS.c.reason == missing if came else ORDERS.c.reason.is_distinct_from(missing)
            rows = _rows(connection, column, [resource], ORDERS.c.kind == constant("requestorder"), suits)
            concerned |= {order_hash: (row, cause) for order_hash, row in rows.items() if order_hash not in concerned}
    return concerned


def _review_staked(
    connection: sa.Connection, rows: Sequence[Any], causes: dict[str, Cause | None], changes: Changes, now: int
) -> None:
    """Workerpool orders and requests: what they are left of their signer's stake decides."""
    anew = {row.order_hash: (row, footing(_known(row, connection))) for row in rows}
    signers = changes.signers | {row.signer: changes.signers.get(row.signer) for row in rows}
    claimants = {order_hash: row for order_hash, (row, _) in anew.items()}
    claimants |= _rows(connection, ORDERS.c.signer, signers, ORDERS.c.kind.in_(_STAKED))
    stands = {
        order_hash: anew[order_hash][1] if order_hash in anew else _stored(row) for order_hash, row in claimants.items()
    }
    claims: dict[Address, list[Claim]] = {signer: [] for signer in signers}
    for order_hash, row in claimants.items():
        if stands[order_hash].status is Status.OPEN:
            claims[row.signer].append(claim(row, stands[order_hash].remaining))
    stakes = _stakes(connection, [signer for signer, wanted in claims.items() if wanted])
    fillable: dict[str, int] = {}
    for signer, wanted in claims.items():
        fillable |= spend(wanted, stakes.get(signer, 0))
    found = []
    for order_hash, row in claimants.items():
        after, left = stands[order_hash], fillable.get(order_hash, 0)
        if after.status is Status.OPEN and left == 0:
            after = Footing(Status.SUSPENDED, after.remaining, Reason.STAKE)
        found.append(_Change(row, after, left, causes.get(order_hash) or changes.signers.get(row.signer)))
    _store(connection, found, now)


def claim(row: Any, tasks: int) -> Claim:
    """What an order of a pool or a requester wants of its signer's stake: pools' orders come before requests."""
    place = turn(row.kind, row.rank, row.published_at, row.order_hash)
    return Claim(row.order_hash, place, tasks, row.task_stake)


def turn(kind: str, rank: int, published_at: int, order_hash: str) -> tuple[int, int, int, str]:
    """When an order's turn is to take its part of a stake; smaller is earlier."""
    return _STAKED.index(kind), rank, published_at, order_hash


def _store(connection: sa.Connection, found: Sequence[_Change], now: int) -> None:
    """Write down what differs from before, and tell of what is visible."""
    updates, visible = [], []
    for change in found:
        row, after = change.row, change.after
        before = (row.status, row.reason, row.remaining, row.fillable)
        if before == (after.status, after.obstacle, after.remaining, change.fillable):
            continue
        suspended = after.status is Status.SUSPENDED
        values = {
            "status": after.status,
            "reason": after.obstacle,
            "since": (row.since or now) if suspended else None,
            "remaining": after.remaining,
            "fillable": change.fillable,
        }
        updates.append({"_hash": row.order_hash} | {f"_{name}": value for name, value in values.items()})
        if Status.OPEN in (row.status, after.status):
            visible.append(change)
    if not updates:
        return
    connection.execute(_UPDATE, updates)
    for kind in {change.row.kind for change in found}:
        bump(connection, kind)
    _tell(connection, visible)


def _tell(connection: sa.Connection, visible: Sequence[_Change]) -> None:
    shown = [change.row.order_hash for change in visible if change.after.status is Status.OPEN]
    items: dict[str, dict[str, Any]] = {}
    for part in _parts(shown):
        query = sa.select(*LISTING_COLUMNS).where(ORDERS.c.order_hash.in_(part))
        items |= {row.order_hash: event_item(listing_to_json(read_listing(row))) for row in connection.execute(query)}
    for change in visible:
        row, after = change.row, change.after
        if after.status is not Status.OPEN:
            what, payload, reason = "unpublished", row.order_hash, (after.obstacle or after.status).value
        else:
            what = "updated" if row.status == Status.OPEN else "published"
            payload, reason = items[row.order_hash], None
        events.record(
            connection,
            room="orders",
            event=f"{row.kind}_{what}",
            payload=payload,
            reason=reason,
            block_number=change.cause and change.cause.block_number,
            transaction_hash=change.cause and change.cause.transaction_hash,
        )


def event_item(item: dict[str, Any]) -> dict[str, Any]:
    """An order as events carry it: they are told in a room of their chain, and leave the chain out."""
    return {name: value for name, value in item.items() if name != "chainId"}


def _known(row: Any, connection: sa.Connection | None = None) -> Known:
    """What is known of an order; of a request also whether offers serve it, which is asked of the database."""
    app_served = dataset_served = True
    if row.kind == "requestorder" and connection is not None:
        app_served = _is_served(connection, row, "apporder", row.app_max_price)
        if row.dataset != NULL_ADDRESS:
            dataset_served = _is_served(connection, row, "datasetorder", row.dataset_max_price)
    return Known(
        volume=row.volume,
        consumed=max(row.consumed or 0, row.ahead_consumed or 0),
        closed=row.closure is not None,
        # An owner not yet read is taken to be still the one who signed.
        owned=row.kind == "requestorder" or row.known_asset is None or row.owner == row.signer,
        signed=not row.presigned or row.presigner == row.signer,
        app_served=app_served,
        dataset_served=dataset_served,
    )


def _is_served(connection: sa.Connection, row: Any, kind: str, max_price: int) -> bool:
    request = {name: getattr(row, name) for name in ("app", "dataset", "workerpool", "requester")}
    wanted = serving(kind, request, tee=bool(row.tag0 & 1), max_price=max_price)
    return connection.execute(sa.select(ORDERS.c.order_hash).where(*clauses(wanted)).limit(1)).first() is not None


def _stored(row: Any) -> Footing:
    """Where an order stood before its signer's stake was looked at, as it was found last."""
    if row.status == Status.SUSPENDED and row.reason != Reason.STAKE:
        return Footing(Status.SUSPENDED, row.remaining, Reason(row.reason))
    return Footing(Status.OPEN, row.remaining)


def _stakes(connection: sa.Connection, accounts: Sequence[Address]) -> dict[Address, int]:
    found: dict[Address, int] = {}
    for part in _parts(accounts):
        query = sa.select(STAKES.c.account, STAKES.c.amount).where(STAKES.c.account.in_(part))
        found |= {row.account: row.amount for row in connection.execute(query)}
    return found


def _rows(
    connection: sa.Connection, column: sa.Column[Any], values: Iterable[str], *more: sa.ColumnElement[bool]
) -> dict[str, Any]:
    """Orders by a column; those found by anything but their hash only while they are in the book."""
    found: dict[str, Any] = {}
    live = () if column is ORDERS.c.order_hash else (ORDERS.c.status.in_([constant(status) for status in LIVE]),)
    for part in _parts(list(values)):
        query = _KNOWN.where(column.in_(part), *live, *more)
        found |= {row.order_hash: row for row in connection.execute(query)}
    return found


def _parts(values: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(values), _AT_ONCE):
        yield values[start : start + _AT_ONCE]
