"""JSON from strangers is read as JSON is, and not deeper than it may be."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyiexec.protocol.strangers_json import MAX_DEPTH, decode_json

DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=40) | st.dictionaries(st.text(), inner, max_size=40),
    max_leaves=300,
)


@given(DOCUMENTS)
def test_what_is_not_deep_is_read(document: Any) -> None:
    assert decode_json(json.dumps(document)) == document
    assert decode_json(json.dumps(document, ensure_ascii=False).encode()) == document


def test_brackets_in_texts_and_beside_one_another_are_not_deep() -> None:
    document = ["[{" * 1000, {'\\"[': ["]"] * 1000}, [[] for _ in range(1000)]]
    assert decode_json(json.dumps(document)) == document


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":', '["\\"]",'])
def test_what_is_too_deep_is_refused(opening: str) -> None:
    levels = MAX_DEPTH // opening.count("[") if "{" not in opening else MAX_DEPTH
    for depth in (levels + 1, 5_000, 2_000_000):
        with pytest.raises(msgspec.DecodeError, match="nested"):
            decode_json(opening * depth)


def test_the_deepest_that_is_allowed_is_read() -> None:
    assert decode_json("[" * MAX_DEPTH + "]" * MAX_DEPTH, list[Any])
    with pytest.raises(msgspec.DecodeError):
        decode_json("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1))


@pytest.mark.parametrize("content", [b"\xff", b'"\xff"', b"", b"{", b"nul"])
def test_what_is_no_json_is_refused(content: bytes) -> None:
    with pytest.raises((msgspec.DecodeError, UnicodeError)):
        decode_json(content)
