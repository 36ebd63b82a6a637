"""Routes of orders: lists, single orders, challenges, publication and withdrawal."""

from __future__ import annotations

from typing import Any

from litestar import MediaType, Request, Response, get, post, put
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath
from litestar.status_codes import HTTP_200_OK

from pyiexec.foundation.database import Database
from pyiexec.foundation.openapi import described
from pyiexec.market import descriptions, queries
from pyiexec.market.bodies import read_json, read_withdrawal
from pyiexec.market.counter import Counter
from pyiexec.market.desk import Desk
from pyiexec.market.filters import read_chain
from pyiexec.market.listing import listing_to_json
from pyiexec.market.messages import refusal
from pyiexec.market.pages import Pages
from pyiexec.market.reading import read_bytes32
from pyiexec.protocol.orders import ORDER_KINDS

AnyRequest = Request[Any, Any, Any]


def order_routes(
    database: Database, pages: Pages, counter: Counter, desk: Desk, chain_id: int
) -> list[BaseRouteHandler]:
    """The routes over a book.

    Args:
        database: the book.
        pages: answers lists.
        counter: gives challenges, takes publications.
        desk: takes withdrawals.
        chain_id: the chain served; every request must name it.
    """

    @get("/challenge", **described(*descriptions.CHALLENGE, answer=descriptions.ChallengeAnswer))
    async def challenge(request: AnyRequest) -> dict[str, Any]:
        """Text to sign for the next publication or withdrawal."""
        return await counter.challenge(request.query_params)

    routes: list[BaseRouteHandler] = [challenge]
    for kind in ORDER_KINDS:
        routes += _routes_of(kind, database, pages, counter, desk, chain_id)
    return routes


def _routes_of(
    kind: str, database: Database, pages: Pages, counter: Counter, desk: Desk, chain_id: int
) -> list[BaseRouteHandler]:
    @get(
        f"/{kind}s",
        name=f"list {kind}s",
        **described(*descriptions.order_filters(kind), answer=descriptions.OrderPage),
    )
    async def page(request: AnyRequest) -> Response[bytes]:
        """Open orders, best first."""
        return Response(await pages.page(kind, request.query_params), media_type=MediaType.JSON)

    @get(
        f"/{kind}s/{{order_hash:str}}",
        name=f"show {kind}",
        **described(*descriptions.ORDER_HASH, answer=descriptions.SingleOrder, refusals=(400, 404)),
    )
    async def show(request: AnyRequest, order_hash: FromPath[str]) -> dict[str, Any]:
        """One order, whatever its status."""
        asked_chain = read_chain(request.query_params, chain_id)
        wanted = read_bytes32(order_hash, "orderHash")
        listing = await database.read(lambda db: queries.listing(db, kind, wanted))
        if listing is None:
            raise refusal("no order", kind=kind)
        # Alone, an order carries the chain as text; clients know it so.
        return {"ok": True, **listing_to_json(listing), "chainId": asked_chain}

    @post(
        f"/{kind}s",
        status_code=HTTP_200_OK,
        name=f"publish {kind}",
        **described(
            *descriptions.LOGIN,
            body=descriptions.publication_body(kind),
            answer=descriptions.Published,
            refusals=(400, 403, 413, 503),
        ),
    )
    async def publish(request: AnyRequest) -> dict[str, Any]:
        """Publish a signed order."""
        return await counter.publish(kind, request.query_params, request.headers.get("authorization"), request.body)

    @put(
        f"/{kind}s",
        name=f"unpublish {kind}",
        **described(
            *descriptions.LOGIN,
            body=descriptions.withdrawal_body(kind),
            answer=descriptions.Unpublished,
            refusals=(400, 403, 413, 503),
        ),
    )
    async def unpublish(request: AnyRequest) -> dict[str, Any]:
        """Withdraw published orders; on chain they stay valid until they are closed there."""
        read_chain(request.query_params, chain_id)
        token = await desk.recognise(request.headers.get("authorization"))
        wanted = read_withdrawal(kind, read_json(await request.body()))
        return {"ok": True, "unpublished": await desk.unpublish(token, kind, wanted)}

    return [page, show, publish, unpublish]
