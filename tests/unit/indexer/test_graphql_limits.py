"""Queries are measured as they would be answered, and without doing the work that they ask for."""

from __future__ import annotations

import pytest
from graphql import GraphQLError, parse
from hypothesis import given
from hypothesis import strategies as st

from pyiexec.indexer.graphql.limits import Limits, check_document

#: A selection is fields with selections of their own.
TREES = st.recursive(st.just([]), lambda inner: st.lists(inner, min_size=1, max_size=4), max_leaves=30)
Tree = list["Tree"]


def _size(tree: Tree) -> int:
    return sum(1 + _size(branch) for branch in tree)


def _depth(tree: Tree) -> int:
    return max((1 + _depth(branch) for branch in tree), default=0)


def _text(tree: Tree) -> str:
    return (
        "{ " + " ".join(f"a{number}: f {_text(branch) if branch else ''}" for number, branch in enumerate(tree)) + " }"
    )


def _is_refused(query: str, limits: Limits) -> bool:
    try:
        check_document(parse(query), limits)
    except GraphQLError:
        return True
    return False


@given(TREES.filter(bool))
def test_a_query_may_have_as_many_fields_and_levels_as_the_limit_says_and_no_more(tree: Tree) -> None:
    size, depth, query = _size(tree), _depth(tree), _text(tree)
    assert not _is_refused(query, Limits(fields=size, depth=depth))
    assert _is_refused(query, Limits(fields=size - 1, depth=depth))
    assert _is_refused(query, Limits(fields=size, depth=depth - 1))


@given(TREES.filter(bool), st.integers(1, 5))
def test_a_fragment_counts_as_often_as_it_is_used(tree: Tree, times: int) -> None:
    uses = " ".join(f"x{number}: f {{ ...F }}" for number in range(times))
    query = f"{{ {uses} }} fragment F on T {_text(tree)}"
    size = times * (1 + _size(tree))
    assert not _is_refused(query, Limits(fields=size, depth=100))
    assert _is_refused(query, Limits(fields=size - 1, depth=100))
    assert _is_refused(query, Limits(fields=size, depth=_depth(tree)))


def test_fragments_that_double_one_another_are_not_followed() -> None:
    doubling = " ".join(f"fragment F{n} on T {{ ...F{n + 1} ...F{n + 1} }}" for n in range(100))
    with pytest.raises(GraphQLError, match="fields"):
        check_document(parse(f"{{ ...F0 }} {doubling} fragment F100 on T {{ id }}"), Limits())


@pytest.mark.parametrize(
    "fragments",
    ["fragment F on T { ...F }", "fragment F on T { f { ...G } } fragment G on T { ...F }"],
)
def test_fragments_that_contain_themselves_are_refused(fragments: str) -> None:
    with pytest.raises(GraphQLError, match="contains itself"):
        check_document(parse(f"{{ f {{ id }} }} {fragments}"), Limits())
