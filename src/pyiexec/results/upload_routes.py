"""Resumable uploads over HTTP.

Source: tus resumable upload protocol 1.0.
"""

from __future__ import annotations

from email.utils import formatdate
from typing import Any

from litestar import Request, Response, delete, head, patch, post
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath

from pyiexec.foundation.openapi import Answer, Parameter, described
from pyiexec.protocol.errors import IexecError
from pyiexec.results.sessions import Sessions, Standing
from pyiexec.storage.node import too_large
from pyiexec.storage.sending import PATH_HEADER, UPLOADS

_VERSION = "1.0.0"
_BODY = "application/offset+octet-stream"
_LONGEST = 1 << 53

AnyRequest = Request[Any, Any, Any]


def upload_routes(sessions: Sessions, max_bytes: int) -> list[BaseRouteHandler]:
    """The sessions' routes.

    Args:
        sessions: the uploads.
        max_bytes: of one.
    """

    @post(
        "/v1/uploads",
        **described(
            Parameter("upload-length", int, "bytes of the content", required=True, place="header"),
            answer=None,
            status=201,
            refusals=(400, 413, 503),
            others={507: Answer(None, "the store is full")},
            tags=["uploads"],
        ),
    )
    async def begin(request: AnyRequest) -> Response[None]:
        """Begin an upload; its place is in Location."""
        length = _number(request, "upload-length")
        if length > max_bytes:
            raise too_large(max_bytes)
        standing = await sessions.begin(length)
        return _told(standing, 201, {"Location": f"{UPLOADS}/{standing.name}", "Tus-Max-Size": str(max_bytes)})

    @head("/v1/uploads/{name:str}", **described(answer=None, refusals=(400, 404), tags=["uploads"]))
    async def stand(name: FromPath[str]) -> Response[None]:
        """Where an upload stands; once finished, what it became."""
        return _told(await sessions.standing(name), 200)

    @patch(
        "/v1/uploads/{name:str}",
        request_max_body_size=None,
        **described(
            Parameter("upload-offset", int, "where the upload stands, bytes", required=True, place="header"),
            body={"type": "string", "format": "binary"},
            body_media_type=_BODY,
            answer=None,
            status=204,
            refusals=(400, 404, 409, 413, 503),
            others={507: Answer(None, "the store is full")},
            tags=["uploads"],
        ),
    )
    async def send(request: AnyRequest, name: FromPath[str]) -> Response[None]:
        """What follows; all of it may be sent at once, and what arrived before a break stays."""
        if request.headers.get("content-type", "").partition(";")[0].strip() != _BODY:
            raise IexecError("BAD_REQUEST", f"content-type must be {_BODY}")
        offset = _number(request, "upload-offset")
        return _told(await sessions.append(name, offset, request.stream()), 204)

    @delete("/v1/uploads/{name:str}", **described(answer=None, status=204, refusals=(404, 409), tags=["uploads"]))
    async def drop(name: FromPath[str]) -> None:
        """Forget an upload; what it became stays stored."""
        await sessions.drop(name)

    return [begin, stand, send, drop]


def _number(request: AnyRequest, name: str) -> int:
    text = request.headers.get(name, "")
    if not text.isascii() or not text.isdecimal() or int(text[:20]) > _LONGEST:
        raise IexecError("BAD_REQUEST", f"{name} must be a number of bytes")
    return int(text)


def _told(standing: Standing, status: int, more: dict[str, str] | None = None) -> Response[None]:
    headers = {
        "Tus-Resumable": _VERSION,
        "Upload-Offset": str(standing.offset),
        "Upload-Length": str(standing.length),
        "Upload-Expires": formatdate(standing.expires_at, usegmt=True),
        "Cache-Control": "no-store",
        **(more or {}),
    }
    if standing.cid is not None:
        headers[PATH_HEADER] = f"/ipfs/{standing.cid}"
    return Response(None, status_code=status, headers=headers)
