"""An IPFS node that runs elsewhere as the place where content is kept, through its API.

The node is the operator's own and is believed as the operator's own disk would be; only names of files are computed
here as well, while they are sent.

Source: kubo's HTTP RPC API.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import anyio.to_thread
import msgspec

from pyiexec.protocol.errors import IexecError
from pyiexec.storage.cid import DAG_PB, Cid, parse_cid
from pyiexec.storage.dag_pb import Link
from pyiexec.storage.directories import Directory, directory_of
from pyiexec.storage.intake import file_pieces
from pyiexec.storage.node import Source, Stored, missing, too_large
from pyiexec.storage.sending import read_answer
from pyiexec.storage.unixfs import DEFAULT_LAYOUT, Layout, UnixFsHasher

_PIECE_BYTES = 256 * 1024
_ANSWER_BYTES = 8 * 1024 * 1024
#: For how long the node may look for content at its peers.
_SEARCH_SECONDS = 20


class _Stat(msgspec.Struct, rename="pascal"):
    size: int
    cumulative_size: int
    type: str


class _Entry(msgspec.Struct, rename="pascal"):
    name: str
    hash: str
    size: int


class _Listing(msgspec.Struct, rename="pascal"):
    links: list[_Entry]


class _Ls(msgspec.Struct, rename="pascal"):
    objects: list[_Listing]


class _Added(msgspec.Struct, rename="pascal"):
    hash: str


class KuboNode:
    """Content kept by a node; make it inside the event loop.

    Args:
        url: origin of the node's API, for example ``http://127.0.0.1:5001``.
        session: for requests to it.
        timeout: seconds without a byte before a request is given up.
    """

    def __init__(self, url: str, session: aiohttp.ClientSession, *, timeout: float = 60.0) -> None:
        self._url = url.rstrip("/") + "/api/v0/"
        self._session = session
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=timeout, sock_read=timeout)

    async def put(
        self, source: Source, *, layout: Layout = DEFAULT_LAYOUT, max_bytes: int | None = None, keep: bool = True
    ) -> Stored:
        """Keep a file; the name the node gives it must be the one computed here.

        Raises:
            IexecError: ``CONTENT_TOO_LARGE``, ``CONTENT_MISMATCH``, ``STORE_UNREACHABLE``; and what reading `source`
                raises.
        """
        passed = _Passed(source, layout, max_bytes)
        query = {
            "cid-version": str(layout.cid_version),
            "raw-leaves": _flag(layout.raw_leaves),
            "chunker": f"size-{layout.chunk_bytes}",
            "only-hash": _flag(not keep),
            "pin": "true",
            "progress": "false",
            "quieter": "true",
        }
        async with aclosing(passed.pieces()) as pieces:
            form = aiohttp.MultipartWriter("form-data")
            part = form.append(pieces, {"Content-Type": "application/octet-stream"})
            part.set_content_disposition("form-data", name="file", filename="")
            try:
                answer = await self._ask("add", query, _Added, data=form)
            except IexecError:
                # What stopped the upload here matters more than what the node made of it.
                if passed.failure is not None:
                    raise passed.failure from None
                raise
        root = passed.tree.finish()
        if parse_cid(answer.hash) != root.cid:
            raise IexecError("CONTENT_MISMATCH", f"the IPFS node stored {answer.hash[:80]} in place of {root.cid}")
        return Stored(root.cid, passed.size, root.dag_bytes)

    async def adopt(self, path: Path, *, layout: Layout = DEFAULT_LAYOUT) -> Stored:
        """Keep a file that is whole, and delete it here; raises as `put`."""
        stored = await self.put(path, layout=layout)
        await anyio.to_thread.run_sync(path.unlink)
        return stored

    async def put_directory(self, entries: Sequence[Link], *, cid_version: int = 0, keep: bool = True) -> Directory:
        """Refused unless nothing is to be kept: the node makes its folders itself.

        Raises:
            IexecError: ``BAD_REQUEST``.
        """
        if keep:
            raise IexecError("BAD_REQUEST", "folders are not taken for an external IPFS node: add them there")
        return directory_of(entries, cid_version)

    async def find(self, cid: Cid | str) -> Stored | Directory:
        """The file or folder of that name, which the node may have to fetch from its peers.

        Raises:
            IexecError: ``BAD_CID``, ``CONTENT_NOT_FOUND``, ``STORE_UNREACHABLE``.
        """
        name = parse_cid(cid) if isinstance(cid, str) else cid
        query = {"arg": f"/ipfs/{name}", "timeout": f"{_SEARCH_SECONDS}s"}
        stat = await self._ask("files/stat", query, _Stat, about=name)
        if stat.type != "directory":
            return Stored(name, stat.size, stat.cumulative_size if name.codec == DAG_PB else stat.size)
        listed = await self._ask("ls", query, _Ls, about=name)
        entries = [Link(entry.name, parse_cid(entry.hash), entry.size) for entry in listed.objects[0].links]
        return Directory(name, {entry.name: entry for entry in entries}, stat.cumulative_size, b"")

    async def stream(self, cid: Cid | str, *, start: int = 0, end: int | None = None) -> AsyncIterator[bytes]:
        """The bytes of a file from `start` up to `end` (exclusive; the whole rest when None).

        Raises:
            IexecError: as `find`.
        """
        name = parse_cid(cid) if isinstance(cid, str) else cid
        if end is not None and end <= start:
            return
        query = {"arg": f"/ipfs/{name}", "offset": str(start), "timeout": f"{_SEARCH_SECONDS}s"}
        if end is not None:
            query["length"] = str(end - start)
        async with self._request("cat", query, about=name) as response:
            try:
                async for piece in response.content.iter_chunked(_PIECE_BYTES):
                    yield piece
            except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
                raise self._unreachable(error) from None

    async def _ask(
        self, call: str, query: Mapping[str, str], kind: type[Any], *, data: Any = None, about: Cid | None = None
    ) -> Any:
        async with self._request(call, query, data=data, about=about) as response:
            try:
                answer = await read_answer(response, _ANSWER_BYTES)
                return msgspec.json.decode(answer.partition(b"\n")[0], type=kind)
            except msgspec.MsgspecError:
                raise IexecError("STORE_UNREACHABLE", "what answers at kubo_url is not an IPFS node") from None

    @asynccontextmanager
    async def _request(
        self, call: str, query: Mapping[str, str], *, data: Any = None, about: Cid | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        try:
            async with self._session.post(self._url + call, params=query, data=data, timeout=self._timeout) as response:
                if not response.ok:
                    await self._refused(response, about)
                yield response
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            raise self._unreachable(error) from None

    async def _refused(self, response: aiohttp.ClientResponse, about: Cid | None) -> None:
        try:
            said = str(msgspec.json.decode(await read_answer(response, _ANSWER_BYTES))["Message"])[:200]
        except (msgspec.DecodeError, KeyError, TypeError):
            said = ""
        lost = ("not found", "deadline exceeded", "not in the store", "could not find", "no link named")
        if about is not None and any(words in said.lower() for words in lost):
            raise missing(about)
        raise IexecError("STORE_UNREACHABLE", f"the IPFS node answered {response.status} {said}".rstrip())

    @staticmethod
    def _unreachable(error: Exception) -> IexecError:
        return IexecError("STORE_UNREACHABLE", f"no answer from the IPFS node: {error or type(error).__name__}")


class _Passed:
    """A source that is hashed while it passes."""

    def __init__(self, source: Source, layout: Layout, max_bytes: int | None) -> None:
        self._source = source
        self._max_bytes = max_bytes
        self.tree = UnixFsHasher(layout)
        self.size = 0
        #: What reading it raised.
        self.failure: Exception | None = None

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        try:
            async for piece in _pieces(self._source):
                self.size += len(piece)
                if self._max_bytes is not None and self.size > self._max_bytes:
                    raise too_large(self._max_bytes)
                self.tree.update(piece)
                yield piece
        except Exception as error:
            self.failure = error
            raise


async def _pieces(source: Source) -> AsyncIterator[bytes]:
    if isinstance(source, bytes):
        for start in range(0, len(source), _PIECE_BYTES):
            yield source[start : start + _PIECE_BYTES]
        return
    async for piece in file_pieces(source) if isinstance(source, Path) else source:
        yield piece


def _flag(value: bool) -> str:
    return "true" if value else "false"
