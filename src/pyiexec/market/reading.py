"""Values from outside, from a query or a body, read as the network's clients write them and refused by name.

Numbers may be text, addresses and hashes may be in any case; everything comes out in one form.
"""

from __future__ import annotations

import re

from pyiexec.market.listing import MAX_SAFE_INTEGER
from pyiexec.market.messages import refusal, shown
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address, Bytes32, bytes32, checksum, is_address, to_bytes, to_hex

#: Numbers as JavaScript reads them from text; longer ones are nobody's.
_INTEGER = re.compile(r"[+-]?[0-9]{1,400}", re.ASCII)
_DECIMAL = re.compile(r"[+-]?([0-9]{1,400}\.?[0-9]{0,400}|\.[0-9]{1,400})([eE][+-]?[0-9]{1,400})?", re.ASCII)


def read_integer(value: object, path: str, *, low: int = 0, high: int = MAX_SAFE_INTEGER) -> int:
    """A whole number from `low` to `high`, as a JSON number or text.

    Raises:
        IexecError: ``BAD_REQUEST``.
    """
    if value is None:
        raise refusal("null", path=path)
    number = _number(value)
    if number is None:
        raise refusal("number", path=path, value=shown(value))
    if isinstance(number, float) and not number.is_integer():
        raise refusal("integer", path=path)
    if number < low:
        raise refusal("at least", path=path, bound=low)
    if number > high:
        raise refusal("at most", path=path, bound=high)
    return int(number)


def _number(value: object) -> int | float | None:
    if isinstance(value, str):
        text = "".join(value[:1000].split())
        if _INTEGER.fullmatch(text):
            return int(text)
        return float(text) if _DECIMAL.fullmatch(text) else None
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def read_address(value: object, path: str) -> Address:
    """An address in any case, as its checksummed spelling.

    Raises:
        IexecError: ``BAD_REQUEST``.
    """
    text = read_text(value, path)
    if not is_address(text):
        raise refusal("address", path=path)
    return checksum(text.lower())


def read_bytes32(value: object, path: str) -> Bytes32:
    """A 32-byte value in any case, as lower-case hexadecimal.

    Raises:
        IexecError: ``BAD_REQUEST``.
    """
    text = read_text(value, path)
    try:
        return bytes32(text.lower())
    except IexecError:
        raise refusal("bytes32", path=path) from None


def read_signature(value: object, path: str) -> str:
    """A signature of any length, also none at all (``0x``), as lower-case hexadecimal.

    Raises:
        IexecError: ``BAD_REQUEST``.
    """
    text = read_text(value, path)
    try:
        return to_hex(to_bytes(text.lower()))
    except IexecError:
        raise refusal("signature", path=path) from None


def read_text(value: object, path: str) -> str:
    """Text that UTF-8 can carry.

    Raises:
        IexecError: ``BAD_REQUEST``.
    """
    if value is None:
        raise refusal("null", path=path)
    if not isinstance(value, str):
        raise refusal("string", path=path, value=shown(value))
    if not value.isascii() and any("\ud800" <= character <= "\udfff" for character in value):
        raise refusal("string", path=path, value="\N{REPLACEMENT CHARACTER}")
    return value
