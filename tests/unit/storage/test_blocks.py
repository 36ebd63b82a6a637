"""Blocks are read as they were written, and what is no block is refused."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyiexec.protocol.errors import IexecError
from pyiexec.storage.cid import DAG_PB, RAW, Cid
from pyiexec.storage.dag_pb import Link, decode, link
from pyiexec.storage.directories import directory_of, read_directory

cids = st.builds(
    lambda kind, digest: Cid(*kind, digest),
    st.sampled_from([(0, DAG_PB), (1, DAG_PB), (1, RAW)]),
    st.binary(min_size=32, max_size=32),
)
names = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=60).filter(
    lambda name: name not in (".", "..")
)
links = st.builds(Link, names, cids, st.integers(0, 2**63))


@given(st.lists(links, max_size=20, unique_by=lambda entry: entry.name))
def test_a_folder_is_read_back(entries: list[Link]) -> None:
    folder = directory_of(entries)
    assert folder.cid.digest == hashlib.sha256(folder.block).digest()
    assert read_directory(folder.cid, folder.block) == folder
    assert set(folder.entries.values()) == set(entries)
    assert list(folder.entries) == sorted(folder.entries, key=str.encode)


def test_the_empty_folder_has_its_famous_name() -> None:
    assert str(directory_of([]).cid) == "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(block: bytes) -> None:
    try:
        links, data = decode(block)
    except IexecError as error:
        if error.code != "BAD_BLOCK":
            raise
    else:
        assert sum(len(entry.cid.digest) for entry in links) + len(data) <= len(block)


@given(st.lists(links, min_size=1, max_size=3), st.data())
def test_no_cut_block_is_read_as_a_whole_one(entries: list[Link], data: st.DataObject) -> None:
    block = b"".join(link(entry.cid, entry.name, entry.dag_bytes) for entry in entries)
    cut = data.draw(st.integers(1, len(block) - 1))
    try:
        found, _ = decode(block[:cut])
    except IexecError:
        return
    assert found == entries[: len(found)]
    assert len(found) < len(entries)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\0", "é" * 128, "\ud800"])
def test_names_that_lead_elsewhere_are_refused(name: str) -> None:
    with pytest.raises(IexecError, match="BAD_REQUEST"):
        directory_of([Link(name, Cid(0, DAG_PB, bytes(32)), 1)])


def test_a_name_stands_once_and_folders_have_a_size() -> None:
    entry = Link("a", Cid(0, DAG_PB, bytes(32)), 1)
    with pytest.raises(IexecError, match="BAD_REQUEST"):
        directory_of([entry, entry])
    with pytest.raises(IexecError, match="BAD_REQUEST"):
        directory_of([entry._replace(name=f"{number:0200}") for number in range(1200)])
