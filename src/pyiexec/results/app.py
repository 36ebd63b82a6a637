"""The content store's application: a node's calls, a gateway, resumable uploads and, with a chain, the result proxy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from litestar import Litestar, get
from litestar.config.cors import CORSConfig
from litestar.handlers import BaseRouteHandler

from pyiexec import __version__
from pyiexec.foundation.http import EXCEPTION_HANDLERS
from pyiexec.foundation.openapi import described, documented
from pyiexec.results.gateway import gateway_routes
from pyiexec.results.node_api import node_routes
from pyiexec.results.sessions import Sessions
from pyiexec.results.upload_routes import upload_routes
from pyiexec.storage.node import ContentNode

#: Largest body of a route that does not say otherwise.
_MAX_BODY_BYTES = 1024 * 1024


def create_app(
    node: ContentNode, sessions: Sessions, max_upload_bytes: int, more: Sequence[BaseRouteHandler] = ()
) -> Litestar:
    """The service over a node.

    Args:
        node: what keeps the content.
        sessions: the uploads that can be resumed.
        max_upload_bytes: of one request, and of one session.
        more: routes besides, those of the result proxy.
    """

    @get("/health", **described(tags=["service"]))
    async def health() -> dict[str, Any]:
        """That the service answers."""
        return {"ok": True, "service": "results", "version": __version__}

    routes = [
        *node_routes(node, max_upload_bytes),
        *gateway_routes(node),
        *upload_routes(sessions, max_upload_bytes),
        *more,
        health,
    ]
    return Litestar(
        documented("pyiexec content store", routes),
        exception_handlers=EXCEPTION_HANDLERS,
        cors_config=CORSConfig(
            allow_origins=["*"],
            allow_methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
            allow_headers=[
                *("authorization", "content-type", "accept", "range", "if-range", "if-none-match"),
                *("tus-resumable", "upload-length", "upload-offset", "upload-metadata"),
            ],
            expose_headers=[
                *("accept-ranges", "content-length", "content-range", "etag", "location", "x-ipfs-path"),
                *("tus-resumable", "upload-expires", "upload-length", "upload-offset"),
            ],
        ),
        request_max_body_size=_MAX_BODY_BYTES,
        openapi_config=None,
        # The process that hosts the service decides about logs.
        logging_config=None,
    )
