"""Where an app or dataset lies: the multiaddr bytes of its contract.

They are plain UTF-8 text, except that JavaScript clients turn an IPFS path into the binary form of a ``p2p`` address:
code 421, length 34, sha2-256 multihash. We write and read both. A CIDv1 stays text: the binary form would forget how
its content is encoded, and make of it a CIDv0 that nobody can find.

Source: multiaddr and multihash specifications; base58 alphabet of Bitcoin.
"""

from __future__ import annotations

import re

from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import to_hex

_P2P = bytes.fromhex("a503221220")
_PATH = re.compile(r"/(?:ipfs|p2p)/(Qm[1-9A-HJ-NP-Za-km-z]{44})")
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def _base58_decode(text: str) -> bytes:
    """34 bytes of a CIDv0; it starts with Qm and so never with a zero byte."""
    number = 0
    for character in text:
        number = number * 58 + _BASE58.index(character)
    return number.to_bytes(34, "big")


def _base58_encode(data: bytes) -> str:
    number, digits = int.from_bytes(data, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        digits = _BASE58[digit] + digits
    return digits


def encode_multiaddr(text: str) -> bytes:
    """The bytes to register for `text`: an address such as ``/ipfs/Qm…`` or ``https://…``, or an image name.

    Raises:
        IexecError: ``BAD_MULTIADDR`` when the text is empty or cannot be written in UTF-8.
    """
    match = _PATH.fullmatch(text)
    if match:
        multihash = _base58_decode(match[1])
        if multihash[:2] == _P2P[3:]:
            return _P2P + multihash[2:]
    if not text.strip():
        raise IexecError("BAD_MULTIADDR", "the address of the content is empty")
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise IexecError("BAD_MULTIADDR", f"{text[:80]!r} cannot be written in UTF-8") from None


def decode_multiaddr(data: bytes) -> str:
    """The address registered as `data`; a binary ``p2p`` address is the IPFS path ``/ipfs/Qm…``.

    Raises:
        IexecError: ``BAD_MULTIADDR`` when it is neither that nor text.
    """
    if data.startswith(_P2P) and len(data) == len(_P2P) + 32:
        return f"/ipfs/{_base58_encode(data[3:])}"
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = ""
    if not text.isprintable() or not text.strip():
        raise IexecError("BAD_MULTIADDR", f"{to_hex(data[:80])} is neither text nor a binary IPFS address")
    return text
