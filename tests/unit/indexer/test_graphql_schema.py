"""The query language that is made of the entities is the one that hosts of subgraphs make."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from graphql import GraphQLEnumType, GraphQLError, GraphQLInputObjectType, GraphQLScalarType, parse, validate
from hypothesis import given
from hypothesis import strategies as st

from pyiexec.indexer.graphql.schema import orderings, schema
from pyiexec.indexer.graphql.shaping import decimal_text

ORDERED = {"", "_not", "_gt", "_lt", "_gte", "_lte", "_in", "_not_in"}
TEXT = {
    f"_{negation}{place}{case}"
    for negation in ("", "not_")
    for place in ("contains", "starts_with", "ends_with")
    for case in ("", "_nocase")
}
LISTED = {"", "_not", "_contains", "_not_contains", "_contains_nocase", "_not_contains_nocase", "_"}


@pytest.mark.parametrize(
    ("filter_", "field", "suffixes"),
    [
        ("Deal_filter", "id", ORDERED),
        ("Deal_filter", "botSize", ORDERED),
        ("Account_filter", "balance", ORDERED),
        ("Contribution_filter", "timestamp", ORDERED),
        ("Deal_filter", "tag", ORDERED | {"_contains", "_not_contains"}),
        ("App_filter", "name", ORDERED | TEXT),
        ("Deal_filter", "app", ORDERED | TEXT | {"_"}),
        ("Task_filter", "status", {"", "_not", "_in", "_not_in"}),
        ("Deal_filter", "tasks", {"_"}),
        ("Task_filter", "bulkSlice", {"_"}),
        ("BulkSlice_filter", "datasets", LISTED),
        ("TaskEvent_filter", "task", ORDERED | TEXT | {"_"}),
    ],
)
def test_a_field_can_be_filtered_by_the_published_operators(filter_: str, field: str, suffixes: set[str]) -> None:
    type_ = schema().type_map[filter_]
    assert isinstance(type_, GraphQLInputObjectType)
    names = set(type_.fields)
    others = {name for name in names if name.startswith(field)} - {field + suffix for suffix in suffixes}
    assert {field + suffix for suffix in suffixes} <= names
    # What is left begins with a longer field's name.
    assert not {name for name in others if name.removeprefix(field) in ORDERED | TEXT | LISTED}
    assert {"and", "or", "_change_block"} <= names


def test_lists_can_be_ordered_by_values_and_by_values_of_what_they_lead_to() -> None:
    assert {"timestamp", "usageCount", "owner", "owner__id", "owner__balance"} <= set(orderings("App"))
    assert "task__timestamp" in orderings("BulkSlice")
    assert "transaction__gasPrice" in orderings("TaskEvent")
    assert not any("__" in name and name.split("__")[1] in ("owner", "app") for name in orderings("Deal"))
    enumeration = schema().type_map["BulkSlice_orderBy"]
    assert isinstance(enumeration, GraphQLEnumType)
    assert set(enumeration.values) == set(orderings("BulkSlice"))


def test_a_misspelled_status_is_the_published_one() -> None:
    enumeration = schema().type_map["TaskStatus"]
    assert isinstance(enumeration, GraphQLEnumType)
    assert list(enumeration.values) == ["UNSET", "ACTIVE", "REVEALING", "COMPLETED", "FAILLED"]


def test_events_are_told_apart_by_fragments() -> None:
    query = "{ taskEvents { id ... on TaskReveal { digest worker { id } } ... on TaskFinalize { results } } }"
    assert validate(schema(), parse(query)) == []
    assert validate(schema(), parse("{ taskEvents { digest } }"))
    assert validate(schema(), parse("{ taskEvents { ... on Reward { value } } }"))


@given(st.integers(-(10**30), 10**30))
def test_amounts_are_written_exactly_and_without_needless_zeros(nrlc: int) -> None:
    text = decimal_text(nrlc)
    assert Fraction(text) * 10**9 == nrlc
    assert "E" not in text
    assert not ("." in text and text.endswith("0"))


@pytest.mark.parametrize(
    ("nrlc", "text"), [(0, "0"), (1, "0.000000001"), (10**8, "0.1"), (10**10, "10"), (-15, "-0.000000015")]
)
def test_amounts_look_as_clients_know_them(nrlc: int, text: str) -> None:
    assert decimal_text(nrlc) == text


@pytest.mark.parametrize(
    ("scalar", "given", "value"),
    [
        ("BigInt", "12", 12),
        ("BigInt", -3, -3),
        ("BigInt", str(2**256), 2**256),
        ("BigDecimal", "0.1", Decimal("0.1")),
        ("BigDecimal", 7, Decimal(7)),
        ("BigDecimal", 1.5, Decimal("1.5")),
        ("Bytes", "0xAB", "0xab"),
        ("Bytes", "ab", "0xab"),
        ("Bytes", "0x", "0x"),
    ],
)
def test_values_are_taken_in_the_forms_that_clients_use(scalar: str, given: Any, value: Any) -> None:
    type_ = schema().type_map[scalar]
    assert isinstance(type_, GraphQLScalarType)
    assert type_.parse_value(given) == value


@pytest.mark.parametrize(
    ("scalar", "given"),
    [
        *(("BigInt", value) for value in ("", "1.5", 1.5, "0x10", True, None, "9" * 81, [])),
        *(("BigDecimal", value) for value in ("", "nan", "Infinity", "1e999", True, "1" * 81, {})),
        *(("Bytes", value) for value in ("0xg0", "abc", 12, "0x0", None)),
    ],
)
def test_values_of_other_forms_are_refused(scalar: str, given: Any) -> None:
    type_ = schema().type_map[scalar]
    assert isinstance(type_, GraphQLScalarType)
    with pytest.raises(GraphQLError):
        type_.parse_value(given)
