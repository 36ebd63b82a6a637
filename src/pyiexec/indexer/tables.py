"""Tables of the index, made from the entities, and what the index needs to know about itself."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from pyiexec.indexer.entities import ENTITIES, INTERFACES, LIST_COLUMNS, Entity, Field

METADATA = sa.MetaData()

#: Text that sorts by code point on every database, as clients page through ids.
PLAIN_TEXT = sa.Text().with_variant(postgresql.TEXT(collation="C"), "postgresql")


class LongInteger(sa.types.TypeDecorator[int]):
    """An integer of up to 99 digits, as text that sorts as the numbers do.

    Two digits say how many digits follow: ``12345`` is stored as ``0512345``. A negative number is stored with every
    digit of that replaced by its complement to nine, after a minus sign. 64 bits would not hold what anybody may write
    into an order, and SQLite has no longer numbers.
    """

    impl = PLAIN_TEXT
    cache_ok = True

    def process_bind_param(self, value: int | None, dialect: sa.Dialect) -> str | None:
        """To the stored text."""
        return None if value is None else to_sortable(value)

    def process_result_value(self, value: str | None, dialect: sa.Dialect) -> int | None:
        """From the stored text."""
        return None if value is None else from_sortable(value)


_COMPLEMENT = str.maketrans("0123456789", "9876543210")


def to_sortable(number: int) -> str:
    """Text whose order among its like is the order of the numbers.

    Raises:
        ValueError: for a number of more than 99 digits.
    """
    digits = str(abs(number))
    if len(digits) > 99:
        raise ValueError("the number has more than 99 digits")
    text = f"{len(digits):02d}{digits}"
    return text if number >= 0 else "-" + text.translate(_COMPLEMENT)


def from_sortable(text: str) -> int:
    """The number of `to_sortable`."""
    return -int(text[1:].translate(_COMPLEMENT)[2:]) if text[0] == "-" else int(text[2:])


def column_type(field: Field) -> sa.types.TypeEngine[Any]:
    """How a field is stored."""
    if field.type == "Int" or field.is_short:
        return sa.BigInteger()
    if field.type in ("BigInt", "BigDecimal"):
        return LongInteger()
    return PLAIN_TEXT


def _derived_columns() -> set[tuple[str, str]]:
    """Table and column of everything that is looked up backwards."""
    # What a transaction did is asked for by filter as well as from the transaction.
    found = {("transfers", "transaction"), ("deal_events", "transaction")}
    for entity in ENTITIES.values():
        for field in entity.fields.values():
            if field.derived_by is None:
                continue
            shared = INTERFACES.get(field.type)
            table = shared.table if shared else ENTITIES[field.type].table
            target = (shared or ENTITIES[field.type]).fields[field.derived_by]
            if target.is_stored and table:
                found.add((table, target.column))
    return found


#: Tables that are listed by time, newest first.
_BY_TIME = frozenset({"apps", "datasets", "workerpools", "deals", "tasks", "transactions", "contributions"})


def _make_table(name: str, entities: Iterable[Entity], looked_up: set[tuple[str, str]]) -> sa.Table:
    members = list(entities)
    fields = {field.name: field for entity in members for field in entity.stored}
    shared = len(members) > 1 or members[0].kind is not None
    columns = [sa.Column("id", PLAIN_TEXT, primary_key=True)]
    if shared:
        columns.append(sa.Column("kind", PLAIN_TEXT, nullable=False))
    for field in fields.values():
        if field.name != "id":
            # In a shared table the other kinds leave it empty.
            required = field.required and all(field.name in entity.fields for entity in members)
            columns.append(sa.Column(field.column, column_type(field), nullable=not required))
    table = sa.Table(name, METADATA, *columns)
    for column in table.columns:
        if (name, column.name) in looked_up or (column.name == "timestamp" and name in _BY_TIME):
            sa.Index(f"ix_{name}_{column.name}", column)
    return table


def _make_tables() -> dict[str, sa.Table]:
    grouped: dict[str, list[Entity]] = {}
    for entity in ENTITIES.values():
        grouped.setdefault(entity.table, []).append(entity)
    looked_up = _derived_columns()
    return {name: _make_table(name, members, looked_up) for name, members in grouped.items()}


def _make_list_tables() -> dict[str, sa.Table]:
    found: dict[str, sa.Table] = {}
    parent, position, child = LIST_COLUMNS
    for entity in ENTITIES.values():
        for field in entity.fields.values():
            if field.list_table:
                found[field.list_table] = sa.Table(
                    field.list_table,
                    METADATA,
                    sa.Column(parent, PLAIN_TEXT, primary_key=True),
                    sa.Column(position, sa.BigInteger, primary_key=True, autoincrement=False),
                    sa.Column(child, PLAIN_TEXT, nullable=False, index=True),
                )
    return found


#: Tables of the entities by name.
TABLES: Mapping[str, sa.Table] = _make_tables()
#: Tables of the lists that are stored, by `Field.list_table`.
LIST_TABLES: Mapping[str, sa.Table] = _make_list_tables()

#: How far the index has come: one row.
#:
#: ``undo_floor`` is the lowest block to which it can go back without beginning anew.
STATE = sa.Table(
    "index_state",
    METADATA,
    sa.Column("name", PLAIN_TEXT, primary_key=True),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("hash", PLAIN_TEXT, nullable=False),
    sa.Column("timestamp", sa.BigInteger, nullable=False),
    sa.Column("undo_floor", sa.BigInteger, nullable=False),
)

#: What blocks that may be taken back have done (`working_set.Undo` as JSON).
UNDO = sa.Table(
    "index_undo",
    METADATA,
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("rows", sa.Text, nullable=False),
)

#: Files that bulk deals name: facts about content, which no reorganisation concerns.
#:
#: ``state`` is ``wanted``, ``found``, or ``refused`` for one that is not what it should be and never will.
BULK_FILES = sa.Table(
    "bulk_files",
    METADATA,
    sa.Column("cid", PLAIN_TEXT, primary_key=True),
    sa.Column("state", PLAIN_TEXT, nullable=False, index=True),
    sa.Column("content", sa.LargeBinary),
)

#: Which file lists the slices of a bulk deal, and which of them are its tasks'.
BULK_LISTS = sa.Table(
    "bulk_lists",
    METADATA,
    sa.Column("deal", PLAIN_TEXT, primary_key=True),
    sa.Column("cid", PLAIN_TEXT, nullable=False, index=True),
    sa.Column("bot_first", LongInteger, nullable=False),
    sa.Column("bot_size", LongInteger, nullable=False),
)

#: Which file holds the slice of which task of a bulk deal.
BULK_PLACES = sa.Table(
    "bulk_places",
    METADATA,
    sa.Column("deal", PLAIN_TEXT, primary_key=True),
    sa.Column("index", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("cid", PLAIN_TEXT, nullable=False, index=True),
)
