"""What the name of a container image says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.images import ImageName, is_image, parse_image
from pyiexec.protocol.primitives import Bytes32

HEX = "0123456789abcdef" * 4
CHECKSUM = Bytes32("0x" + HEX)


@pytest.mark.parametrize(
    ("text", "name", "registry"),
    [
        ("busybox", ImageName("busybox", "", None), "docker.io"),
        ("iexechub/python-hello-world:8.0.0", ImageName("iexechub/python-hello-world", "8.0.0", None), "docker.io"),
        ("docker.io/library/busybox", ImageName("docker.io/library/busybox", "", None), "docker.io"),
        (f"ghcr.io/a/b/c@sha256:{HEX}", ImageName("ghcr.io/a/b/c", "", CHECKSUM), "ghcr.io"),
        (f"localhost/a:1@sha256:{HEX}", ImageName("localhost/a", "1", CHECKSUM), "localhost"),
        ("127.0.0.1:5000/a__b/c-d", ImageName("127.0.0.1:5000/a__b/c-d", "", None), "127.0.0.1:5000"),
        ("[::1]:5000/a", ImageName("[::1]:5000/a", "", None), "[::1]:5000"),
        ("Registry.Example/a", ImageName("Registry.Example/a", "", None), "Registry.Example"),
    ],
)
def test_a_name_is_taken_apart(text: str, name: ImageName, registry: str) -> None:
    assert parse_image(text) == name
    assert name.registry == registry
    assert is_image(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/ipfs/QmWATWQ7fVPP2EFGu71UkfnqhYXDYH566qy47CnJDgvs8u",
        "ipfs://QmWATWQ7fVPP2EFGu71UkfnqhYXDYH566qy47CnJDgvs8u",
        "https://example.com/app",
        "Upper/case",
        "a b",
        "a//b",
        "a/../b",
        "a@sha256:12",
        f"a@sha512:{HEX}",
        f"a@sha256:{HEX.upper()}",
        "a:",
        "a:b:c",
        "a\n",
        "a" * 256,
        "example.com:123456/a",
        "a?tag=b",
        "-a",
    ],
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(IexecError) as refused:
        parse_image(text)
    assert refused.value.code == "BAD_IMAGE"
    assert not is_image(text)


def test_the_pinned_name_has_the_digest_and_not_the_tag() -> None:
    assert parse_image("a/b:1").pinned(CHECKSUM) == f"a/b@sha256:{HEX}"


@given(st.text("aA0.:/@-_[]", max_size=40))
def test_any_text_is_a_name_or_refused(text: str) -> None:
    if is_image(text):
        name = parse_image(text)
        again = name.repository + (f":{name.tag}" if name.tag else "")
        assert text == again + (f"@sha256:{name.checksum.removeprefix('0x')}" if name.checksum else "")
