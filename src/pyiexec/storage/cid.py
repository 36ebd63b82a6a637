"""Content identifiers: what a file is called by its content.

A CIDv0 is the base58 spelling of a SHA-256 multihash of a dag-pb block; a CIDv1 adds version and codec and is written
in base32 here. Only SHA-256 is spoken: nothing else is in use on the network. The two spellings take a few lines, while
importing a multiformats library costs a command 0.16 s.

Source: multiformats CID and multihash specifications.
"""

from __future__ import annotations

import base64
from typing import NamedTuple

from pyiexec.protocol.errors import IexecError

#: Codec of UnixFS nodes.
DAG_PB = 0x70
#: Codec of a block that is the bytes themselves.
RAW = 0x55
#: Multihash prefix: SHA2-256, 32 bytes.
SHA2_256 = b"\x12\x20"

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_VALUES58 = {character: value for value, character in enumerate(_BASE58)}
#: A 34-byte multihash that begins with 0x1220 always has 46 base58 digits and begins with Qm.
_V0_LENGTH = 46
_V1_LENGTH = 59


class Cid(NamedTuple):
    """One content identifier.

    Attributes:
        version: 0 or 1.
        codec: `DAG_PB` or `RAW`.
        digest: SHA-256 of the block, 32 bytes.
    """

    version: int
    codec: int
    digest: bytes

    def __str__(self) -> str:
        if self.version == 0:
            return _base58(SHA2_256 + self.digest)
        binary = bytes((1, self.codec)) + SHA2_256 + self.digest
        return "b" + base64.b32encode(binary).decode().rstrip("=").lower()


def dag_pb_cid(digest: bytes) -> Cid:
    """The CIDv0 of the dag-pb block with that SHA-256."""
    return Cid(0, DAG_PB, digest)


def parse_cid(text: str) -> Cid:
    """Read a CIDv0 (``Qm…``) or a base32 CIDv1 (``bafybei…``, ``bafkrei…``).

    Raises:
        IexecError: ``BAD_CID``.
    """
    if len(text) == _V0_LENGTH and text.startswith("Qm"):
        binary = _unbase58(text)
        if binary is not None and binary.startswith(SHA2_256):
            return Cid(0, DAG_PB, binary[2:])
    elif len(text) == _V1_LENGTH and text.startswith("b") and text == text.lower():
        binary = _unbase32(text[1:])
        if binary is not None and binary[0] == 1 and binary[1] in (DAG_PB, RAW) and binary[2:4] == SHA2_256:
            cid = Cid(1, binary[1], binary[4:])
            if str(cid) == text:
                return cid
    raise IexecError("BAD_CID", f"{text[:80]!r} is not a content identifier spoken here")


def _base58(data: bytes) -> str:
    number = int.from_bytes(data)
    digits = []
    while number:
        number, digit = divmod(number, 58)
        digits.append(_BASE58[digit])
    return "".join(reversed(digits))


def _unbase58(text: str) -> bytes | None:
    number = 0
    for character in text:
        if character not in _VALUES58:
            return None
        number = number * 58 + _VALUES58[character]
    return number.to_bytes(34) if number < 1 << 272 else None


def _unbase32(text: str) -> bytes | None:
    try:
        return base64.b32decode(text.upper() + "=" * (-len(text) % 8))
    except ValueError:
        return None
