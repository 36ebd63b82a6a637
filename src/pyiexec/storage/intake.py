"""A file on its way into a store: hashed while it is written, moved to its place when it is whole and on disk."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import anyio

from pyiexec.storage.cid import RAW
from pyiexec.storage.node import Stored, too_large, unwritable
from pyiexec.storage.unixfs import DEFAULT_LAYOUT, MAX_CHUNK_BYTES, Layout, UnixFsHasher

if TYPE_CHECKING:
    from pyiexec.storage.store import ContentStore

#: Bytes gathered before a thread is bothered with them.
SPOOL_BYTES = 1024 * 1024
#: Largest block peers exchange: only files up to this size can have a name of their own as one raw block.
RAW_BLOCK_BYTES = 2 * 1024 * 1024


class Intake:
    """One file; every method blocks on the disk.

    Args:
        store: where it goes.
        layout: under which it gets its name.
        max_bytes: of its content.
        keep: write nothing when false.
        adopted: what is already written; otherwise a file of its own is begun.
    """

    def __init__(
        self,
        store: ContentStore,
        layout: Layout,
        max_bytes: int | None,
        keep: bool = True,
        adopted: Path | None = None,
    ) -> None:
        self._store = store
        self._max_bytes = max_bytes
        self._size = 0
        self._tree = UnixFsHasher(layout)
        # A file of one raw leaf has no node: it is kept under the name it has by default.
        self._by_default = UnixFsHasher() if layout.raw_leaves else None
        self._plain = hashlib.sha256()
        self._path = adopted
        self._file: BinaryIO | None = None
        try:
            if keep and adopted is None:
                descriptor, name = tempfile.mkstemp(dir=store.incoming)
                self._path = Path(name)
                self._file = os.fdopen(descriptor, "wb")
        except OSError as error:
            raise unwritable(error) from None

    @classmethod
    def of_file(cls, store: ContentStore, layout: Layout, path: Path) -> Stored:
        """Take a file that is whole."""
        intake = cls(store, layout, None, adopted=path)
        try:
            with path.open("rb") as file:
                while piece := file.read(SPOOL_BYTES):
                    intake.write(piece)
                os.fsync(file.fileno())
        except OSError as error:
            raise unwritable(error) from None
        return intake.commit(b"")

    def write(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            IexecError: ``CONTENT_TOO_LARGE``, ``STORE_FULL``, ``STORE_UNWRITABLE``.
        """
        self._size += len(data)
        if self._max_bytes is not None and self._size > self._max_bytes:
            raise too_large(self._max_bytes)
        if self._path is not None:
            self._store.space.check(self._size)
        self._tree.update(data)
        if self._by_default is not None and self._size <= MAX_CHUNK_BYTES:
            self._by_default.update(data)
        if self._size <= RAW_BLOCK_BYTES:
            self._plain.update(data)
        if self._file is not None:
            try:
                self._file.write(data)
            except OSError as error:
                raise unwritable(error) from None

    def commit(self, last: bytes) -> Stored:
        """Take the last bytes and make the file appear in the store.

        Raises:
            IexecError: as `write`.
        """
        self.write(last)
        named = self._tree.finish()
        stored = Stored(named.cid, self._size, named.dag_bytes)
        if self._path is None:
            return stored
        tree, root, layout = self._tree, named, self._tree.layout
        if named.cid.codec == RAW:
            assert self._by_default is not None, "only raw leaves make a raw root"
            tree, layout = self._by_default, DEFAULT_LAYOUT
            root = tree.finish()
        try:
            if self._file is not None:
                self._file.flush()
                os.fsync(self._file.fileno())
                self._file.close()
            plain = self._plain.digest() if self._size <= RAW_BLOCK_BYTES else None
            self._store.install(self._path, root, layout, tree.leaf_digests, plain)
            if named.cid.codec == RAW:
                self._store.sync_raw_names()
        except OSError as error:
            raise unwritable(error) from None
        return stored

    def discard(self) -> None:
        """Remove what was not moved to its place."""
        if self._file is None or self._path is None:
            return
        # Closing writes out what is buffered, which fails when the disk is what failed.
        with contextlib.suppress(OSError):
            self._file.close()
        self._path.unlink(missing_ok=True)
        self._path.with_suffix(".leaves").unlink(missing_ok=True)


async def file_pieces(path: Path) -> AsyncIterator[bytes]:
    """The bytes of a file, in pieces of `SPOOL_BYTES`."""
    async with await anyio.open_file(path, "rb") as file:
        while piece := await file.read(SPOOL_BYTES):
            yield piece
