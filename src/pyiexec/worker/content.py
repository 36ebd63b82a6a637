"""Apps, datasets and input files on the worker's disk, by content: fetched once, however many tasks ask at a time.

The store is trusted with nothing: content is verified against its CID as it arrives, and once more when this process
first meets a file that an earlier one left. What was longest not used goes when the folder exceeds its size.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from pathlib import Path

import anyio.to_thread

from pyiexec.foundation.logs import get_logger
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Bytes32, bytes32
from pyiexec.storage.cid import Cid, parse_cid
from pyiexec.storage.client import ContentClient
from pyiexec.storage.verification import ContentVerifier

log = get_logger(__name__)

_PIECE = 1 << 20


def cid_in(address: str) -> Cid | None:
    """The CID an address names, of the forms ``/ipfs/<cid>``, ``ipfs://<cid>`` and ``https://gateway/ipfs/<cid>``.

    None when the address names no content by hash, or a path below it, which a hash of a folder would be needed for.
    """
    _, found, rest = address.partition("/ipfs/")
    if not found:
        _, found, rest = address.partition("ipfs://")
    if not found:
        return None
    try:
        return parse_cid(rest.partition("?")[0].rstrip("/"))
    except IexecError:
        return None


class ContentCache:
    """Content on disk.

    Args:
        directory: of its own.
        capacity: bytes kept; a single larger file is kept until the next one arrives.
        max_bytes: largest file fetched.

    Attributes:
        fits: asked whether the disk has room for so many bytes more.
    """

    def __init__(self, directory: Path, client: ContentClient, *, capacity: int, max_bytes: int) -> None:
        self._directory = directory
        self._client = client
        self._capacity = capacity
        self._max_bytes = max_bytes
        self._sizes: OrderedDict[str, int] = OrderedDict()
        self._sha256: dict[str, Bytes32] = {}
        self._fetching: dict[str, asyncio.Task[None]] = {}
        self.fits: Callable[[int], Awaitable[bool]] | None = None

    def open(self) -> None:
        """Take stock of what an earlier process left."""
        self._directory.mkdir(parents=True, exist_ok=True)
        found = []
        for path in self._directory.iterdir():
            if path.name.startswith("."):
                path.unlink()
            else:
                status = path.stat()
                found.append((status.st_mtime, path.name, status.st_size))
        for _, name, size in sorted(found):
            self._sizes[name] = size

    async def close(self) -> None:
        """Give up the transfers under way."""
        for task in list(self._fetching.values()):
            task.cancel()
        await asyncio.gather(*self._fetching.values(), return_exceptions=True)

    async def checksum(self, cid: Cid) -> Bytes32:
        """SHA-256 of the content, which is fetched if need be.

        Raises:
            IexecError: as `ContentClient.fetch_to`.
        """
        name = str(cid)
        while name not in self._sha256:
            await self._ensure(cid)
        self._touch(name)
        return self._sha256[name]

    async def link(self, cid: Cid, target: Path) -> None:
        """Make the content appear as `target`, which must be on the same disk and is not to be written to.

        Raises:
            IexecError: as `ContentClient.fetch_to`.
            FileNotFoundError: there is no folder to put it in.
        """
        while True:
            await self.checksum(cid)
            try:
                _link(self._directory / str(cid), target)
            except FileNotFoundError:
                if not await anyio.to_thread.run_sync(target.parent.is_dir):
                    raise
                self._drop(str(cid))
            else:
                return

    async def _ensure(self, cid: Cid) -> None:
        name = str(cid)
        task = self._fetching.get(name)
        if task is None:
            task = asyncio.create_task(self._obtain(cid), name=f"fetch {name}")
            self._fetching[name] = task
            task.add_done_callback(lambda ended: self._fetched(name, ended))
        # The first to ask may be aborted; the others still wait for the same transfer.
        await asyncio.shield(task)

    def _fetched(self, name: str, task: asyncio.Task[None]) -> None:
        self._fetching.pop(name, None)
        if not task.cancelled() and task.exception() is not None:
            # Looked at here too: all who asked may have given up.
            log.debug("content was not obtained", cid=name, error=str(task.exception()))

    async def _obtain(self, cid: Cid) -> None:
        name = str(cid)
        path = self._directory / name
        if name in self._sizes:
            verified = await anyio.to_thread.run_sync(_verify, cid, path)
            if verified is not None:
                self._sha256[name] = verified
                return
            log.warning("kept content is damaged and fetched anew", cid=name)
            self._drop(name)
        size = await self._client.fetch_to(cid, path, self._max_bytes)
        path.chmod(0o444)
        self._sizes[name] = size
        digest = await anyio.to_thread.run_sync(_sha256_of, path)
        self._sha256[name] = digest
        self._evict(keep=name)
        if self.fits is not None and not await self.fits(0):
            self._drop(name)
            raise IexecError("WORKER_DISK_FULL", f"{cid}, of {size} bytes, does not fit beside what disk_bytes allows")

    async def collect(self, size: int) -> int:
        """Throw away `size` bytes of content, the longest unused first, or all there is; the bytes thrown away."""
        gone = 0
        for name in list(self._sizes):
            if gone >= size:
                break
            if name not in self._fetching:
                gone += self._sizes[name]
                self._drop(name)
        return gone

    def _touch(self, name: str) -> None:
        if name in self._sizes and next(reversed(self._sizes)) != name:
            self._sizes.move_to_end(name)
            os.utime(self._directory / name)

    def _evict(self, keep: str) -> None:
        total = sum(self._sizes.values())
        for name in list(self._sizes):
            if total <= self._capacity:
                return
            if name != keep and name not in self._fetching:
                total -= self._sizes[name]
                self._drop(name)

    def _drop(self, name: str) -> None:
        self._sizes.pop(name, None)
        self._sha256.pop(name, None)
        (self._directory / name).unlink(missing_ok=True)


def _link(source: Path, target: Path) -> None:
    try:
        target.hardlink_to(source)
    except FileExistsError:
        target.unlink()
        target.hardlink_to(source)
    except PermissionError:
        shutil.copyfile(source, target)


def _sha256_of(path: Path) -> Bytes32:
    with path.open("rb") as file:
        return bytes32(hashlib.file_digest(file, "sha256").digest())


def _verify(cid: Cid, path: Path) -> Bytes32 | None:
    """SHA-256 of a file that is what its CID names; None when it is something else."""
    plain, verifier = hashlib.sha256(), ContentVerifier(cid)
    try:
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                plain.update(piece)
                verifier.update(piece)
    except OSError:
        return None
    return bytes32(plain.digest()) if verifier.holds() else None
