"""The UnixFS importer: the CID that ``ipfs add`` gives a file, computed while its bytes pass.

A file is cut into chunks, of 256 KiB unless its layout says otherwise. Each chunk becomes a leaf block; up to 174
blocks are gathered under a node, level by level, until one is left: its SHA-256 names the file. The tree follows from
the leaves' hashes, the layout and the file's length alone, so keeping those hashes beside a file is enough to verify
any part of it.

Source: UnixFS and dag-pb specifications; options of ``ipfs add`` (balanced layout).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from pyiexec.storage.cid import DAG_PB, RAW, Cid, dag_pb_cid
from pyiexec.storage.dag_pb import link, varint

#: Bytes of a leaf's content by default.
CHUNK_BYTES = 262_144
#: Children of a node.
WIDTH = 174
#: What chunks may measure: smaller ones make more hashes than content, larger ones blocks that peers refuse.
MIN_CHUNK_BYTES = 16_384
MAX_CHUNK_BYTES = 1_048_576

_TYPE_FILE = b"\x08\x02"


class Layout(NamedTuple):
    """How a file becomes blocks; the same bytes have another name under each.

    Attributes:
        cid_version: of nodes and of the links to them.
        raw_leaves: leaves are the chunks themselves instead of dag-pb blocks around them.
        chunk_bytes: bytes of content in every leaf but the last.
    """

    cid_version: int = 0
    raw_leaves: bool = False
    chunk_bytes: int = CHUNK_BYTES

    def leaf_cid(self, digest: bytes) -> Cid:
        """The name of the leaf block with that SHA-256; a raw one has no CIDv0."""
        return Cid(1, RAW, digest) if self.raw_leaves else Cid(self.cid_version, DAG_PB, digest)

    def leaf_digest(self, chunk: bytes | bytearray | memoryview) -> bytes:
        """SHA-256 of the leaf block that holds `chunk`."""
        return hashlib.sha256(chunk).digest() if self.raw_leaves else leaf_digest(chunk)


#: What ``ipfs add`` does unless told otherwise.
DEFAULT_LAYOUT = Layout()
#: What ``ipfs add --cid-version=1`` does.
LAYOUT_V1 = Layout(cid_version=1, raw_leaves=True)


class Node(NamedTuple):
    """A block as its parent sees it.

    Attributes:
        cid: its name.
        file_bytes: bytes of the file below it.
        dag_bytes: encoded bytes of the block and everything below it; the ``Size`` kubo reports.
    """

    cid: Cid
    file_bytes: int
    dag_bytes: int

    @property
    def digest(self) -> bytes:
        """SHA-256 of the encoded block."""
        return self.cid.digest


class UnixFsHasher:
    """Computes a file's CID from its bytes in order, in constant memory but 32 bytes per chunk."""

    def __init__(self, layout: Layout = DEFAULT_LAYOUT) -> None:
        self.layout = layout
        self._pending = bytearray()
        self._length = 0
        #: SHA-256 of the leaf blocks so far.
        self.leaf_digests: list[bytes] = []

    def update(self, data: bytes | memoryview) -> None:
        """Take the next bytes of the file."""
        whole = self.layout.chunk_bytes
        view = memoryview(data)
        self._length += len(view)
        while view:
            taken = view[: whole - len(self._pending)]
            view = view[len(taken) :]
            if len(taken) == whole:
                self.leaf_digests.append(self.layout.leaf_digest(taken))
                continue
            self._pending += taken
            if len(self._pending) == whole:
                self._flush()

    def finish(self) -> Node:
        """The root of the file; nothing may be added afterwards."""
        if self._pending or not self.leaf_digests:
            self._flush()
        return root_of(self.leaf_digests, self._length, self.layout)

    def _flush(self) -> None:
        self.leaf_digests.append(self.layout.leaf_digest(self._pending))
        self._pending = bytearray()


def leaf_digest(chunk: bytes | bytearray | memoryview) -> bytes:
    """SHA-256 of the dag-pb block that holds `chunk`."""
    before, after = _leaf_frame(len(chunk))
    hasher = hashlib.sha256(before)
    hasher.update(chunk)
    hasher.update(after)
    return hasher.digest()


def leaf_count(length: int, layout: Layout = DEFAULT_LAYOUT) -> int:
    """How many leaves a file of `length` bytes has; an empty one has one."""
    return max(1, -(-length // layout.chunk_bytes))


def root_of(leaf_digests: Sequence[bytes], length: int, layout: Layout = DEFAULT_LAYOUT) -> Node:
    """The root over leaves in file order, of a file of `length` bytes."""
    assert len(leaf_digests) == leaf_count(length, layout), "leaves do not add up to the length"
    sizes = (min(layout.chunk_bytes, length - index * layout.chunk_bytes) for index in range(len(leaf_digests)))
    level = [_leaf_node(digest, size, layout) for digest, size in zip(leaf_digests, sizes, strict=True)]
    while len(level) > 1:
        level = [_parent(level[start : start + WIDTH], layout) for start in range(0, len(level), WIDTH)]
    return level[0]


def file_cid(data: bytes, layout: Layout = DEFAULT_LAYOUT) -> Cid:
    """The CID of a file given whole."""
    hasher = UnixFsHasher(layout)
    hasher.update(data)
    return hasher.finish().cid


def _leaf_node(digest: bytes, size: int, layout: Layout) -> Node:
    if layout.raw_leaves:
        return Node(layout.leaf_cid(digest), size, size)
    before, after = _leaf_frame(size)
    return Node(layout.leaf_cid(digest), size, len(before) + size + len(after))


def _leaf_frame(size: int) -> tuple[bytes, bytes]:
    """What surrounds a chunk of `size` bytes in its encoded block."""
    content = b"\x12" + varint(size) if size else b""
    after = b"\x18" + varint(size)
    before = _TYPE_FILE + content
    return b"\x0a" + varint(len(before) + size + len(after)) + before, after


def _parent(children: Sequence[Node], layout: Layout) -> Node:
    links = b"".join(link(child.cid, "", child.dag_bytes) for child in children)
    file_bytes = sum(child.file_bytes for child in children)
    sizes = b"".join(b"\x20" + varint(child.file_bytes) for child in children)
    data = _TYPE_FILE + b"\x18" + varint(file_bytes) + sizes
    # The encoding is canonical only with the links before the data, against the order of the field numbers.
    block = links + b"\x0a" + varint(len(data)) + data
    dag_bytes = len(block) + sum(child.dag_bytes for child in children)
    digest = hashlib.sha256(block).digest()
    cid = dag_pb_cid(digest) if layout.cid_version == 0 else Cid(1, DAG_PB, digest)
    return Node(cid, file_bytes, dag_bytes)
