"""Options are understood, or refused by their name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyiexec.protocol.errors import IexecError
from pyiexec.results.options import read_add, read_argument, read_count, read_path
from pyiexec.storage.unixfs import DEFAULT_LAYOUT, LAYOUT_V1, Layout, file_cid

CID = file_cid(b"x")


@pytest.mark.parametrize(
    ("query", "layout"),
    [
        ({}, DEFAULT_LAYOUT),
        ({"cid-version": "1"}, LAYOUT_V1),
        ({"cid-version": "1", "raw-leaves": "false"}, Layout(1)),
        ({"raw-leaves": "true"}, Layout(0, True)),
        ({"chunker": "size-65536"}, Layout(chunk_bytes=65_536)),
        ({"chunker": "default", "hash": "sha2-256", "trickle": "false", "pin": "false"}, DEFAULT_LAYOUT),
    ],
)
def test_the_layout_is_that_of_kubo(query: dict[str, str], layout: Layout) -> None:
    assert read_add(query).layout == layout


@given(st.dictionaries(st.text(max_size=20), st.text(max_size=20), max_size=5))
def test_no_query_breaks_the_reader(query: dict[str, str]) -> None:
    for read in (read_add, read_argument):
        try:
            read(query)
        except IexecError as error:
            if error.code not in ("BAD_REQUEST", "BAD_CID"):
                raise


@pytest.mark.parametrize("text", [f"{CID}", f"/ipfs/{CID}", f"{CID}/", f"/ipfs/{CID}/"])
def test_a_path_may_begin_and_end_with_a_slash(text: str) -> None:
    assert read_path(text) == (CID, [])
    assert read_path(f"{text.rstrip('/')}/a/b c") == (CID, ["a", "b c"])


@given(st.text(max_size=60))
def test_no_path_has_names_that_lead_elsewhere(text: str) -> None:
    try:
        _, names = read_path(f"{CID}/{text}")
    except IexecError:
        return
    assert not {"", ".", ".."} & set(names)


@pytest.mark.parametrize("text", ["", "-1", "1.5", "x", "٣", "9" * 20])
def test_counts_are_numbers(text: str) -> None:
    with pytest.raises(IexecError, match="offset"):
        read_count({"offset": text}, "offset")
