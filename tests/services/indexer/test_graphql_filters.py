"""Any filter finds what the same filter finds in plain Python, on either database."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from functools import cache
from operator import itemgetter
from typing import Any

import hypothesis
from hypothesis import HealthCheck
from hypothesis import strategies as st

from pyiexec.indexer.entities import ENUMS, Field
from pyiexec.indexer.graphql.schema import Kind, kind_of, operators
from pyiexec.indexer.graphql.selection import members
from pyiexec.indexer.tables import LIST_TABLES

from .played import Indexed, indexed, played

__all__ = ["indexed", "played"]

Row = dict[str, Any]
KINDS = (
    *("Deal", "Task", "Account", "App", "Dataset", "Workerpool", "BulkSlice", "RequestOrder", "DatasetOrder"),
    *("Contribution", "Reward", "TaskContribute", "TaskEvent", "AccountEvent", "WorkerpoolEvent", "Ressource"),
    *("Transaction", "Transfer", "Category", "Bulk", "Protocol"),
)
SETTINGS = hypothesis.settings(
    max_examples=100,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
_COMPARE = {
    "_gt": lambda one, other: one > other,
    "_gte": lambda one, other: one >= other,
    "_lt": lambda one, other: one < other,
    "_lte": lambda one, other: one <= other,
}


class Model:
    """Objects as plain rows, and filters over them."""

    def __init__(self, rows: Mapping[str, list[Row]]) -> None:
        self._rows = rows
        self._objects: dict[str, list[Row]] = {}
        self._found: dict[tuple[str, str], dict[Any, list[Row]]] = {}
        #: Members of stored lists, in order, by list and owner; and the other way round.
        self.lists: dict[str, dict[str, list[str]]] = {}
        for table in LIST_TABLES:
            for link in sorted(rows[table], key=itemgetter("position")):
                self.lists.setdefault(table, {}).setdefault(link["parent"], []).append(link["child"])

    def objects(self, kind: Kind) -> list[Row]:
        """All of a kind."""
        if kind.name not in self._objects:
            self._objects[kind.name] = [
                row
                for entity in members(kind)
                for row in self._rows[entity.table]
                if entity.kind is None or row["kind"] == entity.kind
            ]
        return self._objects[kind.name]

    def _where(self, kind: Kind, column: str, value: Any) -> list[Row]:
        place = kind.name, column
        if place not in self._found:
            found = self._found[place] = {}
            for row in self.objects(kind):
                found.setdefault(row[column], []).append(row)
        return [] if value is None else self._found[place].get(value, [])

    def related(self, field: Field, row: Row) -> list[Row]:
        """What a field leads to."""
        kind = kind_of(field.type)
        if field.list_table:
            ids = set(self.members(field.list_table, row["id"]))
            return [other for member in ids for other in self._where(kind, "id", member)]
        if field.derived_by is None:
            return self._where(kind, "id", row[field.column])
        by = kind.fields[field.derived_by]
        if by.list_table:
            return [other for other in self.objects(kind) if row["id"] in self.members(by.list_table, other["id"])]
        return self._where(kind, by.column, row["id"])

    def members(self, table: str, parent: str) -> list[str]:
        """A stored list."""
        return self.lists.get(table, {}).get(parent, [])

    def holds(self, kind: Kind, row: Row, where: Mapping[str, Any]) -> bool:
        """Whether a row is as the filter says."""
        return all(self._holds(kind, row, name, value) for name, value in where.items())

    def _holds(self, kind: Kind, row: Row, name: str, value: Any) -> bool:
        if name == "and":
            return all(self.holds(kind, row, part) for part in value)
        if name == "or":
            return any(self.holds(kind, row, part) for part in value)
        field, suffix = operators(kind.name)[name]
        if suffix == "_":
            inner = kind_of(field.type)
            return any(self.holds(inner, other, value) for other in self.related(field, row))
        if field.list_table:
            return _says_list(suffix, self.members(field.list_table, row["id"]), value)
        return _says(field, suffix, row[field.column], value)


def _says_list(suffix: str, members_: list[str], value: list[str]) -> bool:
    if suffix.endswith("_nocase"):
        members_, value = [member.lower() for member in members_], [member.lower() for member in value]
    negated = suffix.startswith("_not")
    holds = set(value) <= set(members_) if "contains" in suffix else members_ == value
    return holds != negated


def _says(field: Field, suffix: str, stored: Any, value: Any) -> bool:
    if value is None:
        return (stored is None) == (suffix == "")
    if stored is None:
        # As in SQL: of what is not there nothing is said, not even that it differs.
        return False
    wanted = [_as_stored(field, entry) for entry in value] if isinstance(value, list) else _as_stored(field, value)
    if suffix in ("", "_not"):
        return bool((stored == wanted) == (suffix == ""))
    if suffix in ("_in", "_not_in"):
        return bool((stored in wanted) == (suffix == "_in"))
    if suffix in _COMPARE:
        if isinstance(stored, str):
            stored, wanted = stored.encode(), wanted.encode()
        return bool(_COMPARE[suffix](stored, wanted))
    if suffix.endswith("_nocase"):
        stored, wanted = stored.lower(), wanted.lower()
    if field.type == "Bytes":
        stored, wanted = stored[2:], wanted[2:]
    if "contains" in suffix:
        holds = wanted in stored
    else:
        holds = stored.startswith(wanted) if "starts_with" in suffix else stored.endswith(wanted)
    return holds != suffix.startswith("_not")


def _as_stored(field: Field, value: Any) -> Any:
    if field.type == "BigDecimal":
        return Fraction(Decimal(value)) * 10**9
    if field.type in ("BigInt", "Int"):
        return int(value)
    return f"0x{value.lower().removeprefix('0x')}" if field.type == "Bytes" else value


def _values(model: Model, kind: Kind, field: Field) -> st.SearchStrategy[Any]:
    """Wire forms of values of a field: such as are there, such as are near them, and others."""
    stored = {row[field.column] for row in model.objects(kind)} - {None}
    there = sorted(stored, key=repr)[:200]
    if field.type in ENUMS:
        return st.sampled_from(ENUMS[field.type])
    if field.type == "Int":
        return st.sampled_from([*there, 0]) | st.integers(-(2**31), 2**31 - 1)
    if field.type == "BigInt":
        near = st.sampled_from([*there, 0]).flatmap(lambda number: st.sampled_from([number - 1, number, number + 1]))
        return (near | st.integers(-(2**70), 2**260)).map(str)
    if field.type == "BigDecimal":
        exact = st.sampled_from([*there, 0]).map(lambda units: str(Decimal(units).scaleb(-9)))
        halves = st.sampled_from([*there, 0]).map(lambda units: str((Decimal(units) + Decimal("0.5")).scaleb(-9)))
        return exact | halves | st.integers(-5, 10**12).map(str)
    texts = st.sampled_from([*there, "0x"])
    parts = st.tuples(texts, st.integers(0, 12), st.integers(0, 12)).map(
        lambda drawn: drawn[0][drawn[1] : drawn[1] + drawn[2]]
    )
    if field.type == "Bytes":
        return (
            texts
            | st.binary(max_size=3).map(bytes.hex)
            | st.binary(max_size=2).map(lambda raw: f"0x{raw.hex().upper()}")
        )
    letters = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=4)
    return texts | parts | texts.map(str.upper) | letters | st.sampled_from(["%", "_", "'", "\\", "APP", "Round 0"])


def _filters(model: Model, kind: Kind, depth: int) -> st.SearchStrategy[dict[str, Any]]:
    def entry(name: str) -> st.SearchStrategy[tuple[str, Any]]:
        field, suffix = operators(kind.name)[name]
        if suffix == "_":
            return st.tuples(st.just(name), _filters(model, kind_of(field.type), depth - 1))
        if field.list_table:
            children = sorted({child for listed in model.lists[field.list_table].values() for child in listed})
            return st.tuples(st.just(name), st.lists(st.sampled_from([*children, "0xAB"]), max_size=3))
        value = _values(model, kind, field)
        if suffix in ("_in", "_not_in"):
            return st.tuples(st.just(name), st.lists(value, max_size=4))
        if suffix in ("", "_not"):
            value = value | st.none()
        return st.tuples(st.just(name), value)

    names = [name for name, (_, suffix) in operators(kind.name).items() if depth > 0 or suffix != "_"]
    plain = st.lists(st.sampled_from(names).flatmap(entry), min_size=0, max_size=2).map(dict)
    if depth <= 0:
        return plain
    inner = st.lists(_filters(model, kind, depth - 1), max_size=3)
    joined = st.tuples(st.sampled_from(["and", "or"]), inner).map(lambda pair: {pair[0]: pair[1]})
    return plain | plain | joined


@cache
def _model(indexed: Indexed) -> Model:
    return Model(indexed.rows)


@SETTINGS
@hypothesis.given(data=st.data(), name=st.sampled_from(KINDS))
def test_a_filter_finds_what_it_says(indexed: Indexed, data: st.DataObject, name: str) -> None:
    model, kind = _model(indexed), kind_of(name)
    where = data.draw(_filters(model, kind, 2))
    query = f"query($where: {name}_filter) {{ found: {kind.plural}(first: 1000, where: $where) {{ id }} }}"
    found = [item["id"] for item in indexed.data(query, where=where)["found"]]
    expected = sorted(row["id"] for row in model.objects(kind) if model.holds(kind, row, where))
    assert found == expected[:1000]


def test_no_filter_is_without_effect(indexed: Indexed) -> None:
    """The model above would agree with a service that ignored filters if nothing were ever left out."""
    everything = indexed.data("{ tasks(first: 1000) { id } }")["tasks"]
    some = indexed.data('{ tasks(first: 1000, where: { status: COMPLETED, deal_: { botSize_gt: "1" } }) { id } }')
    assert 0 < len(some["tasks"]) < len(everything)


def test_values_that_no_column_can_hold_are_found_nowhere(indexed: Indexed) -> None:
    for where in (
        '{ name: "a\\u0000b" }',
        '{ name_contains: "\\u0000" }',
        '{ timestamp_gt: "99999999999999999999999" }',
    ):
        assert indexed.data(f"{{ apps(where: {where}) {{ id }} }}") == {"apps": []}
    for where in ('{ name_not: "a\\u0000b" }', '{ timestamp_lt: "99999999999999999999999" }'):
        assert indexed.data(f"{{ apps(where: {where}) {{ id }} }}")["apps"]
