"""Files kept under the hash of their content, in a directory.

A file is complete and on disk before its CID is told, and every chunk is checked against its hash before it is handed
out: a damaged disk gives an error, never wrong bytes. Beside a file of several chunks lie the hashes of its leaves,
from which its CID follows, so a chunk in the middle can be verified without reading the others.

::

    files/ab12…          content, named by the SHA-256 of its root block
    files/ab12….leaves   SHA-256 of each leaf block, 32 bytes each, when there are several; before them the layout,
                         unless it is the default one
    folders/ef56…        block of a folder, named by its SHA-256
    raw/cd34…            link from the SHA-256 of a small file's plain bytes to its content
    incoming/            uploads under way
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

import anyio
import anyio.to_thread

from pyiexec.protocol.errors import IexecError
from pyiexec.storage import leaves
from pyiexec.storage.cid import RAW, Cid, parse_cid
from pyiexec.storage.dag_pb import Link
from pyiexec.storage.directories import Directory, directory_of, read_directory
from pyiexec.storage.intake import SPOOL_BYTES, Intake, file_pieces
from pyiexec.storage.node import Source, Stored, missing, too_large, unwritable
from pyiexec.storage.space import Space
from pyiexec.storage.unixfs import DEFAULT_LAYOUT, Layout, Node, root_of


class ContentStore:
    """A directory of content; several processes may share it.

    Args:
        directory: made if it is not there.
        capacity: bytes of content taken at most; what other processes add is noticed at the next start.
    """

    def __init__(self, directory: Path, capacity: int | None = None) -> None:
        self.directory = directory
        #: Where uploads wait until they are whole: on the same disk, for the last step is a renaming.
        self.incoming = directory / "incoming"
        self._files = directory / "files"
        self._folders = directory / "folders"
        self._raw = directory / "raw"
        try:
            for folder in (self._files, self._folders, self._raw, self.incoming):
                folder.mkdir(parents=True, exist_ok=True)
            self.space = Space([self._files, self._folders], capacity)
        except OSError as error:
            raise unwritable(error) from None

    async def put(
        self, source: Source, *, layout: Layout = DEFAULT_LAYOUT, max_bytes: int | None = None, keep: bool = True
    ) -> Stored:
        """Store a file, durably before this returns.

        Args:
            source: its bytes.
            layout: how it becomes blocks, on which its name depends.
            max_bytes: of the content.
            keep: only find out the name when false.

        Raises:
            IexecError: ``CONTENT_TOO_LARGE`` beyond `max_bytes`, ``STORE_FULL``, ``STORE_UNWRITABLE``; nothing is kept
                then.
        """
        intake = await anyio.to_thread.run_sync(Intake, self, layout, max_bytes, keep)
        try:
            if isinstance(source, bytes):
                return await anyio.to_thread.run_sync(intake.commit, source)
            gathered = bytearray()
            async for piece in file_pieces(source) if isinstance(source, Path) else source:
                gathered += piece
                if len(gathered) >= SPOOL_BYTES:
                    await anyio.to_thread.run_sync(intake.write, bytes(gathered))
                    gathered.clear()
            return await anyio.to_thread.run_sync(intake.commit, bytes(gathered))
        finally:
            intake.discard()

    async def adopt(self, path: Path, *, layout: Layout = DEFAULT_LAYOUT) -> Stored:
        """Store a file that is whole in `incoming` by taking it away from there.

        Raises:
            IexecError: ``STORE_FULL``, ``STORE_UNWRITABLE``; the file stays where it is then.
        """
        return await anyio.to_thread.run_sync(Intake.of_file, self, layout, path)

    async def put_directory(self, entries: Sequence[Link], *, cid_version: int = 0, keep: bool = True) -> Directory:
        """Store a folder, durably before this returns; what its entries lead to need not be here.

        Raises:
            IexecError: ``BAD_REQUEST`` as `directory_of`, ``STORE_FULL``, ``STORE_UNWRITABLE``.
        """
        folder = directory_of(entries, cid_version)
        if keep:
            await anyio.to_thread.run_sync(self._put_block, folder)
        return folder

    async def find(self, cid: Cid | str) -> Stored | Directory:
        """The file or folder of that name.

        Raises:
            IexecError: ``BAD_CID``, ``CONTENT_NOT_FOUND``, ``CONTENT_MISMATCH`` when the copy on disk is damaged.
        """
        return await anyio.to_thread.run_sync(self._find, _parsed(cid))

    async def stat(self, cid: Cid | str) -> Stored:
        """What is known of a file.

        Raises:
            IexecError: as `find`, and ``CONTENT_IS_FOLDER``.
        """
        return (await anyio.to_thread.run_sync(self._locate, _parsed(cid))).stored

    async def has(self, cid: Cid | str) -> bool:
        """Whether the file is here.

        Raises:
            IexecError: ``BAD_CID``.
        """
        try:
            await self.find(cid)
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
            whole = located.layout.chunk_bytes
            for index in range(start // whole, -(-end // whole)):
                chunk = await anyio.to_thread.run_sync(located.read_chunk, file, index)
                offset = index * whole
                yield chunk[max(0, start - offset) : end - offset]
        finally:
            file.close()

    def discard_unfinished(self) -> None:
        """Remove what uploads left behind when their process was killed; only for the store's sole writer.

        Uploads that can be resumed lie in folders of their own and stay.
        """
        for leftover in self.incoming.iterdir():
            if leftover.is_file():
                leftover.unlink(missing_ok=True)

    def _path(self, digest: bytes) -> Path:
        return self._files / digest.hex()

    def _find(self, cid: Cid) -> Stored | Directory:
        try:
            return self._locate(cid).stored
        except IexecError as error:
            if error.code != "CONTENT_IS_FOLDER":
                raise
        block = (self._folders / cid.digest.hex()).read_bytes()
        if hashlib.sha256(block).digest() != cid.digest:
            raise _damaged(cid)
        return read_directory(cid, block)

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
                raise missing(cid) from None
        else:
            digest = cid.digest
        path = self._path(digest)
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            if cid.codec != RAW and (self._folders / digest.hex()).exists():
                raise IexecError("CONTENT_IS_FOLDER", f"{cid} is a folder") from None
            raise missing(cid) from None
        try:
            layout, digests = leaves.read(path, digest, size)
        except ValueError:
            raise _damaged(cid) from None
        root = root_of(digests, size, layout)
        if root.digest != digest:
            raise _damaged(cid)
        # Asked for as one raw block, it is that block; otherwise it is called what it was asked by.
        dag_bytes = size if cid.codec == RAW else root.dag_bytes
        return _Located(path, Stored(cid, size, dag_bytes), layout, digests)

    def install(self, content: Path, root: Node, layout: Layout, digests: list[bytes], plain: bytes | None) -> None:
        """Move a finished file to its place; its presence there is what makes it stored. For `Intake` alone."""
        path = self._path(root.digest)
        known = path.exists()
        if plain is not None:
            with contextlib.suppress(FileExistsError):
                (self._raw / plain.hex()).symlink_to(Path("../files") / path.name)
        leaves.write(content, path, root.file_bytes, layout, digests)
        content.replace(path)
        _sync_directory(self._files)
        if not known:
            self.space.take(root.file_bytes)

    def sync_raw_names(self) -> None:
        """Make the names of raw blocks durable: they are otherwise only once the system gets to it. For `Intake`."""
        _sync_directory(self._raw)

    def _put_block(self, folder: Directory) -> None:
        path = self._folders / folder.cid.digest.hex()
        if path.exists() and path.read_bytes() == folder.block:
            return
        self.space.check(len(folder.block))
        try:
            descriptor, name = tempfile.mkstemp(dir=self.incoming)
            with os.fdopen(descriptor, "wb") as file:
                file.write(folder.block)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(path)
            _sync_directory(self._folders)
        except OSError as error:
            raise unwritable(error) from None
        self.space.take(len(folder.block))


class _Located(NamedTuple):
    path: Path
    stored: Stored
    layout: Layout
    leaves: list[bytes]

    def read_chunk(self, file: BinaryIO, index: int) -> bytes:
        file.seek(index * self.layout.chunk_bytes)
        chunk = file.read(self.layout.chunk_bytes)
        if self.layout.leaf_digest(chunk) != self.leaves[index]:
            raise _damaged(self.stored.cid)
        return chunk


def _parsed(cid: Cid | str) -> Cid:
    return parse_cid(cid) if isinstance(cid, str) else cid


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _damaged(cid: Cid) -> IexecError:
    return IexecError("CONTENT_MISMATCH", f"the stored copy of {cid} is damaged")
