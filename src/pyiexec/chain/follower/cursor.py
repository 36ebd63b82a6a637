"""How far a reader of the chain's logs has come, and what it would have to undo.

The cursor is stored by the reader itself, in the database transaction that stores the effects of the logs: either both
are there after a crash, or neither.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import sqlalchemy as sa

from pyiexec.foundation.database import Migrations
from pyiexec.foundation.statements import Statement, upsert

#: To be given to `Database.open` by every service that follows logs.
MIGRATIONS = Migrations("pyiexec.chain.follower.migrations", lineage="follower")

#: A log in JSON-RPC form.
Log = Mapping[str, Any]

metadata = sa.MetaData()

cursors = sa.Table(
    "log_cursors",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("hash", sa.String(66), nullable=False),
)

marks = sa.Table(
    "log_marks",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("hash", sa.String(66), nullable=False),
    sa.Column("logs", sa.Text, nullable=False),
)


class Mark(msgspec.Struct, frozen=True):
    """A block that was read, and which logs were found in it."""

    number: int
    hash: str
    logs: tuple[Log, ...] = ()


class Cursor(msgspec.Struct, frozen=True):
    """The last block read, and marks of earlier ones by which a reorganisation is recognised and undone.

    Attributes:
        number: of the last block read; -1 before the first.
        marks: oldest first. Every block read among the last `WINDOW`, and of older ones a few without their logs.
    """

    number: int
    hash: str
    marks: tuple[Mark, ...] = ()


#: What is stored of the blocks of a reader, and whether without logs: they are too long to be read with each batch.
_STORED = Statement(
    sa.select(marks.c.number, marks.c.hash, marks.c.logs == "[]").where(marks.c.name == sa.bindparam("reader"))
)
_FORGET = Statement(
    sa.delete(marks).where(marks.c.name == sa.bindparam("reader"), marks.c.number == sa.bindparam("block"))
)
_REMEMBER = Statement(sa.insert(marks))
_PLACE = upsert(cursors)

#: Blocks whose logs are kept so that they can be undone.
WINDOW = 64


def trimmed(all_marks: Iterable[Mark], newest: int) -> list[Mark]:
    """Marks worth keeping when the chain has come to block `newest`.

    Beyond the window the oldest mark of every stretch stays, without its logs; stretches are a quarter as long as they
    are old. So a few dozen marks reach back to the beginning, and a node that lost much still finds a place to go on
    from.
    """
    kept: list[Mark] = []
    stretches: set[tuple[int, int]] = set()
    for mark in sorted(all_marks, key=lambda mark: mark.number):
        age = newest - mark.number
        if age < WINDOW:
            kept.append(mark)
            continue
        # Lengths are powers of two, so that two stretches become one as they grow older.
        length = (age // WINDOW).bit_length() + 3
        stretch = (length, mark.number >> length)
        if stretch not in stretches:
            stretches.add(stretch)
            kept.append(Mark(mark.number, mark.hash) if mark.logs else mark)
    return kept


def load_cursor(connection: sa.Connection, name: str) -> Cursor | None:
    """The stored cursor of a reader, None at its first start."""
    row = connection.execute(sa.select(cursors).where(cursors.c.name == name)).first()
    if row is None:
        return None
    stored = connection.execute(sa.select(marks).where(marks.c.name == name).order_by(marks.c.number))
    return Cursor(
        row.number,
        row.hash,
        tuple(Mark(mark.number, mark.hash, tuple(msgspec.json.decode(mark.logs))) for mark in stored),
    )


def save_cursor(connection: sa.Connection, name: str, cursor: Cursor) -> None:
    """Store how far a reader came; to be called in the transaction that stores what it made of the logs."""
    before = {(number, hash_, bool(bare)) for number, hash_, bare in _STORED.run(connection, reader=name)}
    after = {(mark.number, mark.hash, not mark.logs): mark for mark in cursor.marks}
    _FORGET.run_all(connection, ({"reader": name, "block": key[0]} for key in before if key not in after))
    new = [
        {"name": name, "number": mark.number, "hash": mark.hash, "logs": msgspec.json.encode(mark.logs).decode()}
        for key, mark in after.items()
        if key not in before
    ]
    _REMEMBER.run_all(connection, new)
    _PLACE.run(connection, name=name, number=cursor.number, hash=cursor.hash)
