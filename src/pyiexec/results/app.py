"""HTTP routes of the result store: a content node's ``add`` and a gateway, over one directory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
from litestar import Litestar, MediaType, Request, Response, get, head, post
from litestar.config.cors import CORSConfig
from litestar.params import FromPath
from litestar.response import Stream
from litestar.status_codes import HTTP_200_OK, HTTP_304_NOT_MODIFIED

from pyiexec import __version__
from pyiexec.foundation.http import EXCEPTION_HANDLERS
from pyiexec.protocol.errors import IexecError
from pyiexec.results.uploads import Added, add_files, boundary_of
from pyiexec.storage.cid import parse_cid
from pyiexec.storage.store import ContentStore, Stored, too_large

#: What a name says never changes, so a copy may be kept for as long as HTTP can express.
_IMMUTABLE = "public, max-age=29030400, immutable"
#: Room for the frame around the files of a multipart request.
_FRAME_BYTES = 1024 * 1024


def create_app(store: ContentStore, max_upload_bytes: int) -> Litestar:
    """The service over a store.

    Args:
        store: the content.
        max_upload_bytes: of one request.
    """

    @post("/api/v0/add", status_code=HTTP_200_OK, request_max_body_size=None)
    async def add(request: Request[Any, Any, Any]) -> Response[bytes]:
        """Store the files of a multipart form; one JSON line for each, as kubo answers."""
        version = request.query_params.get("cid-version", "0")
        if version != "0":
            raise IexecError("BAD_REQUEST", f"cid-version must be 0, not {version[:20]!r}")
        boundary = boundary_of(request.headers.get("content-type", ""))
        announced = request.headers.get("content-length", "")
        if announced.isdigit() and int(announced) > max_upload_bytes + _FRAME_BYTES:
            raise too_large(max_upload_bytes)
        added = [file async for file in add_files(store, request.stream(), boundary, max_upload_bytes)]
        if not added:
            raise IexecError("BAD_REQUEST", "the form holds no file")
        return Response(b"".join(map(_line, added)), media_type=MediaType.JSON)

    @get("/ipfs/{cid:str}")
    async def fetch(request: Request[Any, Any, Any], cid: FromPath[str]) -> Response[Any]:
        """A file by its CID."""
        stored = await store.stat(cid)
        headers = _headers(cid, stored)
        if headers["etag"] in request.headers.get("if-none-match", ""):
            return Response(b"", status_code=HTTP_304_NOT_MODIFIED, headers=_without_length(headers))
        return Stream(_checked(store, cid), headers=headers, media_type="application/octet-stream")

    @head("/ipfs/{cid:str}")
    async def describe(cid: FromPath[str]) -> Response[None]:
        """Whether a file is here, and its size."""
        headers = _headers(cid, await store.stat(cid))
        return Response(None, headers={"content-type": "application/octet-stream", **headers})

    @get("/health")
    async def health() -> dict[str, Any]:
        """That the service answers."""
        return {"ok": True, "service": "results", "version": __version__}

    return Litestar(
        [add, fetch, describe, health],
        exception_handlers=EXCEPTION_HANDLERS,
        cors_config=CORSConfig(
            allow_origins=["*"],
            allow_methods=["GET", "HEAD", "POST"],
            allow_headers=["authorization", "content-type", "accept"],
            expose_headers=["content-length", "etag"],
        ),
        openapi_config=None,
        # The process that hosts the service decides about logs.
        logging_config=None,
    )


async def _checked(store: ContentStore, cid: str) -> AsyncIterator[bytes]:
    async for chunk in store.stream(cid):
        yield chunk


def _line(added: Added) -> bytes:
    answer = {"Name": added.name, "Hash": str(added.stored.cid), "Size": str(added.stored.dag_bytes)}
    return msgspec.json.encode(answer) + b"\n"


def _headers(cid: str, stored: Stored) -> dict[str, str]:
    return {
        "content-length": str(stored.size),
        "etag": f'"{parse_cid(cid)}"',
        "cache-control": _IMMUTABLE,
        "x-content-type-options": "nosniff",
        "x-ipfs-path": f"/ipfs/{parse_cid(cid)}",
    }


def _without_length(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name != "content-length"}
