"""Content from a gateway that is not trusted: what arrives must hash to the name it was asked by.

Source: IPFS path gateway (``GET /ipfs/<cid>``) and the node's ``POST /api/v0/add``.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

import aiohttp
import anyio.to_thread
import msgspec

from pyiexec.protocol.errors import IexecError
from pyiexec.storage.cid import RAW, Cid, parse_cid
from pyiexec.storage.store import too_large
from pyiexec.storage.unixfs import UnixFsHasher

_PIECE_BYTES = 256 * 1024
_ANSWER_BYTES = 64 * 1024


class _Sink(Protocol):
    def write(self, data: bytes, /) -> object: ...


class ContentClient:
    """A gateway and node behind one URL; make it inside the event loop.

    Args:
        gateway_url: origin of the gateway, for example ``http://127.0.0.1:8080``.
        node_url: origin of the node's API; the gateway's when None.
        session: shared with other clients; one is opened, and closed with this object, when None.
        timeout: seconds without a byte before a transfer is given up.
    """

    def __init__(
        self,
        gateway_url: str,
        *,
        node_url: str | None = None,
        session: aiohttp.ClientSession | None = None,
        timeout: float = 30.0,
    ) -> None:
        self.gateway_url = gateway_url.rstrip("/")
        self.node_url = (node_url or gateway_url).rstrip("/")
        self._session = session
        self._owned = session is None
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=timeout, sock_read=timeout)

    async def __aenter__(self) -> ContentClient:
        return self

    async def __aexit__(
        self, _t: type[BaseException] | None, _e: BaseException | None, _b: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close the session if it is this object's own."""
        if self._owned and self._session is not None:
            await self._session.close()
            self._session = None

    async def fetch(self, cid: Cid | str, max_bytes: int) -> bytes:
        """A file, verified against its name.

        Raises:
            IexecError: ``BAD_CID``, ``CONTENT_NOT_FOUND``, ``CONTENT_MISMATCH``, ``CONTENT_TOO_LARGE`` beyond
                `max_bytes`, ``STORE_UNREACHABLE``.
        """
        received = bytearray()
        await self._receive(cid, max_bytes, _Appender(received))
        return bytes(received)

    async def fetch_to(self, cid: Cid | str, path: Path, max_bytes: int) -> int:
        """A file onto disk, where it appears only once verified; returns its size in bytes.

        Raises:
            IexecError: as `fetch`.
        """
        descriptor, name = await anyio.to_thread.run_sync(lambda: tempfile.mkstemp(dir=path.parent, prefix=".fetch-"))
        partial = Path(name)
        try:
            with os.fdopen(descriptor, "wb") as file:
                size = await self._receive(cid, max_bytes, file)
                await anyio.to_thread.run_sync(_sync, file)
            await anyio.to_thread.run_sync(partial.replace, path)
        finally:
            partial.unlink(missing_ok=True)  # noqa: ASYNC240 - must happen also while being cancelled
        return size

    async def add(self, content: bytes | Path) -> Cid:
        """Upload a file; the CID answered must be the one computed here.

        Raises:
            IexecError: ``CONTENT_MISMATCH``, ``CONTENT_TOO_LARGE``, ``STORE_UNREACHABLE``, ``STORE_UNWRITABLE``.
        """
        tree = UnixFsHasher()
        url = f"{self.node_url}/api/v0/add"
        # Closed here, or a cancelled upload leaves its file open until the collector comes.
        async with aclosing(_hashed(content, tree)) as pieces:
            form = aiohttp.MultipartWriter("form-data")
            part = form.append(pieces, {"Content-Type": "application/octet-stream"})
            part.set_content_disposition("form-data", name="file", filename="")
            claimed = await self._post(url, form)
        cid = tree.finish().cid
        if claimed != cid:
            raise IexecError("CONTENT_MISMATCH", f"{self.node_url} stored {claimed} in place of {cid}")
        return cid

    async def _post(self, url: str, form: aiohttp.MultipartWriter) -> Cid:
        """Send an upload; the CID that the node gave it."""
        try:
            async with self._http().post(url, data=form, timeout=self._timeout) as response:
                await self._accept(response, "the content")
                answer = await response.content.read(_ANSWER_BYTES)
                return parse_cid(msgspec.json.decode(answer.partition(b"\n")[0])["Hash"])
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            raise self._unreachable(self.node_url, error) from None
        except (msgspec.DecodeError, KeyError, TypeError):
            raise IexecError("STORE_UNREACHABLE", f"{self.node_url} does not answer as a content node") from None

    async def _receive(self, cid: Cid | str, max_bytes: int, sink: _Sink) -> int:
        wanted = parse_cid(cid) if isinstance(cid, str) else cid
        verifier = _Verifier(wanted)
        size = 0
        try:
            async with self._http().get(f"{self.gateway_url}/ipfs/{wanted}", timeout=self._timeout) as response:
                await self._accept(response, str(wanted))
                if response.content_length is not None and response.content_length > max_bytes:
                    raise too_large(max_bytes)
                async for piece in response.content.iter_chunked(_PIECE_BYTES):
                    size += len(piece)
                    if size > max_bytes:
                        raise too_large(max_bytes)
                    verifier.update(piece)
                    sink.write(piece)
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            raise self._unreachable(self.gateway_url, error) from None
        if not verifier.holds():
            raise IexecError("CONTENT_MISMATCH", f"{self.gateway_url} sent something else than {wanted}")
        return size

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            # Encodings are declined: the length announced must be that of the content.
            self._session = aiohttp.ClientSession(headers={"Accept-Encoding": "identity"})
        return self._session

    async def _accept(self, response: aiohttp.ClientResponse, what: str) -> None:
        if response.ok:
            return
        if response.status == 404:
            raise IexecError("CONTENT_NOT_FOUND", f"{what} is not at {self.gateway_url}")
        if response.status == 413:
            raise IexecError("CONTENT_TOO_LARGE", f"{response.url.origin()} refuses {what} for its size")
        code, said = await _said(response)
        if code in {"STORE_UNWRITABLE", "CONTENT_MISMATCH"}:
            raise IexecError(code, said)
        raise IexecError("STORE_UNREACHABLE", f"{response.url.origin()} answered {response.status} {said}".rstrip())

    @staticmethod
    def _unreachable(url: str, error: Exception) -> IexecError:
        return IexecError("STORE_UNREACHABLE", f"no answer from {url}: {error or type(error).__name__}")


class _Appender:
    def __init__(self, target: bytearray) -> None:
        self._target = target

    def write(self, data: bytes) -> None:
        self._target += data


class _Verifier:
    """Whether bytes in order are the file a CID names."""

    def __init__(self, cid: Cid) -> None:
        self._cid = cid
        self._tree = UnixFsHasher()
        self._plain = hashlib.sha256()

    def update(self, data: bytes) -> None:
        if self._cid.codec == RAW:
            self._plain.update(data)
        else:
            self._tree.update(data)

    def holds(self) -> bool:
        digest = self._plain.digest() if self._cid.codec == RAW else self._tree.finish().digest
        return digest == self._cid.digest


async def _hashed(content: bytes | Path, tree: UnixFsHasher) -> AsyncGenerator[bytes, None]:
    if isinstance(content, bytes):
        for start in range(0, len(content), _PIECE_BYTES):
            piece = content[start : start + _PIECE_BYTES]
            tree.update(piece)
            yield piece
        return
    async with await anyio.open_file(content, "rb") as file:
        while piece := await file.read(_PIECE_BYTES):
            tree.update(piece)
            yield piece


async def _said(response: aiohttp.ClientResponse) -> tuple[str, str]:
    """Code and message of an error answer, empty where it has none."""
    try:
        body: Any = msgspec.json.decode(await response.content.read(_ANSWER_BYTES))
        return str(body.get("code", "")), str(body.get("error", ""))[:200]
    except (msgspec.DecodeError, AttributeError):
        return "", ""


def _sync(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())
