"""HTTP for services and clients: a Litestar app served inside the current event loop, errors answered as JSON."""

from __future__ import annotations

import contextlib
import socket
import sys
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import aiohttp
import anyio
import uvicorn
from litestar import MediaType, Request, Response
from litestar.exceptions import HTTPException

from pyiexec.foundation.clients import pass_trace_on
from pyiexec.foundation.logs import get_logger
from pyiexec.protocol.errors import IexecError

log = get_logger(__name__)

#: How long an idle connection stays open; aiohttp's clients let go after 15 s.
KEEP_ALIVE_SECONDS = 75

#: How long an answer may lie unread by its client before the connection is given up.
UNREAD_SECONDS = 60

#: Called once a service listens, with its base URL.
Ready = Callable[[str], None]
#: An ASGI application: one of Litestar, or something in front of it.
Application = Callable[[Any, Any, Any], Awaitable[None]]


class _Server(uvicorn.Server):
    """Uvicorn as a guest: signals belong to the process that composes services."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = started

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_started()


async def serve(
    app: Application, host: str, port: int, *, ready: Ready, stop: anyio.Event, share_port: bool = False
) -> None:
    """Serve until `stop` is set; port 0 takes a free one, which `ready` is told.

    With `share_port` other processes of this user may listen there too: the kernel shares connections out among them.

    Raises:
        IexecError: ``PORT_TAKEN``.
    """
    # Named as TCP, or asyncio leaves Nagle's algorithm on: 40 ms on many an answer.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if share_port:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if sys.platform == "linux":
        # Connections inherit it: one whose peer takes nothing of what is sent to it does not stay for ever.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_SECONDS * 1000)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise IexecError("PORT_TAKEN", f"cannot listen on {host}:{port}: {error.strerror}") from None
    listener.listen(1024)
    url = f"http://{host}:{listener.getsockname()[1]}"
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        # Who calls is what the socket says; `rate_limit` decides which proxies are believed.
        proxy_headers=False,
        lifespan="on",
        timeout_graceful_shutdown=2,
        # Longer than clients keep idle connections, or one sends on a connection that is being closed.
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        ws="websockets-sansio",
    )
    server = _Server(config, lambda: ready(url))
    try:
        async with anyio.create_task_group() as group:

            async def end() -> None:
                await stop.wait()
                server.should_exit = True

            group.start_soon(end)
            await server.serve(sockets=[listener])
            group.cancel_scope.cancel()
    finally:
        listener.close()


def _iexec_error(_request: Request[Any, Any, Any], error: IexecError) -> Response[dict[str, Any]]:
    return Response(error.as_json(), status_code=error.http_status, media_type=MediaType.JSON)


def _http_error(_request: Request[Any, Any, Any], error: HTTPException) -> Response[dict[str, Any]]:
    body = {"ok": False, "error": error.detail or "request refused", "code": "BAD_REQUEST", "retry": False}
    if error.extra:
        body["details"] = error.extra
    # A refused method is told which ones are not.
    return Response(body, status_code=error.status_code, media_type=MediaType.JSON, headers=error.headers)


def _unexpected(request: Request[Any, Any, Any], error: Exception) -> Response[dict[str, Any]]:
    log.error("a request failed", path=request.url.path, exc_info=error)
    return _iexec_error(request, IexecError("INTERNAL", "the service failed to answer"))


#: For `Litestar(exception_handlers=...)`: every answer is JSON, also refusals.
EXCEPTION_HANDLERS: dict[Any, Any] = {IexecError: _iexec_error, HTTPException: _http_error, Exception: _unexpected}


def http_session(*, timeout: float = 30.0) -> aiohttp.ClientSession:
    """A client session; make it inside the event loop and close it."""
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=timeout), middlewares=(pass_trace_on,))
