"""A range header names a part of the content, nothing, or something the content does not have."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyiexec.protocol.errors import IexecError
from pyiexec.results.ranges import Part, is_fresh, may_continue, read_range

sizes = st.integers(0, 10**6)


@given(sizes, st.integers(0, 10**6), st.integers(0, 10**6))
def test_first_and_last_byte_name_what_is_between_them(size: int, first: int, length: int) -> None:
    header = f"bytes={first}-{first + length}"
    if first >= size:
        with pytest.raises(IexecError, match="RANGE_UNSATISFIABLE"):
            read_range(header, size)
    else:
        assert read_range(header, size) == Part(first, min(size, first + length + 1))


@given(sizes, st.integers(0, 10**6))
def test_a_suffix_names_the_end(size: int, length: int) -> None:
    if min(size, length) == 0:
        with pytest.raises(IexecError, match="RANGE_UNSATISFIABLE"):
            read_range(f"bytes=-{length}", size)
    else:
        assert read_range(f"bytes=-{length}", size) == Part(max(0, size - length), size)


@given(sizes, st.text(max_size=60))
def test_no_text_breaks_the_reader(size: int, header: str) -> None:
    try:
        part = read_range(header, size)
    except IexecError as error:
        if error.code != "RANGE_UNSATISFIABLE":
            raise
    else:
        assert part is None or 0 <= part.start < part.end <= size


def test_the_content_range_counts_the_last_byte() -> None:
    assert Part(0, 5).content_range(9) == "bytes 0-4/9"


@pytest.mark.parametrize(
    ("if_none_match", "fresh"),
    [("", False), ("*", True), ('"a"', True), ('W/"a"', True), ('"b", "a"', True), ('"aa"', False), ("a", False)],
)
def test_a_reader_has_what_one_of_its_etags_names(if_none_match: str, fresh: bool) -> None:
    assert is_fresh(if_none_match, '"a"') is fresh


def test_a_range_goes_on_only_under_the_same_strong_etag() -> None:
    assert may_continue("", '"a"')
    assert may_continue('"a"', '"a"')
    assert not may_continue('W/"a"', '"a"')
    assert not may_continue('"b"', '"a"')
