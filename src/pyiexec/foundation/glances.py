"""Reads that are over in a fraction of a millisecond, for what is asked most.

Handing such a read to another thread costs more than the read. On SQLite it is made on the spot, in the event loop,
and given up as soon as it proves to be a long one: then it is made like any other, on a reader's thread. On PostgreSQL
it is a read like any other.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from pyiexec.foundation.database import Database
from pyiexec.foundation.logs import get_logger
from pyiexec.foundation.statements import Statement

T = TypeVar("T")

log = get_logger(__name__)

#: Runs a statement in the driver's own language, and gives its rows.
Run = Callable[[str, Sequence[Any]], Sequence[Any]]

_SQLITE = "sqlite:///"
#: Steps of SQLite's machine between two looks at how many there were, and how many looks a read may last: a few
#: milliseconds at most.
_STEPS, _LOOKS = 1000, 200
#: Bytes of the file that are read where the system keeps them, without being copied page by page.
_MAPPED = 4 << 30
#: Statements that SQLite keeps prepared.
_PREPARED = 512


class Glances:
    """Short reads of one database, for the thread of one event loop.

    Args:
        database: as it is open.
        url: where it is.
    """

    def __init__(self, database: Database, url: str) -> None:
        self._database = database
        self._looks = 0
        self._connection: sqlite3.Connection | None = None
        self.dialect: sa.Dialect
        if not url.startswith(_SQLITE):
            from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg

            # SQLAlchemy leaves the dialect's constructor without types.
            self.dialect = PGDialect_asyncpg()  # type: ignore[no-untyped-call]
            return
        self.dialect = SQLiteDialect_pysqlite(paramstyle="qmark")
        self._connection = sqlite3.connect(
            url.removeprefix(_SQLITE), isolation_level=None, cached_statements=_PREPARED, timeout=0
        )
        for pragma in ("query_only=ON", f"mmap_size={_MAPPED}"):
            self._connection.execute(f"PRAGMA {pragma}")
        self._connection.set_progress_handler(self._look, _STEPS)

    def close(self) -> None:
        """Let go of the database."""
        if self._connection is not None:
            self._connection.close()

    async def read(self, function: Callable[[Run], T]) -> T:
        """What `function` makes of one consistent state; it may be run twice.

        Raises:
            IexecError: ``DATABASE_UNAVAILABLE``.
        """
        if self._connection is not None:
            try:
                return self._at_once(self._connection, function)
            except sqlite3.OperationalError as error:
                # Too long, or the database is busy with itself.
                log.debug("a glance became a read", reason=str(error))
        return await self._database.read(lambda connection: function(runner(connection)))

    async def ask(self, statement: Statement, **named: Any) -> Sequence[Any]:
        """The rows a statement answers with.

        Raises:
            IexecError: ``DATABASE_UNAVAILABLE``.
        """
        words = statement.words(self.dialect)
        return await self.read(lambda run: run(words.text, words.values(named)))

    def _at_once(self, connection: sqlite3.Connection, function: Callable[[Run], T]) -> T:
        def run(statement: str, values: Sequence[Any]) -> Sequence[Any]:
            return connection.execute(statement, values).fetchall()

        self._looks = 0
        connection.execute("BEGIN")
        try:
            return function(run)
        finally:
            connection.rollback()

    def _look(self) -> bool:
        self._looks += 1
        return self._looks > _LOOKS


def runner(connection: sa.Connection) -> Run:
    """Runs statements in the transaction of a connection."""

    def run(statement: str, values: Sequence[Any]) -> Sequence[Any]:
        return connection.exec_driver_sql(statement, tuple(values)).all()

    return run
