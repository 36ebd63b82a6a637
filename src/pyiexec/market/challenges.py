"""Logging in by signing a challenge: text that was never signed before, answered once and soon.

Source: EIP-712; the token clients send is ``<digest>_<signature>_<address>``.
"""

from __future__ import annotations

import base64
from collections.abc import Callable

import msgspec

from pyiexec.market.messages import refusal
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import NULL_ADDRESS, Address, Bytes32, bytes32, checksum, to_bytes, to_hex

_GREETING = "Sign this message to log into iExec Gateway: "
_TOKEN_BYTES = 20
#: Longest signature looked at: contracts may define their own.
_MAX_SIGNATURE = 2048


class Token(msgspec.Struct, frozen=True):
    """An answer to a challenge: who signed what, claimed but not yet verified."""

    digest: Bytes32
    signature: str
    address: Address


def challenge_text(entropy: Callable[[int], bytes]) -> str:
    """A challenge nobody has seen: 32 random characters of base32 after a line for the person who signs."""
    return _GREETING + base64.b32encode(entropy(_TOKEN_BYTES)).decode()


def read_token(header: str | None) -> Token:
    """The token in an ``authorization`` header.

    Raises:
        IexecError: ``LOGIN_INVALID``, without saying why.
    """
    parts = (header or "").split("_")
    if len(parts) != 3 or len(parts[1]) > _MAX_SIGNATURE:
        raise invalid_authorization()
    try:
        token = Token(bytes32(parts[0]), to_hex(to_bytes(parts[1])), checksum(parts[2].lower()))
    except IexecError:
        raise invalid_authorization() from None
    if token.address == NULL_ADDRESS:
        raise invalid_authorization()
    return token


def invalid_authorization() -> IexecError:
    """The one refusal of any login that fails."""
    return refusal("login")
