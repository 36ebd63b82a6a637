import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.multiaddr import decode_multiaddr, encode_multiaddr

CID = "QmW2WQi7j6c7UgJTarActp7tDNikE4B2qXtFCfLPdsgaTQ"
BINARY = bytes.fromhex("a5032212207237a7f4091a74ae95514890fa86a2e8a36037c350ea71c06a34c8cbe25a5057")


@pytest.mark.parametrize("path", [f"/ipfs/{CID}", f"/p2p/{CID}"])
def test_an_ipfs_path_is_written_as_the_js_client_writes_it(path: str) -> None:
    assert encode_multiaddr(path) == BINARY
    assert decode_multiaddr(BINARY) == f"/ipfs/{CID}"


@given(st.binary(min_size=32, max_size=32))
def test_every_binary_ipfs_address_reads_back(digest: bytes) -> None:
    data = BINARY[:5] + digest
    assert encode_multiaddr(decode_multiaddr(data)) == data


@pytest.mark.parametrize(
    "text",
    [
        "https://example.org/app.wasm",
        "docker.io/library/python:3",
        "/ipfs/bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi",
        f"/ipfs/{CID}/folder/app.wasm",
        "/ipfs/Qm" + "z" * 44,
        "/ipfs/Qm" + "1" * 44,
    ],
)
def test_anything_else_is_kept_as_text(text: str) -> None:
    assert encode_multiaddr(text) == text.encode()
    assert decode_multiaddr(text.encode()) == text


@pytest.mark.parametrize("data", [b"", b"  ", b"\xff\xfe", BINARY[:-1], BINARY + b"\0", b"a\0b", b"a\x1b[31m"])
def test_bytes_that_are_no_address_are_refused(data: bytes) -> None:
    with pytest.raises(IexecError) as refusal:
        decode_multiaddr(data)
    assert refusal.value.code == "BAD_MULTIADDR"


@pytest.mark.parametrize("text", ["", " ", "\ud800"])
def test_text_that_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(IexecError) as refusal:
        encode_multiaddr(text)
    assert refusal.value.code == "BAD_MULTIADDR"


@given(st.binary(max_size=60))
def test_arbitrary_bytes_give_an_address_or_a_refusal(data: bytes) -> None:
    try:
        text = decode_multiaddr(data)
    except IexecError:
        return
    assert decode_multiaddr(encode_multiaddr(text)) == text
