"""HTTP routes of the order book: the paths and JSON that clients of the network speak."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Litestar, Request, get, post, put
from litestar.config.cors import CORSConfig
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath
from litestar.status_codes import HTTP_200_OK

from pyiexec import __version__
from pyiexec.foundation.database import Database
from pyiexec.foundation.http import EXCEPTION_HANDLERS
from pyiexec.market import queries
from pyiexec.market.desk import Desk
from pyiexec.market.filters import read_address, read_bytes32, read_chain, read_filter
from pyiexec.market.listing import listing_to_json
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.orders import ORDER_KINDS

#: Largest body of a publication, bytes: parameters of a request may be long, but not boundless.
MAX_BODY_BYTES = 1024 * 1024

AnyRequest = Request[Any, Any, Any]


def create_app(database: Database, desk: Desk, chain_id: int) -> Litestar:
    """The service over a book.

    Args:
        database: the book.
        desk: takes publications and withdrawals.
        chain_id: the chain served; every request must name it.
    """

    @get("/challenge")
    async def challenge(request: AnyRequest) -> dict[str, Any]:
        """Text to sign for the next publication or withdrawal."""
        query = request.query_params
        read_chain(query, chain_id)
        address = read_address(query, "address")
        if address is None:
            raise IexecError("BAD_REQUEST", "address is a required field")
        return {"ok": True, "data": await desk.challenge(address)}

    @get("/version")
    async def version() -> dict[str, Any]:
        """Which version answers."""
        return {"ok": True, "version": __version__}

    @get("/health")
    async def health() -> dict[str, Any]:
        """That the service answers."""
        return {"ok": True, "service": "market", "version": __version__}

    handlers: list[BaseRouteHandler] = [challenge, version, health]
    for kind in ORDER_KINDS:
        handlers += _order_routes(kind, database, desk, chain_id)
    return Litestar(
        handlers,
        exception_handlers=EXCEPTION_HANDLERS,
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


def _order_routes(kind: str, database: Database, desk: Desk, chain_id: int) -> list[BaseRouteHandler]:
    @get(f"/{kind}s", name=f"list {kind}s")
    async def page(request: AnyRequest) -> dict[str, Any]:
        """Open orders, best first."""
        query = request.query_params
        read_chain(query, chain_id)
        wanted = read_filter(kind, query)
        listings, count = await database.read(lambda db: queries.page(db, wanted))
        answer = {"ok": True, "count": count, "orders": [listing_to_json(listing) for listing in listings]}
        if len(listings) == wanted.limit:
            answer["nextPage"] = wanted.offset + wanted.limit
        return answer

    @get(f"/{kind}s/{{order_hash:str}}", name=f"show {kind}")
    async def show(request: AnyRequest, order_hash: FromPath[str]) -> dict[str, Any]:
        """One order, whatever its status."""
        asked_chain = read_chain(request.query_params, chain_id)
        wanted = read_bytes32(order_hash, "orderHash")
        listing = await database.read(lambda db: queries.listing(db, kind, wanted))
        if listing is None:
            raise IexecError("ORDER_UNKNOWN", f"{kind} not found")
        # Alone, an order carries the chain as text; clients know it so.
        return {"ok": True, **listing_to_json(listing), "chainId": asked_chain}

    @post(f"/{kind}s", status_code=HTTP_200_OK, name=f"publish {kind}")
    async def publish(request: AnyRequest) -> dict[str, Any]:
        """Publish a signed order."""
        read_chain(request.query_params, chain_id)
        token = await desk.recognise(request.headers.get("authorization"))
        listing = await desk.publish(token, kind, await _body(request))
        return {"ok": True, "published": listing_to_json(listing)}

    @put(f"/{kind}s", name=f"unpublish {kind}")
    async def unpublish(request: AnyRequest) -> dict[str, Any]:
        """Withdraw published orders."""
        read_chain(request.query_params, chain_id)
        token = await desk.recognise(request.headers.get("authorization"))
        return {"ok": True, "unpublished": await desk.unpublish(token, kind, await _body(request))}

    return [page, show, publish, unpublish]


async def _body(request: AnyRequest) -> dict[str, Any]:
    try:
        return msgspec.json.decode(await request.body(), type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise IexecError("BAD_REQUEST", "the body must be a JSON object") from None
