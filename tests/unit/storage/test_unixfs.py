"""The importer agrees with ``ipfs add`` on every shape of tree, however the bytes arrive."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pyiexec.storage.unixfs import CHUNK_BYTES, WIDTH, UnixFsHasher, file_cid, leaf_digest, root_of


def pattern(length: int) -> bytes:
    return (bytes(range(251)) * (length // 251 + 1))[:length]


#: Made with npm ipfs-unixfs-importer (CIDv0, dag-pb leaves, fixed 256 KiB chunks, balanced, width 174) on `pattern`.
REFERENCE = [
    (0, "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH", 6),
    (12, "QmebaVP2bwpoZK9XEV6QWrjmHXodxS3fdL1SypEYDb8vGx", 20),
    (262_143, "QmRfm83kqBpGJbGxJg1en9hpwq8eNnP4E2Dj8K73F4m983", 262_157),
    (262_144, "QmeqfRyS3vkku7n6krqC3DgGMex3x2sCpSeKMDmrG13QQq", 262_158),
    (262_145, "QmUSjGawaz4ptvREcMKSMJneWCa5j8dAz2wSAAvHtW2rnB", 262_267),
    (1_000_000, "QmVUbzigHKQR2y8wSt2KwZp92AC9Utfms5nEUHwttK4Yq9", 1_000_256),
    (CHUNK_BYTES * WIDTH, "QmXCym15aFeWjAWyPFaAgwVmkuKB7EBsV77Skt54KmxChF", 45_623_854),
    (CHUNK_BYTES * WIDTH + 1, "QmTedsTekQQkgACJXb1sPZSW8bLdS9LPMrT7L4YdjNRd4n", 45_624_016),
]


@pytest.mark.parametrize(("length", "cid", "dag_bytes"), REFERENCE)
def test_names_and_sizes_are_those_of_the_reference_importer(length: int, cid: str, dag_bytes: int) -> None:
    hasher = UnixFsHasher()
    hasher.update(pattern(length))
    root = hasher.finish()
    assert (str(root.cid), root.file_bytes, root.dag_bytes) == (cid, length, dag_bytes)


def test_hello_world_has_its_famous_name() -> None:
    assert str(file_cid(b"hello world\n")) == "QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o"


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 3 * CHUNK_BYTES), st.lists(st.integers(0, 2 * CHUNK_BYTES), max_size=6))
def test_how_the_bytes_are_cut_on_arrival_does_not_matter(length: int, cuts: list[int]) -> None:
    data = pattern(length)
    hasher = UnixFsHasher()
    for cut in cuts:
        piece, data = data[:cut], data[cut:]
        hasher.update(piece)
    hasher.update(data)
    assert hasher.finish().cid == file_cid(pattern(length))


@pytest.mark.parametrize("length", [0, 1, CHUNK_BYTES, CHUNK_BYTES + 1, 5 * CHUNK_BYTES + 7])
def test_the_root_follows_from_the_leaves(length: int) -> None:
    data = pattern(length)
    leaves = [leaf_digest(data[start : start + CHUNK_BYTES]) for start in range(0, max(1, length), CHUNK_BYTES)]
    assert root_of(leaves, length).cid == file_cid(data)
