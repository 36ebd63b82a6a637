"""HTTP routes of the order book: the paths and JSON that clients of the network speak."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from litestar import Litestar, Request, Response
from litestar.config.cors import CORSConfig
from litestar.handlers import BaseRouteHandler
from litestar.status_codes import HTTP_503_SERVICE_UNAVAILABLE

from pyiexec.foundation.http import EXCEPTION_HANDLERS
from pyiexec.foundation.logs import get_logger
from pyiexec.foundation.openapi import documented
from pyiexec.market import streams
from pyiexec.market.messages import refusal
from pyiexec.protocol.errors import IexecError

log = get_logger(__name__)

#: Largest body of a publication, bytes: parameters of a request may be long, but not boundless.
MAX_BODY_BYTES = 1024 * 1024
_TITLE = "Order book"


def create_app(routes: Sequence[BaseRouteHandler]) -> Litestar:
    """The service made of these routes, and of the pages that describe them."""
    return Litestar(
        documented(_TITLE, routes, streams.DESCRIPTION),
        exception_handlers=EXCEPTION_HANDLERS | {IexecError: _answer, Exception: _answer},
        cors_config=CORSConfig(
            allow_origins=["*"],
            allow_methods=["GET", "HEAD", "POST", "PUT"],
            allow_headers=["authorization", "content-type", "accept"],
        ),
        request_max_body_size=MAX_BODY_BYTES,
        openapi_config=None,
        # The process that hosts the service decides about logs.
        logging_config=None,
    )


class Refused(NamedTuple):
    """What a request is answered with that is not served."""

    status: int
    body: dict[str, Any]


def refused(path: str, error: Exception) -> Refused:
    """The answer to a request for `path` that ended in an error; what nobody can tell the client goes to the log."""
    if not isinstance(error, IexecError):
        log.error("a request failed", path=path, exc_info=error)
        return _sorry()
    if error.http_status < 500:
        return Refused(error.http_status, error.as_json())
    log.warning("a request could not be served", path=path, reason=str(error))
    if error.code == "INTERNAL":
        return _sorry()
    # What is wrong with the node or the database is for the log: the client can only come back.
    apology = IexecError(error.code, refusal("retry").what, retry=True)
    return Refused(HTTP_503_SERVICE_UNAVAILABLE, apology.as_json())


def _answer(request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, Any]]:
    status, body = refused(request.url.path, error)
    return Response(body, status_code=status)


def _sorry() -> Refused:
    failure = refusal("internal")
    return Refused(failure.http_status, failure.as_json())
