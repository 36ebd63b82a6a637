"""What a run stands on: the task's own folder, with the application and its inputs in it.

Everything is known by hash, so that workers who answer differently cannot have read differently: the application and
the dataset by the checksum on chain, input files by the CID in their URL.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from pathlib import Path

import aiohttp
import anyio.to_thread

from pyiexec.chain.registries import AppAsset, DatasetAsset
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.multiaddr import decode_multiaddr
from pyiexec.protocol.primitives import Address, Bytes32, TaskId
from pyiexec.storage.bandwidth import Bandwidth
from pyiexec.storage.cid import Cid
from pyiexec.worker.content import ContentCache, cid_in
from pyiexec.worker.environment import input_name

_PIECE = 256 * 1024
#: Input files of one task fetched at a time.
_TRANSFERS = 8
#: Seconds that a server without hashes may take to send an input file.
_PLAIN_TIMEOUT = 300.0


class TaskFolder:
    """The folder of one task; it lives as long as its result may be needed."""

    def __init__(self, tasks_dir: Path, task_id: TaskId) -> None:
        self.path = tasks_dir / task_id
        self.app = self.path / "app"
        self.inputs = self.path / "in"
        self.outputs = self.path / "out"
        self.archive = self.path / "result.zip"

    def prepare(self) -> None:
        """Make the folder, without what an interrupted run left in it."""
        if self.path.exists():
            shutil.rmtree(self.path)
        self.inputs.mkdir(parents=True)

    def keep(self, archive: bytes) -> None:
        """Put the result down, whole or not at all, and drop what it was made of."""
        partial = self.path / "result.part"
        partial.write_bytes(archive)
        partial.replace(self.archive)
        for leftover in (self.inputs, self.outputs):
            shutil.rmtree(leftover, ignore_errors=True)
        self.app.unlink(missing_ok=True)

    def remove(self) -> None:
        """Forget the task."""
        shutil.rmtree(self.path, ignore_errors=True)


class Staging:
    """Fetches what tasks need; one object for a worker."""

    def __init__(
        self,
        cache: ContentCache,
        session: aiohttp.ClientSession,
        *,
        allow_unhashed: bool,
        max_bytes: int,
        bandwidth: Bandwidth | None = None,
    ) -> None:
        self._cache = cache
        self._session = session
        self._allow_unhashed = allow_unhashed
        self._max_bytes = max_bytes
        self._bandwidth = bandwidth

    async def app(self, app: AppAsset, folder: TaskFolder) -> None:
        """Put the application into the task's folder.

        Raises:
            IexecError: ``APP_CHECKSUM_MISMATCH``, ``APP_NOT_HASHED``, and those of `ContentClient.fetch_to`.
        """
        address = decode_multiaddr(app.multiaddr)
        cid = cid_in(address)
        if cid is None:
            raise IexecError("APP_NOT_HASHED", f"the application is at {address[:200]!r}, which names no content")
        await self._checked(cid, app.checksum, "APP_CHECKSUM_MISMATCH", "application")
        await self._cache.link(cid, folder.app)

    async def dataset(self, pointer: Address, dataset: DatasetAsset, folder: TaskFolder) -> None:
        """Put the dataset into the input folder, named by its address.

        Raises:
            IexecError: ``DATASET_CHECKSUM_MISMATCH``, ``INPUT_NOT_HASHED``, and those of `ContentClient.fetch_to`.
        """
        address = decode_multiaddr(dataset.multiaddr)
        cid = cid_in(address)
        if cid is None:
            raise IexecError("INPUT_NOT_HASHED", f"the dataset is at {address[:200]!r}, which names no content")
        await self._checked(cid, dataset.checksum, "DATASET_CHECKSUM_MISMATCH", "dataset")
        await self._cache.link(cid, folder.inputs / pointer)

    async def inputs(self, urls: Sequence[str], folder: TaskFolder) -> None:
        """Put the input files into the input folder, named by the hash of their URLs.

        Together they may be as large as a single one: a request can name any number.

        Raises:
            IexecError: ``CONTENT_TOO_LARGE``, ``INPUT_NOT_HASHED``, ``INPUT_UNAVAILABLE``, and those of
                `ContentClient.fetch_to`.
        """
        size, transfers = 0, asyncio.Semaphore(_TRANSFERS)

        async def obtain(url: str) -> None:
            nonlocal size
            async with transfers:
                target = folder.inputs / input_name(url)
                await self._input(url, target)
            size += target.stat().st_size
            if size > self._max_bytes:
                raise IexecError("CONTENT_TOO_LARGE", f"the input files together exceed {self._max_bytes} bytes")

        try:
            # The first that fails ends the others: nobody waits for them, and their folder goes.
            async with asyncio.TaskGroup() as group:
                for url in dict.fromkeys(urls):
                    group.create_task(obtain(url))
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def _checked(self, cid: Cid, checksum: Bytes32, code: str, what: str) -> None:
        actual = await self._cache.checksum(cid)
        if actual != checksum:
            raise IexecError(code, f"the {what} at {cid} has SHA-256 {actual}, the chain says {checksum}")

    async def _input(self, url: str, target: Path) -> None:
        cid = cid_in(url)
        if cid is not None:
            await self._cache.link(cid, target)
        elif self._allow_unhashed:
            await self._plain(url, target)
        else:
            raise IexecError("INPUT_NOT_HASHED", f"the input file {url[:200]!r} names no content")

    async def _plain(self, url: str, target: Path) -> None:
        size = 0
        try:
            async with asyncio.timeout(_PLAIN_TIMEOUT), self._session.get(url) as response:
                response.raise_for_status()
                limit = self._bandwidth
                with target.open("wb") as file:
                    async for piece in response.content.iter_chunked(limit.piece_bytes(_PIECE) if limit else _PIECE):
                        if limit:
                            await limit.take(len(piece))
                        size += len(piece)
                        if size > self._max_bytes:
                            raise IexecError("CONTENT_TOO_LARGE", f"{url[:200]!r} exceeds {self._max_bytes} bytes")
                        await anyio.to_thread.run_sync(file.write, piece)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            what = f"the input file {url[:200]!r} could not be fetched: {error or type(error).__name__}"
            raise IexecError("INPUT_UNAVAILABLE", what) from None


def read_outputs(folder: Path) -> dict[str, bytes]:
    """The files of an output folder by their names in it.

    Raises:
        IexecError: ``BAD_RESULT`` when one of them is no plain file.
    """
    files: dict[str, bytes] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_dir() or path.is_file()):
            raise IexecError("BAD_RESULT", f"the application left {name[:80]!r}, which is no plain file")
        if path.is_file():
            files[name] = path.read_bytes()
    return files
