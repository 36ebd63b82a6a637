import subprocess
import sys

import pytest
from eth_utils.address import to_checksum_address
from hypothesis import given
from hypothesis import strategies as st

from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import bytes32, checksum, is_address, keccak256, to_bytes, to_hex

raw_addresses = st.binary(min_size=20, max_size=20)


def test_keccak_is_that_of_ethereum() -> None:
    assert to_hex(keccak256(b"")) == "0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    assert to_hex(keccak256(b"iExecODB")) == "0xd09e9ea0312bbb0f4fb83599321c7d1cf938d018312d2bbab59677d8eb85fe1c"


@given(raw_addresses)
def test_checksums_agree_with_eth_utils(raw: bytes) -> None:
    expected = str(to_checksum_address(raw))
    assert checksum(raw) == checksum(to_hex(raw)) == checksum("0x" + raw.hex().upper()) == expected
    assert checksum(expected) == expected


@pytest.mark.parametrize("address", ["", "0x12", "0x" + "g" * 40, "11" * 20, "0x" + "11" * 20 + "\n", b"1" * 19])
def test_what_is_no_address_is_refused(address: str | bytes) -> None:
    with pytest.raises(IexecError) as refusal:
        checksum(address)
    assert refusal.value.code == "BAD_ADDRESS"
    assert not is_address(address)


def test_a_mistyped_address_is_noticed() -> None:
    with pytest.raises(IexecError, match="checksum"):
        checksum("0x70997970C51812dc3A010C7d01b50e0d17dc79c8")


@given(st.binary(max_size=40))
def test_hexadecimal_reads_back(data: bytes) -> None:
    assert to_bytes(to_hex(data)) == data


@pytest.mark.parametrize("text", ["", "12", "0x1", "0xzz"])
def test_what_is_no_hexadecimal_is_refused(text: str) -> None:
    with pytest.raises(IexecError) as refusal:
        to_bytes(text)
    assert refusal.value.code == "BAD_HEX"


def test_words_come_from_text_bytes_and_numbers() -> None:
    word = "0x" + "0" * 62 + "ab"
    assert bytes32("0x" + "0" * 62 + "AB") == bytes32(0xAB) == bytes32(bytes(31) + b"\xab") == word


@pytest.mark.parametrize("value", ["0x12", b"1", -1, 2**256, "0x" + "0" * 64 + "\n"])
def test_what_is_no_word_is_refused(value: str | bytes | int) -> None:
    with pytest.raises(IexecError) as refusal:
        bytes32(value)
    assert refusal.value.code == "BAD_BYTES32"


def test_the_rules_load_no_codec_and_no_service_library() -> None:
    heavy = {"eth_abi", "aiohttp", "sqlalchemy", "litestar", "web3", "coincurve", "asyncio"}
    program = (
        "import pkgutil, sys, pyiexec.protocol as p\n"
        "for m in pkgutil.iter_modules(p.__path__): __import__('pyiexec.protocol.' + m.name)\n"
        f"print(*sorted({heavy!r} & set(sys.modules)))"
    )
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert loaded.stdout.split() == []
