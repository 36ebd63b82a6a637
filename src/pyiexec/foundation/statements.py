"""Statements that run thousands of times a second: put into the words of a database once, and handed to its driver.

What SQLAlchemy does around a statement costs several times what SQLite does in it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite


class Words(NamedTuple):
    """A statement in the words of one database, the names of its values in their order, and those that never change."""

    text: str
    names: tuple[str, ...]
    constants: Mapping[str, Any]

    def values(self, named: Mapping[str, Any]) -> list[Any]:
        """The values by their places."""
        given = {**self.constants, **named}
        return [given[name] for name in self.names]


class Statement:
    """A statement whose values have names.

    The values are those that drivers take: nothing here converts them, nor what comes back.

    Args:
        clause: the statement, with its values as parameters; or what makes it for a dialect of this name.
        columns: of an insertion or an update, which ones get values; all of the table by default.
    """

    def __init__(
        self, clause: sa.Executable | Callable[[str], sa.Executable], columns: Sequence[str] | None = None
    ) -> None:
        self._clause = clause
        self._columns = columns
        self._words: dict[str, Words] = {}

    def run(self, connection: sa.Connection, **named: Any) -> Sequence[Any]:
        """Run it in the transaction of a connection; the rows it answers with, as tuples."""
        words = self.words(connection.dialect)
        values = words.values(named)
        if connection.dialect.name == "sqlite":
            driver: Any = connection.connection.driver_connection
            rows: list[Any] = driver.execute(words.text, values).fetchall()
            return rows
        result = connection.exec_driver_sql(words.text, tuple(values))
        return result.all() if result.returns_rows else ()

    def run_all(self, connection: sa.Connection, rows: Iterable[Mapping[str, Any]]) -> None:
        """Run it for each of the rows, whatever it answers."""
        words = self.words(connection.dialect)
        values = [tuple(words.values(row)) for row in rows]
        if not values:
            return
        if connection.dialect.name == "sqlite":
            driver: Any = connection.connection.driver_connection
            driver.executemany(words.text, values)
        else:
            connection.exec_driver_sql(words.text, values)

    def words(self, dialect: sa.Dialect) -> Words:
        """The statement in the words of a database."""
        found = self._words.get(dialect.name)
        if found is None:
            clause = self._clause(dialect.name) if callable(self._clause) else self._clause
            # SQLAlchemy's type of whatever can be executed does not tell that it can be compiled.
            compiled: Any = clause.compile(  # type: ignore[attr-defined]
                dialect=dialect, column_keys=self._columns, compile_kwargs={"render_postcompile": True}
            )
            constants = {name: bound.value for name, bound in compiled.binds.items() if not bound.required}
            found = self._words[dialect.name] = Words(str(compiled), tuple(compiled.positiontup or ()), constants)
        return found


def upsert(table: sa.Table, keep: Collection[str] = ()) -> Statement:
    """Insert a row or put it in place of that with its key; where a value to `keep` is null the former stays."""

    def clause(dialect: str) -> sa.Executable:
        made = (postgresql if dialect == "postgresql" else sqlite).insert(table)
        values: dict[str, Any] = {c.name: made.excluded[c.name] for c in table.c if not c.primary_key}
        values |= {name: sa.func.coalesce(made.excluded[name], table.c[name]) for name in keep}
        put: sa.Executable = made.on_conflict_do_update(index_elements=list(table.primary_key), set_=values)
        return put

    return Statement(clause)
