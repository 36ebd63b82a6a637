"""What cannot be answered, or would cost too much, is refused in words; nothing that is asked stops the service."""

from __future__ import annotations

from typing import Any

import hypothesis
import pytest
from graphql.language import IntValueNode, StringValueNode
from hypothesis import HealthCheck
from hypothesis import strategies as st
from hypothesis_graphql import queries

from pyiexec.indexer.graphql.limits import Limits
from pyiexec.indexer.graphql.schema import schema

from .played import Indexed, indexed, played

__all__ = ["indexed", "played"]

ANY_TEXT = st.text(st.characters(codec="utf-8"), max_size=20).map(lambda text: StringValueNode(value=text))
ANY_NUMBER = st.integers().map(lambda number: IntValueNode(value=str(number)))
SCALARS = {"BigInt": ANY_NUMBER | ANY_TEXT, "BigDecimal": ANY_NUMBER | ANY_TEXT, "Bytes": ANY_TEXT}


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("{ deals(first: 1001) { id } }", '"first" must be between 0 and 1000'),
        ("{ deals(first: -1) { id } }", '"first" must be between 0 and 1000'),
        ("{ deals(skip: 5001) { id } }", '"skip" must be between 0 and 5000'),
        ("{ accounts { apps(first: 5000) { id } } }", '"first" must be between 0 and 1000'),
        ("{ deals { nothing } }", "Cannot query field"),
        ("{ deals(orderBy: nothing) { id } }", "Deal_orderBy"),
        ("{ deals(where: { nothing: 1 }) { id } }", "nothing"),
        ('{ deals(where: { botSize_gt: "many" }) { id } }', "not an integer"),
        ('{ deals(where: { tag: "0xzz" }) { id } }', "hexadecimal"),
        ('{ accounts(where: { balance_gt: "1e99999" }) { id } }', "not a decimal"),
        ("{ deals(where: { id_gt: null }) { id } }", '"id_gt" cannot be null'),
        ("{ deals(where: { _change_block: { number_gte: 1 } }) { id } }", "_change_block"),
        ("{ app { id } }", "argument 'id' of type 'ID!' is required"),
        ("mutation { deals { id } }", "only be queried"),
        ("{ deals { id }", "Syntax Error"),
        ("query A { protocols { id } } query B { protocols { id } }", "several operations"),
        ("fragment F on Deal { id }", "never used"),
        ("query ($id: ID!) { deal(id: $id) { id } }", "'$id'"),
    ],
)
def test_a_query_that_cannot_be_answered_says_why(indexed: Indexed, query: str, words: str) -> None:
    answer = indexed.answer(query)
    assert answer.get("data") is None
    assert any(words in error["message"] for error in answer["errors"]), answer["errors"]


def _nested(depth: int) -> str:
    return "{ deals(first: 1) " + "{ app { usages " * depth + "{ id }" + " } }" * depth + " }"


HOSTILE = {
    "depth": (_nested(20), "levels deep"),
    "aliases": ("{ " + " ".join(f"a{number}: deals {{ id }}" for number in range(400)) + " }", "fields"),
    "the same field again and again": ("{ " + "deals { id } " * 1000 + "}", "fields"),
    "tokens": ("{ " + "deals { id } " * 5000 + "}", "token"),
    "fragments that double one another": (
        "{ deals { ...F0 } } "
        + " ".join(f"fragment F{number} on Deal {{ ...F{number + 1} ...F{number + 1} }}" for number in range(30))
        + " fragment F30 on Deal { id }",
        "fields",
    ),
    "a fragment in itself": ("{ deals { ...F } } fragment F on Deal { app { usages { ...F } } }", "contains itself"),
    "one object in a thousand lists": (
        '{ category(id: "0") { ' + "deals(first: 1000) { category { " * 3 + "id" + " } }" * 3 + " } }",
        "objects",
    ),
    "one field under many names": (
        "{ deals(first: 1000) { " + " ".join(f"a{number}: params" for number in range(500)) + " } }",
        "characters",
    ),
    "the same of the schema again and again": (
        "{ __schema { types { inputFields { " + " ".join(f"a{number}: name" for number in range(500)) + " } } } }",
        "description",
    ),
    "filters within filters": (
        "{ deals(where: " + "{ and: [" * 12 + "{}" + "] }" * 12 + ") { id } }",
        "levels deep",
    ),
    "filters beside filters": (
        "{ deals(where: { or: [" + '{ id: "0x" } ' * 500 + "] }) { id } }",
        "conditions",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_query_that_asks_for_too_much_is_refused(indexed: Indexed, name: str) -> None:
    query, words = HOSTILE[name]
    indexed.answerer.limits, ample = Limits(objects=3_000, characters=500_000), indexed.answerer.limits
    try:
        assert words in indexed.refusal(query)
    finally:
        indexed.answerer.limits = ample


def test_variables_that_are_nested_without_end_are_refused(indexed: Indexed) -> None:
    where: dict[str, Any] = {}
    for _ in range(900):
        where = {"and": [where]}
    assert "deep" in indexed.refusal("query ($where: Deal_filter) { deals(where: $where) { id } }", where=where)


def test_a_query_that_takes_too_long_is_stopped(indexed: Indexed) -> None:
    """Each condition below looks through all transfers for each transfer."""
    where = (
        '{ or: [{ from_: { transfersTo_: { value_gt: "1e9" } } }, { to_: { transfersFrom_: { value_gt: "1e9" } } }] }'
    )
    many = " ".join(
        f"a{number}: accounts(where: {{ transfersTo_: {{ from_: {{ transfersTo_: {where} }} }} }}) {{ id }}"
        for number in range(30)
    )
    indexed.answerer.limits, ample = Limits(seconds=0.05), indexed.answerer.limits
    try:
        assert "takes more than 0.05 s" in indexed.refusal(f"{{ {many} }}")
    finally:
        indexed.answerer.limits = ample
    assert indexed.data("{ protocols { id } }"), "and the next one is answered as ever"


@hypothesis.settings(
    max_examples=40,
    deadline=None,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
@hypothesis.given(data=st.data())
def test_any_query_of_the_schema_gets_data_or_a_reason(indexed: Indexed, data: st.DataObject) -> None:
    query = data.draw(queries(schema(), custom_scalars=SCALARS))
    answer = indexed.answer(query)
    assert answer.get("data") or answer["errors"]
