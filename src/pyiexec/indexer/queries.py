"""The SQL of the index; every function runs in the transaction of the connection it is given."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa

from pyiexec.chain.follower.cursor import cursors, marks
from pyiexec.chain.heads import Head
from pyiexec.indexer.tables import BULK_LISTS, BULK_PLACES, LIST_TABLES, STATE, TABLES, UNDO
from pyiexec.indexer.working_set import MUTABLE, Row, Undo

#: Under which the place reached is kept.
CURSOR = "indexer"
#: Ids in one statement: databases bound how many values they take.
_MOST_IDS = 10_000
#: What handlers read of rows besides what they may change.
_READ: Mapping[str, tuple[str, ...]] = {
    "deals": ("requester", "category", "start_time"),
    "tasks": ("deal",),
    "contributions": ("task", "hash"),
}


class Place(msgspec.Struct, frozen=True):
    """How far the index has come.

    Attributes:
        number: of the last block; `hash` and `timestamp` (seconds) are that block's.
        undo_floor: the lowest block to which it can go back without beginning anew.
    """

    number: int
    hash: str
    timestamp: int
    undo_floor: int


def place(connection: sa.Connection) -> Place | None:
    """How far the index has come; None when it has not begun."""
    row = connection.execute(sa.select(STATE).where(STATE.c.name == CURSOR)).first()
    return Place(row.number, row.hash, row.timestamp, row.undo_floor) if row else None


def place_at(connection: sa.Connection, reached: Head | None) -> Place | None:
    """`place`, or a later block that was known to change nothing when the transaction began."""
    stored = place(connection)
    if stored is None or reached is None or reached.number <= stored.number:
        return stored
    return Place(reached.number, reached.hash, reached.timestamp, stored.undo_floor)


def save_place(connection: sa.Connection, reached: Place) -> None:
    """Store how far the index has come."""
    values = msgspec.structs.asdict(reached)
    if not connection.execute(sa.update(STATE).where(STATE.c.name == CURSOR).values(values)).rowcount:
        connection.execute(sa.insert(STATE).values(name=CURSOR, **values))


def find_rows(connection: sa.Connection, table: str, wanted: Collection[str], column: str = "id") -> dict[str, Row]:
    """What handlers need of the rows whose `column` is one of `wanted`, by id."""
    target = TABLES[table]
    chosen = [target.c[name] for name in ("id", *MUTABLE.get(table, ()), *_READ.get(table, ()))]
    ordered = sorted(wanted)
    found: dict[str, Row] = {}
    for start in range(0, len(ordered), _MOST_IDS):
        part = ordered[start : start + _MOST_IDS]
        for row in connection.execute(sa.select(*chosen).where(target.c[column].in_(part))).mappings():
            found[row["id"]] = dict(row)
    return found


def insert_rows(connection: sa.Connection, new: Mapping[str, Mapping[str, Row]]) -> None:
    """Store rows that are not there."""
    for table, rows in new.items():
        by_kind: dict[str | None, list[Row]] = {}
        for row in rows.values():
            by_kind.setdefault(row.get("kind"), []).append(row)
        for alike in by_kind.values():
            connection.execute(sa.insert(TABLES[table]), alike)


def update_rows(connection: sa.Connection, changed: Mapping[str, Sequence[Row]]) -> None:
    """Store what changed of rows that are there."""
    for table, rows in changed.items():
        if rows:
            target = TABLES[table]
            values: dict[str, Any] = {column: sa.bindparam(f"new_{column}") for column in MUTABLE[table]}
            statement = sa.update(target).where(target.c.id == sa.bindparam("row_id")).values(values)
            connection.execute(
                statement,
                [{"row_id": row["id"]} | {f"new_{column}": row[column] for column in MUTABLE[table]} for row in rows],
            )


# --- going back ---------------------------------------------------------------------------------------------------


def save_undo(connection: sa.Connection, journal: Mapping[int, Undo]) -> None:
    """Store how to take blocks back."""
    if journal:
        connection.execute(
            sa.insert(UNDO),
            [{"number": number, "rows": msgspec.json.encode(undo).decode()} for number, undo in journal.items()],
        )


def forget_undo(connection: sa.Connection, before: int) -> int | None:
    """Forget how to take back the blocks below `before`, which are final; the newest of them, if any."""
    newest: int | None = connection.execute(
        sa.select(sa.func.max(UNDO.c.number)).where(UNDO.c.number < before)
    ).scalar()
    if newest is not None:
        connection.execute(sa.delete(UNDO).where(UNDO.c.number < before))
    return newest


def undoable(connection: sa.Connection) -> list[int]:
    """The blocks that can be taken back, oldest first."""
    return list(connection.execute(sa.select(UNDO.c.number).order_by(UNDO.c.number)).scalars())


def undo(connection: sa.Connection, to: int) -> None:
    """Bring every row to what it was after block `to`."""
    blocks = connection.execute(sa.select(UNDO.c.rows).where(UNDO.c.number > to).order_by(UNDO.c.number))
    before: dict[str, dict[str, Row | None]] = {}
    for (rows,) in blocks.all():
        for table, of_table in msgspec.json.decode(rows).items():
            oldest = before.setdefault(table, {})
            for row_id, row in of_table.items():
                oldest.setdefault(row_id, row)
    for table, rows in before.items():
        _delete(connection, TABLES[table], [row_id for row_id, row in rows.items() if row is None])
        kept = [{"id": row_id} | row for row_id, row in rows.items() if row is not None]
        update_rows(connection, {table: kept})
    connection.execute(sa.delete(UNDO).where(UNDO.c.number > to))
    drop_orphaned_bulks(connection)


def _delete(connection: sa.Connection, table: sa.Table, ids: Sequence[str]) -> None:
    for start in range(0, len(ids), _MOST_IDS):
        connection.execute(sa.delete(table).where(table.c.id.in_(ids[start : start + _MOST_IDS])))


def drop_orphaned_bulks(connection: sa.Connection) -> None:
    """Forget what was read of bulks whose deals are gone."""
    deals, bulks, slices = TABLES["deals"], TABLES["bulks"], TABLES["bulk_slices"]
    orders, members = TABLES["dataset_orders"], LIST_TABLES["bulk_slices_dataset_orders"]
    lists = BULK_LISTS.c.deal
    gone = list(connection.execute(sa.select(lists).where(lists.not_in(sa.select(deals.c.id)))).scalars())
    if not gone:
        return
    its_slices = sa.select(slices.c.id).where(slices.c.bulk.in_(gone))
    connection.execute(
        sa.delete(orders).where(orders.c.id.in_(sa.select(members.c.child).where(members.c.parent.in_(its_slices))))
    )
    for table in LIST_TABLES.values():
        connection.execute(sa.delete(table).where(table.c.parent.in_(its_slices)))
    connection.execute(sa.delete(slices).where(slices.c.bulk.in_(gone)))
    connection.execute(sa.delete(bulks).where(bulks.c.id.in_(gone)))
    for places in (BULK_PLACES, BULK_LISTS):
        connection.execute(sa.delete(places).where(places.c.deal.in_(gone)))


def clear(connection: sa.Connection) -> None:
    """Forget everything that is derived from the chain; files that were fetched stay."""
    for table in (*TABLES.values(), *LIST_TABLES.values(), BULK_LISTS, BULK_PLACES, UNDO, STATE):
        connection.execute(sa.delete(table))
    connection.execute(sa.delete(marks).where(marks.c.name == CURSOR))
    connection.execute(sa.delete(cursors).where(cursors.c.name == CURSOR))


def dump(connection: sa.Connection) -> dict[str, list[dict[str, Any]]]:
    """Every row derived from the chain, in canonical order: two indexes of one chain give the same."""
    return {
        table.name: [
            dict(row) for row in connection.execute(sa.select(table).order_by(*table.primary_key.columns)).mappings()
        ]
        for table in (*TABLES.values(), *LIST_TABLES.values())
    }


def known_ids(connection: sa.Connection, table: str, wanted: Iterable[str]) -> set[str]:
    """Which of these ids have a row."""
    return set(find_rows(connection, table, list(wanted)))
