"""HTTP routes of the faucet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from litestar import Litestar, Request, get, post
from litestar.config.cors import CORSConfig
from litestar.handlers import BaseRouteHandler
from litestar.status_codes import HTTP_200_OK

from pyiexec import __version__
from pyiexec.faucet.rules import Terms
from pyiexec.faucet.till import Gift, Till
from pyiexec.foundation.http import EXCEPTION_HANDLERS
from pyiexec.foundation.openapi import described, documented
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import checksum
from pyiexec.protocol.strangers_json import decode_json

MAX_BODY_BYTES = 1024


class Wish(msgspec.Struct):
    """A request for a gift."""

    address: Annotated[str, msgspec.Meta(pattern=r"^0x[0-9a-fA-F]{40}\Z")]


class Alive(msgspec.Struct):
    """That the service answers."""

    ok: bool
    service: str
    version: str


def create_app(till: Till, more: Sequence[BaseRouteHandler] = ()) -> Litestar:
    """The service over a till, with further routes."""

    @get("/terms", **described(answer=Terms, refusals=(429,)))
    async def terms() -> Terms:
        """What is given, and to whom."""
        return till.terms

    @post(
        "/gifts",
        status_code=HTTP_200_OK,
        **described(body=Wish, answer=Gift, refusals=(400, 409, 413, 429, 500, 503)),
    )
    async def give(request: Request[Any, Any, Any]) -> Gift:
        """Give an account coin for gas and RLC; answered once it has them."""
        try:
            wish = decode_json(await request.body(), Wish)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise IexecError("BAD_REQUEST", "the body must be an object with the address of an account") from None
        return await till.give(checksum(wish.address.lower()))

    @get("/health", **described(answer=Alive, refusals=(429,)))
    async def health() -> Alive:
        """That the service answers."""
        return Alive(True, "faucet", __version__)

    handlers: list[BaseRouteHandler] = [terms, give, health, *more]
    return Litestar(
        documented("iExec faucet", handlers),
        exception_handlers=EXCEPTION_HANDLERS,
        cors_config=CORSConfig(allow_origins=["*"], allow_methods=["GET", "HEAD", "POST"]),
        request_max_body_size=MAX_BODY_BYTES,
        openapi_config=None,
        # The process that hosts the service decides about logs.
        logging_config=None,
    )
