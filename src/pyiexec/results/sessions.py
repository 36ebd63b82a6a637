"""Uploads that can be taken up again: what arrived stays on disk until the rest comes, or nobody has come for a while.

::

    incoming/<name>/content       the bytes so far: their number is where the upload stands
    incoming/<name>/about.json    how many there will be
    incoming/<name>/stored.json   what the finished upload became; its bytes are the store's then

A session is a folder, so a service killed at any moment finds it as it was. Its name is random and known only to
whoever began it, and is all that is needed to go on.

Source: tus resumable upload protocol 1.0 (core, creation, expiration, termination).
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import BinaryIO

import anyio.to_thread
import msgspec

from pyiexec.foundation.clock import Clock
from pyiexec.foundation.logs import get_logger
from pyiexec.protocol.errors import IexecError
from pyiexec.storage.node import ContentNode, too_large, unwritable

log = get_logger(__name__)

_NAME = re.compile(r"[0-9a-f]{32}", re.ASCII)
_NAME_BYTES = 16
_SPOOL_BYTES = 1024 * 1024
#: Unfinished uploads at a time.
MAX_SESSIONS = 1000
#: Seconds without a byte after which a sender is taken for gone, and its upload may be resumed.
IDLE_SECONDS = 60.0


class Standing(msgspec.Struct, frozen=True):
    """Where an upload stands.

    Attributes:
        name: of its session.
        offset: bytes that are here.
        length: bytes that will be.
        expires_at: seconds since the epoch, when it is forgotten unless more arrives.
        cid: of the finished upload.
    """

    name: str
    offset: int
    length: int
    expires_at: float
    cid: str | None = None


class _About(msgspec.Struct):
    length: int


class _Stored(msgspec.Struct):
    cid: str


class Sessions:
    """The unfinished uploads of one process; it is the only one to write below `directory`.

    Args:
        directory: where they lie, on the disk of the store.
        node: who gets what is finished.
        clock: for expiry.
        entropy: random bytes, for names.
        lifetime: seconds for which an upload waits for more.
        make_room: raises when so many bytes more cannot be kept.
    """

    def __init__(
        self,
        directory: Path,
        node: ContentNode,
        clock: Clock,
        *,
        entropy: Callable[[int], bytes],
        lifetime: float,
        make_room: Callable[[int], None] = lambda _count: None,
    ) -> None:
        self._directory = directory
        self._node = node
        self._clock = clock
        self._entropy = entropy
        self._lifetime = lifetime
        self._make_room = make_room
        self._held: set[str] = set()

    async def begin(self, length: int) -> Standing:
        """Open a session for `length` bytes; an upload of none is finished at once.

        Raises:
            IexecError: ``STORE_FULL``, ``STORE_UNWRITABLE``.
        """
        await self.forget_expired()
        name = self._entropy(_NAME_BYTES).hex()
        self._held.add(name)
        try:
            await anyio.to_thread.run_sync(self._create, name, length)
            if not length:
                await self._finish(name)
            return await self.standing(name)
        finally:
            self._held.discard(name)

    async def standing(self, name: str) -> Standing:
        """Where an upload stands.

        Raises:
            IexecError: ``UPLOAD_UNKNOWN``.
        """
        return await anyio.to_thread.run_sync(self._standing, name)

    async def append(self, name: str, offset: int, body: AsyncIterator[bytes]) -> Standing:
        """Take what follows; what arrived is kept however `body` ends. With its last byte the upload is stored.

        Raises:
            IexecError: ``UPLOAD_UNKNOWN``; ``UPLOAD_CONFLICT`` when the upload stands elsewhere than at `offset`, or
                is being written to; ``CONTENT_TOO_LARGE`` for more than was announced; ``STORE_UNWRITABLE``; and as
                `ContentNode.adopt`.
        """
        if name in self._held:
            raise IexecError("UPLOAD_CONFLICT", "another connection is sending to this upload")
        self._held.add(name)
        try:
            standing = await self.standing(name)
            if standing.offset != offset:
                raise IexecError("UPLOAD_CONFLICT", f"the upload stands at byte {standing.offset}, not {offset}")
            if standing.cid is None:
                await self._receive(name, standing.length - offset, body)
                standing = await self.standing(name)
                if standing.offset == standing.length:
                    # The client may have gone meanwhile: it finds the outcome when it asks again.
                    with anyio.CancelScope(shield=True):
                        await self._finish(name)
            return await self.standing(name)
        finally:
            self._held.discard(name)

    async def drop(self, name: str) -> None:
        """Forget an upload; what it became stays stored.

        Raises:
            IexecError: ``UPLOAD_UNKNOWN``; ``UPLOAD_CONFLICT`` while it is being written to.
        """
        await self.standing(name)
        if name in self._held:
            raise IexecError("UPLOAD_CONFLICT", "a connection is sending to this upload")
        await anyio.to_thread.run_sync(shutil.rmtree, self._directory / name)

    async def forget_expired(self) -> None:
        """Remove the sessions whose time is over."""
        await anyio.to_thread.run_sync(self._sweep)

    def _create(self, name: str, length: int) -> None:
        open_lengths = [standing.length for standing in self._all() if standing.cid is None]
        if len(open_lengths) >= MAX_SESSIONS:
            raise IexecError("STORE_FULL", f"{MAX_SESSIONS} uploads are under way")
        self._make_room(sum(open_lengths) + length)
        scratch = self._directory / f".{name}"
        try:
            scratch.mkdir()
            (scratch / "content").touch()
            (scratch / "about.json").write_bytes(msgspec.json.encode(_About(length)))
            self._touch(scratch)
            scratch.rename(self._directory / name)
        except OSError as error:
            raise unwritable(error) from None

    def _standing(self, name: str) -> Standing:
        if not _NAME.fullmatch(name):
            raise _unknown()
        folder = self._directory / name
        try:
            length = msgspec.json.decode((folder / "about.json").read_bytes(), type=_About).length
            expires_at = (folder / "about.json").stat().st_mtime + self._lifetime
        except FileNotFoundError:
            raise _unknown() from None
        if expires_at <= self._clock.now() and name not in self._held:
            raise _unknown()
        with contextlib.suppress(FileNotFoundError):
            stored = msgspec.json.decode((folder / "stored.json").read_bytes(), type=_Stored)
            return Standing(name, length, length, expires_at, stored.cid)
        try:
            return Standing(name, (folder / "content").stat().st_size, length, expires_at)
        except FileNotFoundError:
            # Killed between storing and writing down under which name: the client begins again, and loses nothing.
            raise _unknown() from None

    def _all(self) -> list[Standing]:
        found = []
        for folder in self._directory.iterdir():
            with contextlib.suppress(IexecError):
                found.append(self._standing(folder.name))
        return found

    def _sweep(self) -> None:
        for folder in self._directory.iterdir():
            if not folder.is_dir() or folder.name.removeprefix(".") in self._held:
                continue
            try:
                self._standing(folder.name)
            except IexecError:
                shutil.rmtree(folder, ignore_errors=True)

    async def _receive(self, name: str, left: int, body: AsyncIterator[bytes]) -> None:
        content = self._directory / name / "content"
        file: BinaryIO = await anyio.to_thread.run_sync(lambda: content.open("ab"))
        gathered = bytearray()
        try:
            async for piece in _while_alive(body):
                if len(piece) > left:
                    raise too_large((await self.standing(name)).length)
                left -= len(piece)
                gathered += piece
                if len(gathered) >= _SPOOL_BYTES:
                    await anyio.to_thread.run_sync(file.write, bytes(gathered))
                    gathered.clear()
        except OSError as error:
            raise unwritable(error) from None
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(self._put_down, name, file, bytes(gathered))

    def _put_down(self, name: str, file: BinaryIO, last: bytes) -> None:
        try:
            file.write(last)
            file.close()
            self._touch(self._directory / name)
        except OSError as error:
            raise unwritable(error) from None

    def _touch(self, folder: Path) -> None:
        now = self._clock.now()
        os.utime(folder / "about.json", (now, now))

    async def _finish(self, name: str) -> None:
        folder = self._directory / name
        stored = await self._node.adopt(folder / "content")

        def write_down() -> None:
            scratch = folder / ".stored.json"
            scratch.write_bytes(msgspec.json.encode(_Stored(str(stored.cid))))
            scratch.replace(folder / "stored.json")

        await anyio.to_thread.run_sync(write_down)
        log.info("content added", cid=str(stored.cid))


async def _while_alive(body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """What a sender sends, until it ends or falls silent: a line that is cut somewhere far away says nothing."""
    while True:
        piece: bytes | None = None
        with anyio.move_on_after(IDLE_SECONDS):
            piece = await anext(body, None)
        if piece is None:
            return
        yield piece


def _unknown() -> IexecError:
    return IexecError("UPLOAD_UNKNOWN", "there is no such upload, or no longer")
