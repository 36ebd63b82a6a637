"""The UnixFS importer: the CID that ``ipfs add`` gives a file, computed while its bytes pass.

A file is cut into chunks of 256 KiB. Each chunk becomes a leaf block; up to 174 blocks are gathered under a node, level
by level, until one is left: its SHA-256 names the file. The tree follows from the leaves' hashes and the file's length
alone, so keeping those hashes beside a file is enough to verify any part of it.

Source: UnixFS and dag-pb specifications; defaults of ``ipfs add`` (CIDv0, balanced layout).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from pyiexec.storage.cid import SHA2_256, Cid, dag_pb_cid

#: Bytes of a leaf's content.
CHUNK_BYTES = 262_144
#: Children of a node.
WIDTH = 174

_TYPE_FILE = b"\x08\x02"


class Node(NamedTuple):
    """A block as its parent sees it.

    Attributes:
        digest: SHA-256 of the encoded block.
        file_bytes: bytes of the file below it.
        dag_bytes: encoded bytes of the block and everything below it; the ``Size`` kubo reports.
    """

    digest: bytes
    file_bytes: int
    dag_bytes: int

    @property
    def cid(self) -> Cid:
        """The node's CIDv0."""
        return dag_pb_cid(self.digest)


class UnixFsHasher:
    """Computes a file's CID from its bytes in order, in constant memory but 32 bytes per chunk."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self._length = 0
        #: SHA-256 of the leaf blocks so far.
        self.leaf_digests: list[bytes] = []

    def update(self, data: bytes | memoryview) -> None:
        """Take the next bytes of the file."""
        view = memoryview(data)
        self._length += len(view)
        while view:
            taken = view[: CHUNK_BYTES - len(self._pending)]
            view = view[len(taken) :]
            if len(taken) == CHUNK_BYTES:
                self.leaf_digests.append(leaf_digest(taken))
                continue
            self._pending += taken
            if len(self._pending) == CHUNK_BYTES:
                self._flush()

    def finish(self) -> Node:
        """The root of the file; nothing may be added afterwards."""
        if self._pending or not self.leaf_digests:
            self._flush()
        return root_of(self.leaf_digests, self._length)

    def _flush(self) -> None:
        self.leaf_digests.append(leaf_digest(self._pending))
        self._pending = bytearray()


def leaf_digest(chunk: bytes | bytearray | memoryview) -> bytes:
    """SHA-256 of the leaf block that holds `chunk`, at most `CHUNK_BYTES` of it."""
    before, after = _leaf_frame(len(chunk))
    hasher = hashlib.sha256(before)
    hasher.update(chunk)
    hasher.update(after)
    return hasher.digest()


def root_of(leaf_digests: Sequence[bytes], length: int) -> Node:
    """The root over leaves in file order, of a file of `length` bytes."""
    assert len(leaf_digests) == max(1, -(-length // CHUNK_BYTES)), "leaves do not add up to the length"
    level = [_leaf_node(digest, _leaf_bytes(index, length)) for index, digest in enumerate(leaf_digests)]
    while len(level) > 1:
        level = [_parent(level[start : start + WIDTH]) for start in range(0, len(level), WIDTH)]
    return level[0]


def file_cid(data: bytes) -> Cid:
    """The CIDv0 of a file given whole."""
    hasher = UnixFsHasher()
    hasher.update(data)
    return hasher.finish().cid


def _leaf_bytes(index: int, length: int) -> int:
    return min(CHUNK_BYTES, length - index * CHUNK_BYTES)


def _leaf_node(digest: bytes, size: int) -> Node:
    before, after = _leaf_frame(size)
    return Node(digest, size, len(before) + size + len(after))


def _leaf_frame(size: int) -> tuple[bytes, bytes]:
    """What surrounds a chunk of `size` bytes in its encoded block."""
    content = b"\x12" + _varint(size) if size else b""
    after = b"\x18" + _varint(size)
    before = _TYPE_FILE + content
    return b"\x0a" + _varint(len(before) + size + len(after)) + before, after


def _parent(children: Sequence[Node]) -> Node:
    links = b"".join(_link(child) for child in children)
    file_bytes = sum(child.file_bytes for child in children)
    sizes = b"".join(b"\x20" + _varint(child.file_bytes) for child in children)
    data = _TYPE_FILE + b"\x18" + _varint(file_bytes) + sizes
    # The encoding is canonical only with the links before the data, against the order of the field numbers.
    block = links + b"\x0a" + _varint(len(data)) + data
    dag_bytes = len(block) + sum(child.dag_bytes for child in children)
    return Node(hashlib.sha256(block).digest(), file_bytes, dag_bytes)


def _link(child: Node) -> bytes:
    link = b"\x0a\x22" + SHA2_256 + child.digest + b"\x12\x00\x18" + _varint(child.dag_bytes)
    return b"\x12" + _varint(len(link)) + link


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
