"""The token with which clients answer a challenge: who signed what, claimed and not yet verified.

Source: EIP-712; clients send ``<digest>_<signature>_<address>``.
"""

from __future__ import annotations

import msgspec

from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import NULL_ADDRESS, Address, Bytes32, bytes32, checksum, to_bytes

#: Longest signature looked at, as text of 1024 bytes: contracts may define their own.
_MAX_SIGNATURE = 2050


class Login(msgspec.Struct, frozen=True):
    """An answer to a challenge.

    Attributes:
        digest: what was signed.
        signature: of it.
        address: who is said to have signed.
    """

    digest: Bytes32
    signature: bytes
    address: Address


def read_login(text: str | None) -> Login | None:
    """The answer in a header or body; None when it is none."""
    parts = (text or "").strip().split("_")
    if len(parts) != 3 or len(parts[1]) > _MAX_SIGNATURE:
        return None
    try:
        login = Login(bytes32(parts[0]), to_bytes(parts[1]), checksum(parts[2].lower()))
    except IexecError:
        return None
    return None if login.address == NULL_ADDRESS else login
