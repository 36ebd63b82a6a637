"""Uploads that go on where they broke off: the client's side of a session that the node keeps.

Source: tus resumable upload protocol 1.0, core and creation.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urljoin

import aiohttp
import anyio

from pyiexec.protocol.errors import IexecError
from pyiexec.storage.bandwidth import Bandwidth
from pyiexec.storage.cid import Cid, parse_cid
from pyiexec.storage.unixfs import Node, UnixFsHasher

PIECE_BYTES = 256 * 1024
#: Where sessions are begun.
UPLOADS = "/v1/uploads"
#: Header in which a node tells what a finished upload became.
PATH_HEADER = "X-Ipfs-Path"
_VERSION = {"Tus-Resumable": "1.0.0"}

#: Raises when an answer is none of success.
Accept = Callable[[aiohttp.ClientResponse, str], Awaitable[None]]


class Outgoing:
    """Content on its way to a node, hashed once however often a part of it is sent.

    Attributes:
        size: bytes of it.
        sent: bytes that the node said it has.
    """

    def __init__(self, content: bytes | Path, size: int, bandwidth: Bandwidth | None = None) -> None:
        self.size = size
        self.sent = 0
        self._bandwidth = bandwidth
        self._piece = PIECE_BYTES if bandwidth is None else bandwidth.piece_bytes(PIECE_BYTES)
        self._content = content
        self._tree = UnixFsHasher()
        self._known = 0

    @classmethod
    async def of(cls, content: bytes | Path, bandwidth: Bandwidth | None = None) -> Outgoing:
        """Content in memory or in a file, sent no faster than `bandwidth` allows."""
        size = len(content) if isinstance(content, bytes) else (await anyio.Path(content).stat()).st_size
        return cls(content, size, bandwidth)

    def root(self) -> Node:
        """The root of the content; all of it must have been sent."""
        return self._tree.finish()

    @asynccontextmanager
    async def pieces(self, start: int) -> AsyncIterator[AsyncIterator[bytes]]:
        """The bytes from `start`, for one request; a file is closed in the end, whatever became of the request."""
        if isinstance(self._content, bytes):
            content = self._content

            async def cut() -> AsyncIterator[bytes]:
                for at in range(start, len(content), self._piece):
                    yield content[at : at + self._piece]

            yield self._hashed(start, cut())
            return
        async with await anyio.open_file(self._content, "rb") as file:
            await file.seek(start)

            async def read() -> AsyncIterator[bytes]:
                while piece := await file.read(self._piece):
                    yield piece

            yield self._hashed(start, read())

    async def _hashed(self, at: int, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        async for piece in pieces:
            self._hash(at, piece)
            if self._bandwidth is not None:
                await self._bandwidth.take(len(piece))
            yield piece
            at += len(piece)

    def _hash(self, at: int, piece: bytes) -> None:
        if at + len(piece) > self._known:
            self._tree.update(memoryview(piece)[self._known - at :])
            self._known = at + len(piece)


class Patience:
    """How long a broken transfer is tried again: a number of times without progress, with growing pauses."""

    def __init__(self, attempts: int, pause: float) -> None:
        self._attempts = attempts
        self._pause = pause
        self._left = attempts
        self._reached = -1

    async def again(self, reached: int) -> bool:
        """Pause; false at once when it has been tried often enough. `reached` is how far the transfer got."""
        if reached > self._reached:
            self._reached, self._left = reached, self._attempts
        if not self._left:
            return False
        pause = self._pause * 2.0 ** (self._attempts - self._left)
        self._left -= 1
        await anyio.sleep(pause)
        return True


class Session:
    """An upload that a node keeps until it is whole."""

    def __init__(self, http: aiohttp.ClientSession, url: str, timeout: aiohttp.ClientTimeout, accept: Accept) -> None:
        self._http = http
        self._url = url
        self._timeout = timeout
        self._accept = accept

    @classmethod
    async def begin(
        cls, http: aiohttp.ClientSession, node_url: str, size: int, timeout: aiohttp.ClientTimeout, accept: Accept
    ) -> Session | None:
        """Open a session for `size` bytes; None when the node does not know what that is.

        Raises:
            IexecError: what `accept` raises.
        """
        headers = _VERSION | {"Upload-Length": str(size)}
        url = node_url + UPLOADS
        async with http.post(url, headers=headers, timeout=timeout) as response:
            if response.status in (404, 405, 501):
                return None
            await accept(response, "the content")
            place = response.headers.get("Location")
            if response.status != 201 or place is None:
                return None
        return cls(http, urljoin(url, place), timeout, accept)

    async def send(self, outgoing: Outgoing) -> Cid | None:
        """Send what the node lacks; the CID once all is there, None when it has to be asked again.

        Raises:
            IexecError: what `accept` raises; ``STORE_UNREACHABLE`` for an answer that is none.
            aiohttp.ClientError, TimeoutError, ConnectionError: the connection broke.
        """
        async with self._http.head(self._url, headers=_VERSION, timeout=self._timeout) as response:
            await self._accept(response, "the upload")
            outgoing.sent = self._offset(response, outgoing.size)
            if PATH_HEADER in response.headers:
                return self._named(response)
        headers = _VERSION | {
            "Upload-Offset": str(outgoing.sent),
            "Content-Type": "application/offset+octet-stream",
        }
        async with (
            outgoing.pieces(outgoing.sent) as pieces,
            self._http.patch(self._url, data=pieces, headers=headers, timeout=self._timeout) as response,
        ):
            if response.status == 409:
                # An earlier connection still holds the session: it will let go.
                raise aiohttp.ClientConnectionError("the upload is held by another connection")
            await self._accept(response, "the upload")
            outgoing.sent = self._offset(response, outgoing.size)
            return self._named(response) if PATH_HEADER in response.headers else None

    @staticmethod
    def _offset(response: aiohttp.ClientResponse, size: int) -> int:
        text = response.headers.get("Upload-Offset", "")
        if not text.isascii() or not text.isdecimal() or int(text) > size:
            raise IexecError("STORE_UNREACHABLE", f"{response.url.origin()} does not say where the upload stands")
        return int(text)

    @staticmethod
    def _named(response: aiohttp.ClientResponse) -> Cid:
        return parse_cid(response.headers.get(PATH_HEADER, "").removeprefix("/ipfs/"))


async def read_answer(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """The body of an answer, at most `limit` bytes of it."""
    received = bytearray()
    async for piece in response.content.iter_any():
        received += piece
        if len(received) >= limit:
            break
    return bytes(received[:limit])
