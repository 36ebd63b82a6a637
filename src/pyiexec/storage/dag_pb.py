"""The encoding of blocks that have links: protobuf, of which every message has one spelling alone.

Source: dag-pb specification.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pyiexec.protocol.errors import IexecError
from pyiexec.storage.cid import DAG_PB, RAW, SHA2_256, Cid

_VARINT, _BYTES = 0, 2
_DIGEST_BYTES = 32
#: Longest varint of 64 bits.
_VARINT_BYTES = 10


class Link(NamedTuple):
    """A link of a block.

    Attributes:
        name: in a folder, the name of the entry.
        cid: what it leads to.
        dag_bytes: encoded bytes of that and everything below it.
    """

    name: str
    cid: Cid
    dag_bytes: int


def varint(value: int) -> bytes:
    """An unsigned number, seven bits a byte, lowest first."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def cid_bytes(cid: Cid) -> bytes:
    """A CID as links hold it: a CIDv0 is the bare multihash."""
    prefix = b"" if cid.version == 0 else bytes((1, cid.codec))
    return prefix + SHA2_256 + cid.digest


def link(cid: Cid, name: str, dag_bytes: int) -> bytes:
    """One encoded link, with its field's number and length."""
    binary, text = cid_bytes(cid), name.encode()
    inner = b"\x0a" + varint(len(binary)) + binary + b"\x12" + varint(len(text)) + text + b"\x18" + varint(dag_bytes)
    return b"\x12" + varint(len(inner)) + inner


def decode(block: bytes) -> tuple[list[Link], bytes]:
    """Links and data of a block.

    Raises:
        IexecError: ``BAD_BLOCK``.
    """
    links: list[Link] = []
    data = b""
    for number, kind, value in _fields(block):
        if (number, kind) == (2, _BYTES):
            links.append(_link_of(value))
        elif (number, kind) == (1, _BYTES):
            data = value
        else:
            raise _ill_formed()
    return links, data


def _link_of(encoded: bytes) -> Link:
    cid, name, dag_bytes = None, "", 0
    for number, kind, value in _fields(encoded):
        if (number, kind) == (1, _BYTES):
            cid = _cid_of(value)
        elif (number, kind) == (2, _BYTES):
            try:
                name = value.decode()
            except UnicodeDecodeError:
                raise _ill_formed() from None
        elif (number, kind) == (3, _VARINT):
            dag_bytes = int.from_bytes(value)
        else:
            raise _ill_formed()
    if cid is None:
        raise _ill_formed()
    return Link(name, cid, dag_bytes)


def _cid_of(binary: bytes) -> Cid:
    if len(binary) == len(SHA2_256) + _DIGEST_BYTES and binary.startswith(SHA2_256):
        return Cid(0, DAG_PB, binary[2:])
    if len(binary) == 2 + len(SHA2_256) + _DIGEST_BYTES and binary[2:4] == SHA2_256:
        version, codec = binary[:2]
        if version == 1 and codec in (DAG_PB, RAW):
            return Cid(1, codec, binary[4:])
    raise IexecError("BAD_BLOCK", "the block links to something that is not named by SHA-256")


def _fields(encoded: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Number, wire type and value of each field; numbers come as big-endian bytes."""
    at = 0
    while at < len(encoded):
        key, at = _read_varint(encoded, at)
        number, kind = key >> 3, key & 7
        if kind == _VARINT:
            value, at = _read_varint(encoded, at)
            yield number, kind, value.to_bytes(10)
        elif kind == _BYTES:
            length, at = _read_varint(encoded, at)
            if length > len(encoded) - at:
                raise _ill_formed()
            yield number, kind, encoded[at : at + length]
            at += length
        else:
            raise _ill_formed()


def _read_varint(encoded: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift, byte in enumerate(encoded[at : at + _VARINT_BYTES]):
        value |= (byte & 0x7F) << 7 * shift
        if byte < 0x80:
            return value, at + shift + 1
    raise _ill_formed()


def _ill_formed() -> IexecError:
    return IexecError("BAD_BLOCK", "the block is not a well-formed dag-pb block")
