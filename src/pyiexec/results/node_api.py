"""The node's calls, as clients of kubo speak them: storing files and folders, reading them, asking what is there.

Source: kubo's HTTP RPC API; everything is POST, errors have a form of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import MediaType, Request, Response, post
from litestar.handlers import BaseRouteHandler
from litestar.response import Stream

from pyiexec import __version__
from pyiexec.foundation.logs import get_logger
from pyiexec.foundation.openapi import Answer, Parameter, described
from pyiexec.protocol.errors import IexecError
from pyiexec.results.options import EVERYWHERE, check_known, read_add, read_argument, read_count
from pyiexec.results.reading import SAFE_HEADERS, begun
from pyiexec.results.uploads import add_files, boundary_of
from pyiexec.storage.dag_pb import Link
from pyiexec.storage.directories import Directory
from pyiexec.storage.node import ContentNode, Stored, resolve, too_large

log = get_logger(__name__)

#: Room for the frame around the files of a multipart request.
_FRAME_BYTES = 1024 * 1024
_TYPES = {"folder": 1, "file": 2}

AnyRequest = Request[Any, Any, Any]


class NodeRefusal(msgspec.Struct, rename="pascal"):
    """An error in the form of kubo.

    Attributes:
        message: what happened.
        code: a number without meaning here.
        type: always ``error``.
        refusal: the error as all other routes give it.
    """

    message: str
    code: int
    type: str
    refusal: dict[str, Any]


def node_error(_request: AnyRequest, error: IexecError) -> Response[dict[str, Any]]:
    """An error in the form that kubo's clients read."""
    body = {"Message": error.what, "Code": 0, "Type": "error", "Refusal": error.as_json()}
    return Response(body, status_code=error.http_status, media_type=MediaType.JSON)


def _call(
    *options: str, argument: bool = True, refusals: tuple[int, ...] = (400, 404, 500, 502, 503), **more: Any
) -> dict[str, Any]:
    """Arguments for the decorator of a call; `options` are those of its query beside the ones every call has."""
    shown = [Parameter("arg", str, "path: a CID, or /ipfs/<cid>/<names>", required=True)] if argument else []
    shown += [Parameter(name, str, "see docs/storage.md") for name in (*options, *sorted(EVERYWHERE))]
    answers = {status: Answer(NodeRefusal, "refused") for status in refusals}
    return {
        "status_code": 200,
        "exception_handlers": {IexecError: node_error},
        **described(*shown, others=answers, refusals=(), tags=["node"], **more),
    }


def node_routes(node: ContentNode, max_upload_bytes: int) -> list[BaseRouteHandler]:
    """The calls over a node.

    Args:
        node: what keeps the content.
        max_upload_bytes: of one request.
    """

    @post(
        "/api/v0/add",
        status_code=200,
        request_max_body_size=None,
        exception_handlers={IexecError: node_error},
        **described(
            *(
                Parameter(name, str, "see docs/storage.md")
                for name in ("chunker", "cid-version", "only-hash", "raw-leaves", "wrap-with-directory", "progress")
            ),
            body={
                "type": "object",
                "properties": {"file": {"type": "string", "format": "binary"}},
                "required": ["file"],
                # Each further part is another file, and another line of the answer.
                "additionalProperties": False,
            },
            body_media_type="multipart/form-data",
            media_type="application/json",
            answer={"type": "object", "required": ["Name", "Hash", "Size"]},
            others={status: Answer(NodeRefusal, "refused") for status in (400, 413, 500, 502, 503, 507)},
            refusals=(),
            tags=["node"],
        ),
    )
    async def add(request: AnyRequest) -> Response[bytes]:
        """Store the files of a multipart form; one line of JSON for each file and folder."""
        options = read_add(request.query_params)
        boundary = boundary_of(request.headers.get("content-type", ""))
        announced = request.headers.get("content-length", "")
        if announced.isdigit() and int(announced) > max_upload_bytes + _FRAME_BYTES:
            raise too_large(max_upload_bytes)
        lines = []
        async for link, size in add_files(node, request.stream(), boundary, max_upload_bytes, options):
            if options.progress and size is not None:
                lines.append(_line({"Name": link.name, "Bytes": size}))
            lines.append(_line({"Name": link.name, "Hash": str(link.cid), "Size": str(link.dag_bytes)}))
        if not lines:
            raise IexecError("BAD_REQUEST", "the form holds no file")
        log.info("content added", cid=str(link.cid), bytes=link.dag_bytes)
        return Response(b"".join(lines), media_type=MediaType.JSON)

    @post("/api/v0/cat", **_call("offset", "length", media_type="application/octet-stream", answer=str))
    async def cat(request: AnyRequest) -> Stream:
        """The content of a file, or a part of it."""
        query = request.query_params
        cid, names = read_argument(query, ("offset", "length"))
        start, length = read_count(query, "offset") or 0, read_count(query, "length")
        found = _file(await resolve(node, cid, names))
        if start > found.size:
            raise IexecError("BAD_REQUEST", f"offset {start} is behind the end of a file of {found.size} bytes")
        end = found.size if length is None else min(found.size, start + length)
        headers = {"x-stream-output": "1", "content-length": str(end - start), **SAFE_HEADERS}
        return Stream(await begun(node, found.cid, start, end), headers=headers, media_type="application/octet-stream")

    @post("/api/v0/ls", **_call())
    async def ls(request: AnyRequest) -> dict[str, Any]:
        """What is in a folder."""
        cid, names = read_argument(request.query_params, ("headers", "resolve-type", "size"))
        found = await resolve(node, cid, names)
        entries = found.entries.values() if isinstance(found, Directory) else ()
        links = [await _entry(node, entry) for entry in entries]
        return {"Objects": [{"Hash": str(found.cid), "Links": links}]}

    @post("/api/v0/files/stat", **_call())
    async def stat(request: AnyRequest) -> dict[str, Any]:
        """Kind and size of a file or folder."""
        cid, names = read_argument(request.query_params, ("hash", "size", "with-local", "format"))
        found = await resolve(node, cid, names)
        folder = isinstance(found, Directory)
        return {
            "Hash": str(found.cid),
            "Size": 0 if isinstance(found, Directory) else found.size,
            "CumulativeSize": found.dag_bytes,
            "Blocks": len(found.entries) if isinstance(found, Directory) else 0,
            "Type": "directory" if folder else "file",
        }

    @post("/api/v0/pin/add", **_call("recursive"))
    async def pin(request: AnyRequest) -> dict[str, Any]:
        """Keep content for good, as everything here is kept."""
        cid, names = read_argument(request.query_params, ("recursive", "progress", "name"))
        return {"Pins": [str((await resolve(node, cid, names)).cid)]}

    @post("/api/v0/pin/ls", **_call("type"))
    async def pins(request: AnyRequest) -> Response[bytes]:
        """Whether content is kept: for one path, named."""
        query = request.query_params
        # The client library of kubo sends `paths` beside the argument it makes of it.
        cid, names = read_argument(query, ("type", "quiet", "names", "paths"))
        found = str((await resolve(node, cid, names)).cid)
        answer: Mapping[str, Any] = {"Keys": {found: {"Type": "recursive"}}}
        if query.get("stream") == "true":
            answer = {"Cid": found, "Type": "recursive"}
        return Response(_line(answer), media_type=MediaType.JSON)

    @post("/api/v0/pin/rm", **_call())
    async def unpin(request: AnyRequest) -> dict[str, Any]:
        """Refused: what is stored here stays until its operator removes it."""
        read_argument(request.query_params, ("recursive",))
        raise IexecError("BAD_REQUEST", "nothing can be unpinned: what is stored here stays")

    @post("/api/v0/version", **_call(argument=False, refusals=(400,)))
    async def version(request: AnyRequest) -> dict[str, Any]:
        """Which version answers."""
        check_known(request.query_params, ("number", "commit", "repo", "all"))
        return {"Version": __version__, "Commit": "", "Repo": "", "System": "pyiexec", "Golang": ""}

    return [add, cat, ls, stat, pin, pins, unpin, version]


def _file(found: Stored | Directory) -> Stored:
    if isinstance(found, Directory):
        raise IexecError("CONTENT_IS_FOLDER", "this dag node is a directory")
    return found


async def _entry(node: ContentNode, entry: Link) -> dict[str, Any]:
    """One entry of a folder as ``ls`` shows it; what is not here is taken for a file."""
    kind, size = "file", entry.dag_bytes
    try:
        found = await node.find(entry.cid)
    except IexecError as error:
        if error.code != "CONTENT_NOT_FOUND":
            raise
    else:
        kind, size = ("folder", 0) if isinstance(found, Directory) else ("file", found.size)
    return {"Name": entry.name, "Hash": str(entry.cid), "Size": size, "Type": _TYPES[kind], "Target": ""}


def _line(answer: Mapping[str, Any]) -> bytes:
    return msgspec.json.encode(answer) + b"\n"
