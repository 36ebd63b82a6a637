"""Whether bytes that arrive are the content a CID names."""

from __future__ import annotations

import hashlib

from pyiexec.storage.cid import RAW, Cid
from pyiexec.storage.unixfs import DEFAULT_LAYOUT, LAYOUT_V1, MAX_CHUNK_BYTES, Layout, UnixFsHasher

#: Layouts in use for names of version 1, of which the name itself does not tell.
_LAYOUTS_V1 = (
    DEFAULT_LAYOUT,
    LAYOUT_V1,
    Layout(cid_version=1),
    Layout(cid_version=1, raw_leaves=True, chunk_bytes=MAX_CHUNK_BYTES),
)


class ContentVerifier:
    """Takes the bytes in order; knows in the end whether they are those of a CID.

    Names of version 1 are understood for what ``ipfs add --cid-version=1`` makes, with chunks of 256 KiB or 1 MiB.
    """

    def __init__(self, cid: Cid) -> None:
        self._digest = cid.digest
        self._plain = hashlib.sha256() if cid.codec == RAW else None
        layouts = () if cid.codec == RAW else (DEFAULT_LAYOUT,) if cid.version == 0 else _LAYOUTS_V1
        self._trees = [UnixFsHasher(layout) for layout in layouts]

    def update(self, data: bytes) -> None:
        """Take the next bytes."""
        if self._plain is not None:
            self._plain.update(data)
        for tree in self._trees:
            tree.update(data)

    def holds(self) -> bool:
        """Whether all that was taken is the content; nothing may be added afterwards."""
        if self._plain is not None:
            return self._plain.digest() == self._digest
        return any(tree.finish().digest == self._digest for tree in self._trees)
