"""Filters as SQL: what ``where`` says of an object, as a condition on its row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from math import ceil, floor
from typing import Any

import sqlalchemy as sa
from graphql import GraphQLError

from pyiexec.indexer.entities import LIST_COLUMNS, Entity, Field
from pyiexec.indexer.graphql.limits import Limits
from pyiexec.indexer.graphql.schema import Kind, kind_of, operators
from pyiexec.indexer.tables import LIST_TABLES, TABLES
from pyiexec.protocol.units import NRLC_PER_RLC

#: A table or an alias of one.
Rows = sa.FromClause
Condition = sa.ColumnElement[bool]

_PARENT, _POSITION, _CHILD = LIST_COLUMNS
_COMPARE: Mapping[str, Callable[[Any, Any], Condition]] = {
    "_gt": lambda column, value: column > value,
    "_gte": lambda column, value: column >= value,
    "_lt": lambda column, value: column < value,
    "_lte": lambda column, value: column <= value,
}
_INT64 = range(-(2**63), 2**63)


def tables_of(kind: Kind) -> tuple[sa.Table, ...]:
    """Where objects of a kind are rows: one table, but for an interface whose implementations have their own."""
    if isinstance(kind, Entity):
        return (TABLES[kind.table],)
    if kind.table:
        return (TABLES[kind.table],)
    return tuple(TABLES[entity.table] for entity in kind.implementations)


def of_kind(kind: Kind, rows: Rows) -> list[Condition]:
    """What tells rows of a kind from others in the same table."""
    return [rows.c.kind == kind.kind] if isinstance(kind, Entity) and kind.kind else []


class Filter:
    """Translates filters of one query.

    Args:
        dialect: name of the database's SQL.
        limits: on all filters together.
    """

    def __init__(self, dialect: str, limits: Limits) -> None:
        self._position = sa.func.strpos if dialect == "postgresql" else sa.func.instr
        self._limits = limits
        self._left = limits.conditions

    def conditions(self, kind: Kind, rows: Rows, where: Mapping[str, Any] | None) -> list[Condition]:
        """What all must hold for `rows` to be of the kind and as `where` says.

        Raises:
            GraphQLError: the filter cannot be answered.
        """
        return [*of_kind(kind, rows), *self._of(kind, rows, where or {}, 1)]

    def _of(self, kind: Kind, rows: Rows, where: Mapping[str, Any], depth: int) -> list[Condition]:
        if depth > self._limits.condition_depth:
            raise GraphQLError(f"the filter is more than {self._limits.condition_depth} levels deep")
        found: list[Condition] = []
        for name, value in where.items():
            self._left -= 1
            if self._left < 0:
                raise GraphQLError(f"the filters have more than {self._limits.conditions} conditions")
            if name in ("and", "or"):
                parts = [sa.and_(sa.true(), *self._of(kind, rows, part or {}, depth + 1)) for part in value or []]
                # Nothing to choose from holds for nothing; of no demand everything holds.
                found.append(sa.and_(sa.true(), *parts) if name == "and" else sa.or_(sa.false(), *parts))
            elif name == "_change_block":
                raise GraphQLError("_change_block cannot be answered: the index does not keep when an object changed")
            else:
                field, suffix = operators(kind.name)[name]
                found.append(self._one(field, suffix, rows, name, value, depth))
        return found

    def _one(self, field: Field, suffix: str, rows: Rows, name: str, value: Any, depth: int) -> Condition:
        if suffix == "_":
            return self._related(field, rows, value or {}, depth)
        if field.list_table:
            return _listed(field, suffix, rows, _required(name, value))
        column = rows.c[field.column]
        if value is None and suffix in ("", "_not"):
            return column.is_(None) if suffix == "" else column.is_not(None)
        given = _required(name, value)
        if suffix in ("_in", "_not_in"):
            return _among(field, column, given, negated=suffix == "_not_in")
        if suffix in ("", "_not"):
            stored = _stored(field, given)
            if suffix == "":
                return sa.false() if stored is None else column == stored
            return column.is_not(None) if stored is None else column != stored
        if suffix in _COMPARE:
            return _compared(field, column, suffix, given)
        return self._text(column, suffix, given, is_bytes=field.type == "Bytes")

    def _text(self, column: sa.ColumnElement[Any], suffix: str, value: str, *, is_bytes: bool) -> Condition:
        negated, ignores_case = suffix.startswith("_not_"), suffix.endswith("_nocase")
        if not is_storable(value):
            return column.is_not(None) if negated else sa.false()
        if ignores_case:
            # Both databases fold these letters and no others in such columns.
            column, value = sa.func.lower(column), _fold(value)
        if "contains" in suffix:
            digits = sa.func.substr(column, 3) if is_bytes else column
            sought = value[2:] if is_bytes else value
            # Nothing is in every text, and null in none: what the databases find there differs.
            holds = self._position(digits, sought) > 0 if sought else sa.func.length(column) >= 0
        elif "starts_with" in suffix:
            holds = sa.func.substr(column, 1, len(value)) == value
        else:
            start = sa.func.length(column) - len(value) + 1
            holds = sa.and_(start >= 1, sa.func.substr(column, start) == value)
        return sa.not_(holds) if negated else holds

    def _related(self, field: Field, rows: Rows, where: Mapping[str, Any], depth: int) -> Condition:
        """That there is an object which the field leads to, and it is as `where` says."""
        kind = kind_of(field.type)
        (table,) = tables_of(kind)
        other = table.alias()
        inner = [*of_kind(kind, other), *self._of(kind, other, where, depth + 1)]
        link = None
        if field.list_table:
            link = LIST_TABLES[field.list_table].alias()
            inner += [link.c[_PARENT] == rows.c.id, link.c[_CHILD] == other.c.id]
        elif field.derived_by:
            by = kind.fields[field.derived_by]
            if by.list_table:
                link = LIST_TABLES[by.list_table].alias()
                inner += [link.c[_CHILD] == rows.c.id, link.c[_PARENT] == other.c.id]
            else:
                inner.append(other.c[by.column] == rows.c.id)
        else:
            inner.append(other.c.id == rows.c[field.column])
        source = [other] if link is None else [other, link]
        return sa.exists(sa.select(sa.literal(1)).select_from(*source).where(*inner).correlate(rows))


def _required(name: str, value: Any) -> Any:
    if value is None:
        raise GraphQLError(f'"{name}" cannot be null')
    return value


def _fold(text: str) -> str:
    return "".join(letter.lower() if letter.isascii() else letter for letter in text)


def is_storable(text: str) -> bool:
    """Whether a database could hold the text at all: no NUL, no half of a surrogate pair."""
    return "\0" not in text and not any("\ud800" <= letter <= "\udfff" for letter in text)


def _stored(field: Field, value: Any) -> Any:
    """A value as the column holds it; None when the column can hold no such value."""
    if field.type == "BigDecimal":
        units = Fraction(value) * NRLC_PER_RLC
        return int(units) if units.denominator == 1 else None
    if isinstance(value, int):
        return value if not _is_narrow(field) or value in _INT64 else None
    return value if is_storable(value) else None


def _is_narrow(field: Field) -> bool:
    return field.is_short or field.type == "Int"


def _among(field: Field, column: sa.ColumnElement[Any], values: Sequence[Any], *, negated: bool) -> Condition:
    stored = {found for found in (_stored(field, value) for value in values) if found is not None}
    if negated:
        return column.not_in(sorted(stored)) if stored else column.is_not(None)
    return column.in_(sorted(stored)) if stored else sa.false()


def _compared(field: Field, column: sa.ColumnElement[Any], suffix: str, value: Any) -> Condition:
    if field.type == "BigDecimal":
        # Between two amounts of whole nRLC nothing is stored: the comparison is with the nearer of them.
        units = Fraction(value) * NRLC_PER_RLC
        return _COMPARE[suffix](column, floor(units) if suffix in ("_gt", "_lte") else ceil(units))
    if isinstance(value, int) and _is_narrow(field) and value not in _INT64:
        return sa.true() if (value > 0) == (suffix in ("_lt", "_lte")) else sa.false()
    if isinstance(value, str) and not is_storable(value):
        raise GraphQLError("a text with such characters cannot be compared")
    return _COMPARE[suffix](column, value)


def _listed(field: Field, suffix: str, rows: Rows, members: Sequence[str]) -> Condition:
    """What is said of a stored list as a whole, or of its members."""
    assert field.list_table is not None, "a stored list"
    table = LIST_TABLES[field.list_table]

    def has(position: int | None, member: str) -> Condition:
        if not is_storable(member):
            return sa.false()
        link = table.alias()
        child = sa.func.lower(link.c[_CHILD]) if suffix.endswith("_nocase") else link.c[_CHILD]
        wanted = _fold(member) if suffix.endswith("_nocase") else member
        conditions = [link.c[_PARENT] == rows.c.id, child == wanted]
        if position is not None:
            conditions.append(link.c[_POSITION] == position)
        return sa.exists(sa.select(sa.literal(1)).select_from(link).where(*conditions).correlate(rows))

    if "contains" in suffix:
        holds = sa.and_(sa.true(), *(has(None, member) for member in members))
    else:
        link = table.alias()
        length = sa.select(sa.func.count()).select_from(link).where(link.c[_PARENT] == rows.c.id).correlate(rows)
        exact = (has(position, member) for position, member in enumerate(members))
        holds = sa.and_(length.scalar_subquery() == len(members), *exact)
    return sa.not_(holds) if suffix.startswith("_not") else holds
