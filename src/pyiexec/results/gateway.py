"""The gateway: content by its path, for reading, whole or in part.

Source: IPFS path gateway specification; RFC 9110 for ranges and conditions.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

import msgspec
from litestar import MediaType, Request, Response, get, head
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath
from litestar.response import Stream
from litestar.status_codes import (
    HTTP_200_OK,
    HTTP_206_PARTIAL_CONTENT,
    HTTP_304_NOT_MODIFIED,
    HTTP_416_REQUESTED_RANGE_NOT_SATISFIABLE,
)

from pyiexec.foundation.openapi import Answer, Parameter, Refusal, described
from pyiexec.protocol.errors import IexecError
from pyiexec.results import listing
from pyiexec.results.options import read_flag, read_path
from pyiexec.results.ranges import Part, is_fresh, may_continue, read_range
from pyiexec.results.reading import SAFE_HEADERS, begun
from pyiexec.storage.directories import Directory
from pyiexec.storage.node import ContentNode, Stored, resolve

#: What a name says never changes, so a copy may be kept for as long as HTTP can express.
_IMMUTABLE = "public, max-age=29030400, immutable"
#: Types told from a file's name; all others are bytes. None of them can act in a browser, given `SAFE_HEADERS`.
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".csv": "text/csv; charset=utf-8",
    ".gif": "image/gif",
    ".htm": "text/html; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".json": "application/json",
    ".md": "text/markdown; charset=utf-8",
    ".pdf": "application/pdf",
    ".png": "image/png",
    ".txt": "text/plain; charset=utf-8",
    ".webp": "image/webp",
    ".zip": "application/zip",
}
_BYTES = "application/octet-stream"
#: Forms other than the content itself, which verifying readers of other gateways ask for.
_BLOCK_FORMS = ("application/vnd.ipld.", "application/vnd.ipfs.")

AnyRequest = Request[Any, Any, Any]

_DESCRIBED: Any = described(
    Parameter("range", str, "one range of bytes; several are answered with the whole", place="header"),
    Parameter("if-range", str, "etag under which a range is wanted", place="header"),
    Parameter("if-none-match", str, "etags that the reader has", place="header"),
    Parameter("accept", str, "text/html for a folder as a page", place="header"),
    Parameter("filename", str, "name under which a browser keeps the file"),
    Parameter("download", str, "true to have a browser keep the file rather than show it"),
    Parameter("format", str, "refused: the content itself is all that is served"),
    answer={"description": "the file, or the entries of a folder"},
    media_type="*/*",
    others={
        206: Answer(str, "the part asked for", _BYTES),
        304: Answer(None, "the reader has it"),
        416: Answer(Refusal, "the content has no such part"),
        502: Answer(Refusal, "the stored copy is damaged"),
    },
    refusals=(400, 404, 500, 503),
    tags=["gateway"],
)


def gateway_routes(node: ContentNode) -> list[BaseRouteHandler]:
    """The gateway over a node."""

    @get("/ipfs/{cid:str}", **_DESCRIBED)
    async def fetch(request: AnyRequest, cid: FromPath[str]) -> Response[Any]:
        """A file or a folder by its CID."""
        return await _answer(node, request, cid)

    @head("/ipfs/{cid:str}", **_DESCRIBED)
    async def describe(request: AnyRequest, cid: FromPath[str]) -> Response[None]:
        """Whether a file or folder is here, and its size."""
        return await _answer(node, request, cid)

    @get("/ipfs/{cid:str}/{names:path}", **_DESCRIBED)
    async def fetch_below(request: AnyRequest, cid: FromPath[str], names: FromPath[str]) -> Response[Any]:
        """A file or a folder by its path below a folder."""
        return await _answer(node, request, cid + str(names))

    @head("/ipfs/{cid:str}/{names:path}", **_DESCRIBED)
    async def describe_below(request: AnyRequest, cid: FromPath[str], names: FromPath[str]) -> Response[None]:
        """Whether a file or folder is there, and its size."""
        return await _answer(node, request, cid + str(names))

    return [fetch, describe, fetch_below, describe_below]


async def _answer(node: ContentNode, request: AnyRequest, path: str) -> Response[Any]:
    cid, names = read_path(path)
    accepted = request.headers.get("accept", "")
    form = request.query_params.get("format")
    if form is not None or any(kind in accepted for kind in _BLOCK_FORMS):
        raise IexecError("BAD_REQUEST", "format: the content itself is all that is served here")
    found = await resolve(node, cid, names)
    headers = SAFE_HEADERS | {"x-ipfs-path": "/ipfs/" + "/".join([str(cid), *(quote(name, safe="") for name in names)])}
    if isinstance(found, Directory):
        return _folder(request, found, [str(cid), *names], headers, page="text/html" in accepted)
    headers |= _disposition(request, names)
    return await _file(node, request, found, headers, _type_of(request, names))


def _folder(
    request: AnyRequest, folder: Directory, path: list[str], headers: dict[str, str], *, page: bool
) -> Response[Any]:
    # How a folder is shown may change with this program: what is kept of it is asked about again.
    headers |= {"etag": f'"{folder.cid}.{"html" if page else "json"}"', "cache-control": "no-cache", "vary": "accept"}
    if is_fresh(request.headers.get("if-none-match", ""), headers["etag"]):
        return Response(b"", status_code=HTTP_304_NOT_MODIFIED, headers=headers)
    shown = listing.as_page(folder, path).encode() if page else msgspec.json.encode(listing.as_json(folder))
    media_type = MediaType.HTML if page else MediaType.JSON
    if request.method == "HEAD":
        return _empty(media_type, headers | {"content-length": str(len(shown))})
    return Response(shown, headers=headers, media_type=media_type)


async def _file(
    node: ContentNode, request: AnyRequest, found: Stored, headers: dict[str, str], media_type: str
) -> Response[Any]:
    etag = f'"{found.cid}"'
    headers |= {"etag": etag, "accept-ranges": "bytes", "cache-control": _IMMUTABLE}
    if is_fresh(request.headers.get("if-none-match", ""), etag):
        return Response(b"", status_code=HTTP_304_NOT_MODIFIED, headers=headers)
    part: Part | None = None
    # Only GET has ranges.
    if request.method == "GET" and may_continue(request.headers.get("if-range", ""), etag):
        try:
            part = read_range(request.headers.get("range", ""), found.size)
        except IexecError as error:
            headers |= {"content-range": f"bytes */{found.size}", "cache-control": "no-store"}
            return Response(error.as_json(), status_code=HTTP_416_REQUESTED_RANGE_NOT_SATISFIABLE, headers=headers)
    if part is not None:
        headers["content-range"] = part.content_range(found.size)
    sent = part or Part(0, found.size)
    headers["content-length"] = str(sent.end - sent.start)
    if request.method == "HEAD":
        return _empty(media_type, headers)
    return Stream(
        await begun(node, found.cid, sent.start, sent.end),
        status_code=HTTP_200_OK if part is None else HTTP_206_PARTIAL_CONTENT,
        headers=headers,
        media_type=media_type,
    )


def _empty(media_type: str, headers: dict[str, str]) -> Response[None]:
    return Response(None, headers={"content-type": media_type, **headers})


def _type_of(request: AnyRequest, names: list[str]) -> str:
    name = request.query_params.get("filename") or (names[-1] if names else "")
    return _TYPES.get(PurePosixPath(name).suffix.lower(), _BYTES)


def _disposition(request: AnyRequest, names: list[str]) -> dict[str, str]:
    """``Content-Disposition``, if a name or a download was asked for; the name is encoded, whatever is in it."""
    name = request.query_params.get("filename") or (names[-1] if names else "")
    download = read_flag(request.query_params, "download")
    if not name and not download:
        return {}
    kind = "attachment" if download else "inline"
    return {"content-disposition": f"{kind}; filename*=UTF-8''{quote(name, safe='')}" if name else kind}
