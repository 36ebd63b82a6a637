"""HTTP routes of the compass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from litestar import Litestar, Request, get, put
from litestar.config.cors import CORSConfig
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath

from pyiexec import __version__
from pyiexec.compass.register import Register
from pyiexec.foundation.http import EXCEPTION_HANDLERS
from pyiexec.foundation.openapi import Parameter, described, documented
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.pool_urls import PoolUrl
from pyiexec.protocol.primitives import Address, checksum, is_address, to_bytes
from pyiexec.protocol.strangers_json import decode_json

MAX_BODY_BYTES = 16 * 1024
#: Chain ids beyond this one are no numbers to JavaScript.
MAX_CHAIN_ID = 2**53 - 1


class Found(msgspec.Struct, rename="camel"):
    """Where the scheduler of a pool is reached."""

    api_url: str


class Registration(msgspec.Struct, rename="camel"):
    """What the owner of a pool registers.

    Attributes:
        api_url: origin of the scheduler; empty to take it back.
        deadline: second since the Unix epoch from which this is void.
        signature: of the owner, over both and the pool.
    """

    api_url: Annotated[str, msgspec.Meta(max_length=255)]
    deadline: Annotated[int, msgspec.Meta(ge=0, lt=2**53)]
    signature: Annotated[str, msgspec.Meta(pattern=r"^0x([0-9a-fA-F]{2}){1,1024}\Z")]


class Alive(msgspec.Struct):
    """That a service answers."""

    ok: bool
    service: str
    version: str


_CHAIN = Parameter("chain_id", {"type": "string", "pattern": "^[0-9]{1,16}$"}, "EIP-155 id of the chain", place="path")
_POOL = Parameter("address", {"type": "string", "pattern": "^0x[0-9a-fA-F]{40}$"}, "the workerpool", place="path")


def create_app(register: Register, more: Sequence[BaseRouteHandler] = ()) -> Litestar:
    """The service over a register, with further routes."""

    @get(
        "/{chain_id:str}/workerpools/{address:str}",
        **described(_CHAIN, _POOL, answer=Found, refusals=(400, 404, 500, 503)),
    )
    async def show(chain_id: FromPath[str], address: FromPath[str]) -> Found:
        """Where the scheduler of a workerpool is reached."""
        return Found(await register.url_of(_chain(chain_id), _pool(address)))

    @put(
        "/{chain_id:str}/workerpools/{address:str}",
        **described(_CHAIN, _POOL, body=Registration, answer=Found, refusals=(400, 403, 404, 409, 413, 500, 503)),
    )
    async def set_url(request: Request[Any, Any, Any], chain_id: FromPath[str], address: FromPath[str]) -> Found:
        """Tell it, as the owner of the workerpool."""
        chain, pool = _chain(chain_id), _pool(address)
        try:
            body = decode_json(await request.body(), Registration)
        except msgspec.DecodeError as error:
            raise IexecError("BAD_REQUEST", f"the body is not a registration: {error}") from None
        claim = PoolUrl(workerpool=pool, api_url=body.api_url, deadline=body.deadline)
        await register.register(chain, claim, to_bytes(body.signature))
        return Found(body.api_url)

    @get("/version", **described(answer=Alive, refusals=()))
    async def version() -> Alive:
        """Which version answers."""
        return Alive(True, "compass", __version__)

    @get("/health", **described(answer=Alive, refusals=()))
    async def health() -> Alive:
        """That the service answers."""
        return Alive(True, "compass", __version__)

    handlers: list[BaseRouteHandler] = [show, set_url, version, health, *more]
    return Litestar(
        documented("iExec compass", handlers),
        exception_handlers=EXCEPTION_HANDLERS,
        cors_config=CORSConfig(
            allow_origins=["*"],
            allow_methods=["GET", "HEAD", "PUT"],
            allow_headers=["authorization", "content-type", "accept"],
        ),
        request_max_body_size=MAX_BODY_BYTES,
        openapi_config=None,
        # The process that hosts the service decides about logs.
        logging_config=None,
    )


def _chain(text: str) -> int:
    if not (text.isascii() and text.isdecimal()) or len(text) > 16 or int(text) > MAX_CHAIN_ID:
        raise IexecError("BAD_REQUEST", "the chain id is not a number")
    return int(text)


def _pool(text: str) -> Address:
    if not is_address(text):
        raise IexecError("BAD_REQUEST", "the workerpool is not an Ethereum address")
    return checksum(text.lower())
