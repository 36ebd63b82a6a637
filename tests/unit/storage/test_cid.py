"""A CID has one value, whichever of its spellings is read."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multiformats import CID

from pyiexec.protocol.errors import IexecError
from pyiexec.storage.cid import DAG_PB, RAW, Cid, parse_cid

digests = st.binary(min_size=32, max_size=32)


@given(digests, st.sampled_from([(0, DAG_PB), (1, DAG_PB), (1, RAW)]))
def test_every_spelling_is_read_back(digest: bytes, kind: tuple[int, int]) -> None:
    cid = Cid(*kind, digest)
    assert parse_cid(str(cid)) == cid


@given(digests)
def test_the_spellings_are_those_of_the_multiformats_library(digest: bytes) -> None:
    multihash = b"\x12\x20" + digest
    assert str(Cid(0, DAG_PB, digest)) == str(CID("base58btc", 0, "dag-pb", multihash))
    assert str(Cid(1, DAG_PB, digest)) == str(CID("base32", 1, "dag-pb", multihash))
    assert str(Cid(1, RAW, digest)) == str(CID("base32", 1, "raw", multihash))


def test_both_versions_name_the_same_block() -> None:
    digest = hashlib.sha256(b"block").digest()
    assert parse_cid(str(Cid(1, DAG_PB, digest))).digest == parse_cid(str(Cid(0, DAG_PB, digest))).digest


GOOD_V0 = "QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o"
GOOD_V1 = str(parse_cid(GOOD_V0)._replace(version=1))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Qm",
        "../../etc/passwd",
        GOOD_V0[:-1],
        GOOD_V0 + "1",
        GOOD_V0.replace("T", "0"),
        GOOD_V0.replace("T", "é"),
        "Qm" + "z" * 44,
        GOOD_V1.upper(),
        GOOD_V1[:-1] + "1",
        GOOD_V1[:-1] + ("c" if GOOD_V1[-1] != "c" else "d"),
        "b" + "a" * 58,
        "zb2rhe5P4gXftAwvA4eXQ5HJwsER2owDyS9sKaQRRVQPn93bA",
    ],
)
def test_what_is_no_identifier_is_refused(text: str) -> None:
    with pytest.raises(IexecError) as refusal:
        parse_cid(text)
    assert refusal.value.code == "BAD_CID"


@given(st.text(max_size=80))
def test_no_text_breaks_the_reader(text: str) -> None:
    with pytest.raises(IexecError, match="BAD_CID"):
        parse_cid(text)
