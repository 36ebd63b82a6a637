"""Images on the worker's engine: fetched once by their digest, bounded while they arrive, and cleared when unused."""

from __future__ import annotations

import asyncio
import shutil
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import anyio
import anyio.to_thread
import msgspec

from pyiexec.foundation.logs import get_logger
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.images import ImageName, parse_image
from pyiexec.protocol.primitives import NULL_BYTES32, Bytes32
from pyiexec.worker.runtimes.base import Image
from pyiexec.worker.runtimes.docker.confinement import check_image
from pyiexec.worker.runtimes.docker.engine import Engine
from pyiexec.worker.runtimes.docker.settings import DockerSettings

log = get_logger(__name__)

#: Seconds between two looks at the disk while an image is unpacked. What a look can miss is what the disk takes in
#: meanwhile.
_LOOK_SECONDS = 0.2
#: A layer is on the disk compressed and unpacked for a while.
_TRANSIENT = 2
#: Images' words for processors.
_PLATFORMS = {"x86_64": "amd64", "aarch64": "arm64"}

Found = Mapping[str, Any]


class Images:
    """The images of one worker.

    Args:
        index: file in which is kept which images were fetched, the one longest not used first.
    """

    def __init__(self, engine: Engine, settings: DockerSettings, index: Path) -> None:
        self._engine = engine
        self._settings = settings
        self._index = index
        self._architecture = ""
        self._engine_disk = Path()
        self._sizes: OrderedDict[str, int] = OrderedDict()
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._accounting = asyncio.Lock()
        self._arriving = 0

    def open(self, info: Found) -> None:
        """Take stock of what an earlier life fetched; `info` is what the engine says of itself."""
        self._architecture = _PLATFORMS[info["Architecture"]]
        self._engine_disk = Path(info["DockerRootDir"])
        try:
            self._sizes = OrderedDict(msgspec.json.decode(self._index.read_bytes(), type=dict[str, int]))
        except (FileNotFoundError, msgspec.MsgspecError):
            # Images that are forgotten stay on the engine, where its owner can clear them.
            self._sizes = OrderedDict()

    async def obtain(self, image: Image) -> Found:
        """An application's image, as the engine describes it; fetched if need be.

        Raises:
            IexecError: ``APP_CHECKSUM_MISMATCH``, ``APP_IMAGE_UNAVAILABLE``, ``APP_INVALID_IMAGE``,
                ``APP_NOT_HASHED``, ``APP_UNSUPPORTED``, ``BAD_IMAGE``, ``CONTENT_TOO_LARGE``, and those of `Engine`.
        """
        name = parse_image(image.name)
        if image.checksum == NULL_BYTES32:
            raise IexecError("APP_NOT_HASHED", f"the image {image.name[:200]!r} was registered without a checksum")
        if name.checksum not in (None, image.checksum):
            what = f"the image is registered as {image.name[:200]!r}, and with the checksum {image.checksum}"
            raise IexecError("APP_CHECKSUM_MISMATCH", what)
        if self._settings.registries and name.registry not in self._settings.registries:
            raise IexecError("APP_UNSUPPORTED", f"this worker takes no images from {name.registry[:100]!r}")
        pinned = name.pinned(image.checksum)
        # Who asks for an image waits for whoever fetches it already, and for nobody else.
        async with self._locks.setdefault(pinned, asyncio.Lock()):
            found = await self._engine.image(pinned)
            fetched = found is None
            if found is None:
                found = await self._pull(name, image.checksum, pinned)
            try:
                check_image(found, image.checksum, self._architecture, self._settings.max_image_bytes)
            except IexecError:
                if fetched:
                    await self._engine.remove_image(found["Id"])
                raise
        if fetched or pinned in self._sizes:
            # What was there before is its owner's to clear.
            await self._account(pinned, found["Size"])
        return found

    async def _account(self, pinned: str, size: int) -> None:
        """Note that an image was used, and let go of those longest not used when there are too many."""
        async with self._accounting:
            self._sizes[pinned] = size
            self._sizes.move_to_end(pinned)
            for name in list(self._sizes):
                if sum(self._sizes.values()) <= self._settings.images_bytes:
                    break
                if name != pinned:
                    # The engine does not let go of an image that a running container has.
                    await self._engine.remove_image(name)
                    del self._sizes[name]
            await anyio.to_thread.run_sync(self._write)

    def _write(self) -> None:
        partial = self._index.with_suffix(".part")
        partial.write_bytes(msgspec.json.encode(dict(self._sizes)))
        partial.replace(self._index)

    async def _pull(self, name: ImageName, checksum: Bytes32, pinned: str) -> Found:
        log.info("fetching an image", image=pinned)
        self._arriving += 1
        try:
            async with asyncio.timeout(self._settings.pull_seconds), asyncio.TaskGroup() as group:
                watch = group.create_task(self._watch_disk(pinned))
                await self._receive(name, checksum, pinned)
                watch.cancel()
        except TimeoutError:
            what = f"the image {pinned} did not arrive within {self._settings.pull_seconds:g} seconds"
            raise IexecError("APP_IMAGE_UNAVAILABLE", what) from None
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        finally:
            self._arriving -= 1
        found = await self._engine.image(pinned)
        if found is None:
            raise IexecError("APP_IMAGE_UNAVAILABLE", f"the transfer of the image {pinned} broke off")
        return found

    async def _receive(self, name: ImageName, checksum: Bytes32, pinned: str) -> None:
        layers: dict[str, int] = {}
        async with aclosing(self._engine.pull(name, checksum)) as reports:
            async for report in reports:
                layers[report.get("id", "")] = (report.get("progressDetail") or {}).get("total", 0)
                if sum(layers.values()) > self._settings.max_image_bytes:
                    raise self._too_large(pinned)

    async def _watch_disk(self, pinned: str) -> None:
        """Stop a transfer that unpacks to more than an image may have.

        How large a layer will be nobody knows before it has been unpacked, and nothing tells of the disk's filling:
        hence a look every now and then. Images that arrive together are allowed what they are all allowed. An engine
        whose folder cannot be seen from here is not watched.
        """
        try:
            before = (await anyio.to_thread.run_sync(shutil.disk_usage, self._engine_disk)).used
        except OSError:
            log.warning("the engine's disk cannot be watched", folder=str(self._engine_disk))
            return
        together = self._arriving
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            together = max(together, self._arriving)
            used = (await anyio.to_thread.run_sync(shutil.disk_usage, self._engine_disk)).used
            if used - before > together * _TRANSIENT * self._settings.max_image_bytes:
                raise self._too_large(pinned)

    def _too_large(self, pinned: str) -> IexecError:
        allowed = self._settings.max_image_bytes
        return IexecError("CONTENT_TOO_LARGE", f"the image {pinned} has more than the {allowed} bytes allowed")
