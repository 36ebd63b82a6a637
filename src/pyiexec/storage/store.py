"""Files kept under the hash of their content, in a directory.

A file is complete and on disk before its CID is told, and every chunk is checked against its hash before it is handed
out: a damaged disk gives an error, never wrong bytes. Beside a file of several chunks lie the hashes of its leaves,
from which its CID follows, so a chunk in the middle can be verified without reading the others.

::

    files/ab12…          content, named by the SHA-256 of its root block
    files/ab12….leaves   SHA-256 of each leaf block, 32 bytes each, when there are several
    raw/cd34…            link from the SHA-256 of a small file's plain bytes to its content
    incoming/            uploads under way
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import AsyncIterable, AsyncIterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import anyio
import anyio.to_thread

from pyiexec.protocol.errors import IexecError
from pyiexec.storage.cid import RAW, Cid, parse_cid
from pyiexec.storage.unixfs import CHUNK_BYTES, Node, UnixFsHasher, leaf_digest, root_of

#: Largest block peers exchange: only files up to this size can have a name of their own as one raw block.
RAW_BLOCK_BYTES = 2 * 1024 * 1024
#: Bytes gathered before a thread is bothered with them.
_SPOOL_BYTES = 1024 * 1024
_DIGEST_BYTES = 32

#: What can be stored: bytes, a file, or a stream of pieces of any size.
Source = bytes | Path | AsyncIterable[bytes]


class Stored(NamedTuple):
    """A file in the store.

    Attributes:
        cid: its CIDv0.
        size: bytes of its content.
        dag_bytes: bytes of its UnixFS blocks, what ``ipfs add`` reports as ``Size``.
    """

    cid: Cid
    size: int
    dag_bytes: int


class ContentStore:
    """A directory of content; several processes may share it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._files = directory / "files"
        self._raw = directory / "raw"
        self._incoming = directory / "incoming"
        try:
            for folder in (self._files, self._raw, self._incoming):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _unwritable(error) from None

    async def put(self, source: Source, *, max_bytes: int | None = None) -> Stored:
        """Store a file, durably before this returns.

        Raises:
            IexecError: ``CONTENT_TOO_LARGE`` beyond `max_bytes`, ``STORE_UNWRITABLE``; nothing is kept then.
        """
        if isinstance(source, bytes):
            return await anyio.to_thread.run_sync(self._put_whole, source, max_bytes)
        upload = await anyio.to_thread.run_sync(_Upload, self, max_bytes)
        try:
            pieces = _pieces(source) if isinstance(source, Path) else source
            gathered = bytearray()
            async for piece in pieces:
                gathered += piece
                if len(gathered) >= _SPOOL_BYTES:
                    await anyio.to_thread.run_sync(upload.write, bytes(gathered))
                    gathered.clear()
            return await anyio.to_thread.run_sync(upload.commit, bytes(gathered))
        finally:
            upload.discard()

    async def stat(self, cid: Cid | str) -> Stored:
        """What is known of a file.

        Raises:
            IexecError: ``BAD_CID``, ``CONTENT_NOT_FOUND``, ``CONTENT_MISMATCH`` when the copy on disk is damaged.
        """
        return (await anyio.to_thread.run_sync(self._locate, _parsed(cid))).stored

    async def has(self, cid: Cid | str) -> bool:
        """Whether the file is here.

        Raises:
            IexecError: ``BAD_CID``.
        """
        try:
            await self.stat(cid)
        except IexecError as error:
            if error.code == "CONTENT_NOT_FOUND":
                return False
            raise
        return True

    async def size(self, cid: Cid | str) -> int:
        """Bytes of a file's content; raises as `stat`."""
        return (await self.stat(cid)).size

    async def get(self, cid: Cid | str, *, max_bytes: int | None = None) -> bytes:
        """A whole file, verified.

        Raises:
            IexecError: as `stat`, and ``CONTENT_TOO_LARGE`` beyond `max_bytes`.
        """
        return await anyio.to_thread.run_sync(self._get, _parsed(cid), max_bytes)

    async def stream(self, cid: Cid | str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes from `start` up to `end` (exclusive; the whole rest when None), each chunk verified before it is
        yielded.

        Raises:
            IexecError: as `stat`; ``CONTENT_MISMATCH`` at the first damaged chunk.
        """
        located = await anyio.to_thread.run_sync(self._locate, _parsed(cid))
        end = located.stored.size if end is None else min(end, located.stored.size)
        file = await anyio.to_thread.run_sync(located.path.open, "rb")
        try:
            for index in range(start // CHUNK_BYTES, -(-end // CHUNK_BYTES)):
                chunk = await anyio.to_thread.run_sync(located.read_chunk, file, index)
                offset = index * CHUNK_BYTES
                yield chunk[max(0, start - offset) : end - offset]
        finally:
            file.close()

    def discard_unfinished(self) -> None:
        """Remove what uploads left behind when their process was killed; only for the store's sole writer."""
        for leftover in self._incoming.iterdir():
            leftover.unlink(missing_ok=True)

    def _path(self, digest: bytes) -> Path:
        return self._files / digest.hex()

    def _put_whole(self, data: bytes, max_bytes: int | None) -> Stored:
        upload = _Upload(self, max_bytes)
        try:
            return upload.commit(data)
        finally:
            upload.discard()

    def _get(self, cid: Cid, max_bytes: int | None) -> bytes:
        located = self._locate(cid)
        if max_bytes is not None and located.stored.size > max_bytes:
            raise too_large(max_bytes)
        with located.path.open("rb") as file:
            return b"".join(located.read_chunk(file, index) for index in range(len(located.leaves)))

    def _locate(self, cid: Cid) -> _Located:
        if cid.codec == RAW:
            try:
                digest = bytes.fromhex(os.readlink(self._raw / cid.digest.hex()).rpartition("/")[2])
            except FileNotFoundError:
                raise IexecError("CONTENT_NOT_FOUND", f"{cid} is not in the store") from None
        else:
            digest = cid.digest
        path = self._path(digest)
        try:
            size = path.stat().st_size
            leaves = [digest] if size <= CHUNK_BYTES else _split(path.with_suffix(".leaves").read_bytes())
        except FileNotFoundError:
            raise IexecError("CONTENT_NOT_FOUND", f"{cid} is not in the store") from None
        if len(leaves) != max(1, -(-size // CHUNK_BYTES)):
            raise _damaged(cid)
        root = root_of(leaves, size)
        if root.digest != digest:
            raise _damaged(cid)
        return _Located(path, Stored(root.cid, size, root.dag_bytes), leaves)

    def _install(self, content: Path, root: Node, leaves: list[bytes], plain: bytes | None) -> None:
        """Move a finished upload to its place; its presence there is what makes it stored."""
        path = self._path(root.digest)
        if plain is not None:
            # Not made durable on its own: after a power failure it may be missing until the file is stored again.
            with contextlib.suppress(FileExistsError):
                (self._raw / plain.hex()).symlink_to(Path("../files") / path.name)
        if len(leaves) > 1:
            beside = content.with_suffix(".leaves")
            with beside.open("wb") as file:
                file.write(b"".join(leaves))
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path.with_suffix(".leaves"))
        content.replace(path)
        _sync_directory(self._files)


class _Located(NamedTuple):
    path: Path
    stored: Stored
    leaves: list[bytes]

    def read_chunk(self, file: BinaryIO, index: int) -> bytes:
        file.seek(index * CHUNK_BYTES)
        chunk = file.read(CHUNK_BYTES)
        if leaf_digest(chunk) != self.leaves[index]:
            raise _damaged(self.stored.cid)
        return chunk


class _Upload:
    """A file on its way in; its methods block on the disk."""

    def __init__(self, store: ContentStore, max_bytes: int | None) -> None:
        self._store = store
        self._max_bytes = max_bytes
        self._size = 0
        self._tree = UnixFsHasher()
        self._plain = hashlib.sha256()
        try:
            descriptor, name = tempfile.mkstemp(dir=store.directory / "incoming")
        except OSError as error:
            raise _unwritable(error) from None
        self._path = Path(name)
        self._file = os.fdopen(descriptor, "wb")

    def write(self, data: bytes) -> None:
        self._size += len(data)
        if self._max_bytes is not None and self._size > self._max_bytes:
            raise too_large(self._max_bytes)
        self._tree.update(data)
        if self._size <= RAW_BLOCK_BYTES:
            self._plain.update(data)
        try:
            self._file.write(data)
        except OSError as error:
            raise _unwritable(error) from None

    def commit(self, last: bytes) -> Stored:
        self.write(last)
        root = self._tree.finish()
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
            plain = self._plain.digest() if self._size <= RAW_BLOCK_BYTES else None
            self._store._install(self._path, root, self._tree.leaf_digests, plain)  # noqa: SLF001 - the store's own hand
        except OSError as error:
            raise _unwritable(error) from None
        return Stored(root.cid, self._size, root.dag_bytes)

    def discard(self) -> None:
        """Remove what was not moved to its place."""
        # Closing writes out what is buffered, which fails when the disk is what failed.
        with contextlib.suppress(OSError):
            self._file.close()
        self._path.unlink(missing_ok=True)
        self._path.with_suffix(".leaves").unlink(missing_ok=True)


def too_large(max_bytes: int) -> IexecError:
    """The refusal of content beyond a limit in bytes."""
    return IexecError("CONTENT_TOO_LARGE", f"the content is larger than the {max_bytes} bytes allowed")


def _parsed(cid: Cid | str) -> Cid:
    return parse_cid(cid) if isinstance(cid, str) else cid


def _split(digests: bytes) -> list[bytes]:
    return [digests[start : start + _DIGEST_BYTES] for start in range(0, len(digests), _DIGEST_BYTES)]


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    async with await anyio.open_file(path, "rb") as file:
        while piece := await file.read(_SPOOL_BYTES):
            yield piece


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _damaged(cid: Cid) -> IexecError:
    return IexecError("CONTENT_MISMATCH", f"the stored copy of {cid} is damaged")


def _unwritable(error: OSError) -> IexecError:
    return IexecError("STORE_UNWRITABLE", f"the content store cannot write: {error.strerror}")
