"""The hashes of a file's leaves beside its content, from which every part of it can be verified.

A file of one leaf needs none. Others have a ``.leaves`` file: the digests in order, 32 bytes each; before them 8 bytes
for the layout unless it is the default one (``ux``, CID version, whether leaves are raw, chunk size big-endian).
"""

from __future__ import annotations

import os
from pathlib import Path

from pyiexec.storage.unixfs import CHUNK_BYTES, DEFAULT_LAYOUT, MAX_CHUNK_BYTES, MIN_CHUNK_BYTES, Layout, leaf_count

_DIGEST_BYTES = 32
_MARK = b"ux"
_HEAD_BYTES = 8


def read(path: Path, root: bytes, size: int) -> tuple[Layout, list[bytes]]:
    """Layout and leaf digests of the file at `path`, of `size` bytes, whose root block has the digest `root`.

    Raises:
        ValueError: what lies beside it is not that.
    """
    try:
        kept = path.with_suffix(".leaves").read_bytes()
    except FileNotFoundError:
        if size > CHUNK_BYTES:
            raise ValueError("the leaves are not there") from None
        return DEFAULT_LAYOUT, [root]
    layout = DEFAULT_LAYOUT
    if len(kept) % _DIGEST_BYTES == _HEAD_BYTES:
        layout, kept = _layout_of(kept[:_HEAD_BYTES]), kept[_HEAD_BYTES:]
    digests = [kept[start : start + _DIGEST_BYTES] for start in range(0, len(kept), _DIGEST_BYTES)]
    if len(kept) % _DIGEST_BYTES or len(digests) != leaf_count(size, layout):
        raise ValueError("the leaves are not those of a file of this size")
    return layout, digests


def write(scratch: Path, path: Path, size: int, layout: Layout, digests: list[bytes]) -> None:
    """Put beside `path` what `read` needs, if anything: written beside `scratch` first, durable and whole."""
    if len(digests) == 1 and size <= CHUNK_BYTES:
        return
    beside = scratch.with_suffix(".leaves")
    with beside.open("wb") as file:
        file.write((b"" if layout == DEFAULT_LAYOUT else _head_of(layout)) + b"".join(digests))
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path.with_suffix(".leaves"))


def _head_of(layout: Layout) -> bytes:
    return _MARK + bytes((layout.cid_version, layout.raw_leaves)) + layout.chunk_bytes.to_bytes(4)


def _layout_of(head: bytes) -> Layout:
    layout = Layout(head[2], bool(head[3]), int.from_bytes(head[4:]))
    if _head_of(layout) != head or layout.cid_version > 1:
        raise ValueError("the layout is not one")
    if not MIN_CHUNK_BYTES <= layout.chunk_bytes <= MAX_CHUNK_BYTES:
        raise ValueError("the layout has chunks of a size that is not used")
    return layout
