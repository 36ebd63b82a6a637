"""The words every rule speaks: addresses, 32-byte values, keccak.

Outside the codec an address is an EIP-55 checksummed string and a 32-byte value a lower-case ``0x`` string, so that
both can be keys, log fields and JSON without conversion.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NewType

import sha3

from pyiexec.protocol.errors import IexecError

Address = NewType("Address", str)
Bytes32 = NewType("Bytes32", str)
DealId = NewType("DealId", Bytes32)
TaskId = NewType("TaskId", Bytes32)
OrderHash = NewType("OrderHash", Bytes32)
ResultHash = NewType("ResultHash", Bytes32)
ResultSeal = NewType("ResultSeal", Bytes32)
ResultDigest = NewType("ResultDigest", Bytes32)

NULL_ADDRESS = Address("0x" + "0" * 40)
NULL_BYTES32 = Bytes32("0x" + "0" * 64)

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")
_BYTES32 = re.compile(r"0x[0-9a-fA-F]{64}")


def keccak256(data: bytes) -> bytes:
    """Keccak-256 as Ethereum uses it (not NIST SHA-3), 32 bytes."""
    digest: bytes = sha3.keccak_256(data).digest()
    return digest


def to_hex(data: bytes) -> str:
    """``0x``-prefixed lower-case hexadecimal."""
    return "0x" + data.hex()


def to_bytes(text: str) -> bytes:
    """The bytes of a ``0x`` string.

    Raises:
        IexecError: ``BAD_HEX`` when the text is not whole bytes of ``0x`` hexadecimal.
    """
    try:
        if not text.startswith("0x"):
            raise ValueError(text)
        return bytes.fromhex(text[2:])
    except ValueError:
        raise IexecError("BAD_HEX", f"{text[:80]!r} is not 0x-prefixed hexadecimal") from None


def is_address(text: object) -> bool:
    """Whether ``text`` has the form of an address; the checksum is not looked at."""
    return isinstance(text, str) and _ADDRESS.fullmatch(text) is not None


@lru_cache(maxsize=4096)
def _checksummed(lower: str) -> Address:
    digest = keccak256(lower.encode()).hex()
    return Address("0x" + "".join(c.upper() if int(d, 16) > 7 else c for c, d in zip(lower, digest, strict=False)))


def checksum(address: str | bytes) -> Address:
    """The EIP-55 spelling of an address given as 20 bytes or as hexadecimal.

    Raises:
        IexecError: ``BAD_ADDRESS`` when it has another form, or is mixed-case with a wrong checksum.
    """
    if isinstance(address, bytes):
        if len(address) != 20:
            raise IexecError("BAD_ADDRESS", f"an address has 20 bytes, not {len(address)}")
        return _checksummed(address.hex())
    if not is_address(address):
        raise IexecError("BAD_ADDRESS", f"{str(address)[:80]!r} is not an address")
    return _checked(address)


@lru_cache(maxsize=4096)
def _checked(address: str) -> Address:
    digits = address[2:]
    result = _checksummed(digits.lower())
    if digits not in (digits.lower(), digits.upper(), result[2:]):
        raise IexecError("BAD_ADDRESS", f"{address} has a wrong EIP-55 checksum; did a digit change?")
    return result


def bytes32(value: str | bytes | int) -> Bytes32:
    """A 32-byte value as a lower-case ``0x`` string; integers are big-endian, bytes must be exactly 32.

    Raises:
        IexecError: ``BAD_BYTES32`` when it does not fit.
    """
    if isinstance(value, int) and 0 <= value < 1 << 256:
        return Bytes32(f"0x{value:064x}")
    if isinstance(value, bytes) and len(value) == 32:
        return Bytes32("0x" + value.hex())
    if isinstance(value, str) and _BYTES32.fullmatch(value):
        return Bytes32(value.lower())
    raise IexecError("BAD_BYTES32", f"{str(value)[:80]!r} is not a 32-byte value")
