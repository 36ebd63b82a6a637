"""Content from a gateway that is not trusted: what arrives must hash to the name it was asked by.

A transfer that breaks off is taken up where it stood: downloads by range, large uploads where the node keeps them in a
session; any other node gets them in one piece.

Source: IPFS path gateway (``GET /ipfs/<cid>``), the node's ``POST /api/v0/add``; RFC 9110 ranges; tus 1.0.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Protocol

import aiohttp
import anyio.to_thread
import msgspec

from pyiexec.foundation.clients import HttpClient, pass_trace_on
from pyiexec.protocol.errors import IexecError
from pyiexec.storage.bandwidth import Bandwidth
from pyiexec.storage.cid import Cid, parse_cid
from pyiexec.storage.node import too_large
from pyiexec.storage.sending import PIECE_BYTES, Outgoing, Patience, Session, read_answer
from pyiexec.storage.verification import ContentVerifier

_ANSWER_BYTES = 64 * 1024
#: Uploads from this size on are worth resuming.
RESUMABLE_BYTES = 4 * 1024 * 1024


class _Sink(Protocol):
    def write(self, data: bytes, /) -> object: ...


class ContentClient(HttpClient):
    """A gateway and node behind one URL; make it inside the event loop.

    Args:
        gateway_url: origin of the gateway, for example ``http://127.0.0.1:8080``.
        node_url: origin of the node's API; the gateway's when None.
        session: shared with other clients; one is opened, and closed with this object, when None.
        timeout: seconds without a byte before a connection is given up.
        attempts: how often a transfer that broke off is taken up again without getting any further.
        pause: seconds before the first of them; twice as long before each one more.
        download: what fetched content has to keep to; None for no limit.
        upload: what added content has to keep to; None for no limit.
    """

    def __init__(
        self,
        gateway_url: str,
        *,
        node_url: str | None = None,
        session: aiohttp.ClientSession | None = None,
        timeout: float = 30.0,
        attempts: int = 6,
        pause: float = 0.2,
        download: Bandwidth | None = None,
        upload: Bandwidth | None = None,
    ) -> None:
        self.gateway_url = gateway_url.rstrip("/")
        self.node_url = (node_url or gateway_url).rstrip("/")
        super().__init__(session)
        self._attempts = attempts
        self._pause = pause
        self._download = download
        self._upload = upload
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=timeout, sock_read=timeout)

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
        outgoing = await Outgoing.of(content, self._upload)
        try:
            claimed = await self._add_resumably(outgoing) if outgoing.size >= RESUMABLE_BYTES else None
            if claimed is None:
                claimed = await self._add_whole(outgoing)
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            raise self._unreachable(self.node_url, error) from None
        cid = outgoing.root().cid
        if claimed != cid:
            raise IexecError("CONTENT_MISMATCH", f"{self.node_url} stored {claimed} in place of {cid}")
        return cid

    async def _add_whole(self, outgoing: Outgoing) -> Cid:
        """Send an upload in one request; the CID that the node gave it."""
        async with outgoing.pieces(0) as pieces:
            form = aiohttp.MultipartWriter("form-data")
            part = form.append(pieces, {"Content-Type": "application/octet-stream"})
            part.set_content_disposition("form-data", name="file", filename="")
            async with self._http().post(f"{self.node_url}/api/v0/add", data=form, timeout=self._timeout) as response:
                await self._accept(response, "the content")
                answer = await read_answer(response, _ANSWER_BYTES)
        try:
            return parse_cid(msgspec.json.decode(answer.partition(b"\n")[0])["Hash"])
        except (msgspec.DecodeError, KeyError, TypeError):
            raise IexecError("STORE_UNREACHABLE", f"{self.node_url} does not answer as a content node") from None

    async def _add_resumably(self, outgoing: Outgoing) -> Cid | None:
        """Send an upload in a session; None when the node has none, as IPFS nodes of others do not."""
        patience = Patience(self._attempts, self._pause)
        session = None
        while True:
            try:
                if session is None:
                    session = await Session.begin(
                        self._http(), self.node_url, outgoing.size, self._timeout, self._accept
                    )
                    if session is None:
                        return None
                named = await session.send(outgoing)
            except (aiohttp.ClientError, TimeoutError, ConnectionError):
                # Who never answered is not waited for.
                if session is None or not await patience.again(outgoing.sent):
                    raise
            except IexecError as error:
                # The node forgot the upload: it begins anew.
                if error.code != "CONTENT_NOT_FOUND" or not await patience.again(outgoing.sent):
                    raise
                session = None
            else:
                if named is not None:
                    return named

    async def _receive(self, cid: Cid | str, max_bytes: int, sink: _Sink) -> int:
        wanted = parse_cid(cid) if isinstance(cid, str) else cid
        incoming = _Incoming(wanted, max_bytes, sink)
        patience = Patience(self._attempts, self._pause)
        while not incoming.whole:
            try:
                await self._receive_rest(incoming)
            except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
                # Who never answered is not waited for; callers know better whether to ask somebody else.
                if not incoming.size or not await patience.again(incoming.size):
                    raise self._unreachable(self.gateway_url, error) from None
        if not incoming.verifier.holds():
            raise IexecError("CONTENT_MISMATCH", f"{self.gateway_url} sent something else than {wanted}")
        return incoming.size

    async def _receive_rest(self, incoming: _Incoming) -> None:
        headers = {"Range": f"bytes={incoming.size}-", "If-Range": incoming.etag} if incoming.size else {}
        async with AsyncExitStack() as stack:
            response = await stack.enter_async_context(
                self._http().get(f"{self.gateway_url}/ipfs/{incoming.cid}", headers=headers, timeout=self._timeout)
            )
            if response.status == 416 and incoming.size:
                # All had arrived but the end of the message.
                incoming.whole = True
                return
            await self._accept(response, str(incoming.cid))
            incoming.begin(response)
            size = PIECE_BYTES if self._download is None else self._download.piece_bytes(PIECE_BYTES)
            async for piece in response.content.iter_chunked(size):
                incoming.take(piece)
                if self._download is not None:
                    await self._download.take(len(piece))
        incoming.whole = True

    def _open(self) -> aiohttp.ClientSession:
        # Encodings are declined: the length announced must be that of the content.
        return aiohttp.ClientSession(headers={"Accept-Encoding": "identity"}, middlewares=(pass_trace_on,))

    async def _accept(self, response: aiohttp.ClientResponse, what: str) -> None:
        if response.ok:
            return
        if response.status == 404:
            raise IexecError("CONTENT_NOT_FOUND", f"{what} is not at {self.gateway_url}")
        if response.status == 413:
            raise IexecError("CONTENT_TOO_LARGE", f"{response.url.origin()} refuses {what} for its size")
        code, said = await _said(response)
        if code in {"STORE_UNWRITABLE", "STORE_FULL", "CONTENT_MISMATCH"}:
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


class _Incoming:
    """A file that is being received, in as many answers as it takes."""

    def __init__(self, cid: Cid, max_bytes: int, sink: _Sink) -> None:
        self.cid = cid
        self.size = 0
        self.etag = ""
        self.whole = False
        self.verifier = ContentVerifier(cid)
        self._max_bytes = max_bytes
        self._sink = sink
        self._known = 0

    def begin(self, response: aiohttp.ClientResponse) -> None:
        """An answer begins: the rest, or all of it once more."""
        rest = response.status == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {self.size}-")
        self._known = 0 if rest else self.size
        self.etag = response.headers.get("ETag", "")
        if response.content_length is not None and self.size - self._known + response.content_length > self._max_bytes:
            raise too_large(self._max_bytes)

    def take(self, piece: bytes) -> None:
        """The next bytes of the answer."""
        if self._known:
            skipped = min(self._known, len(piece))
            self._known -= skipped
            piece = piece[skipped:]
        self.size += len(piece)
        if self.size > self._max_bytes:
            raise too_large(self._max_bytes)
        self.verifier.update(piece)
        self._sink.write(piece)


async def _said(response: aiohttp.ClientResponse) -> tuple[str, str]:
    """Code and message of an error answer, empty where it has none."""
    try:
        body: Any = msgspec.json.decode(await read_answer(response, _ANSWER_BYTES))
        # A node's calls answer in the form of kubo, with ours inside.
        refusal = body.get("Refusal", body)
        return str(refusal.get("code", "")), str(refusal.get("error") or body.get("Message", ""))[:200]
    except (msgspec.DecodeError, AttributeError):
        return "", ""


def _sync(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())
