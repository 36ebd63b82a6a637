"""The two requests of a publication, asked in bursts: a challenge, and the order with its answer.

What is asked and answered is as everywhere in the book. Only the way is short: such a request does not go through the
framework, unless there is something unusual about its form.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import msgspec

from pyiexec.foundation.http import Application
from pyiexec.foundation.traffic import ROUTE
from pyiexec.market.app import MAX_BODY_BYTES, refused
from pyiexec.market.bodies import read_json, read_order
from pyiexec.market.desk import Desk
from pyiexec.market.filters import read_chain
from pyiexec.market.listing import listing_to_json
from pyiexec.market.messages import refusal
from pyiexec.market.pages import HEADERS, parameters
from pyiexec.market.reading import read_address
from pyiexec.protocol.orders import ORDER_KINDS

_KINDS = {f"/{kind}s": kind for kind in ORDER_KINDS}


class Counter:
    """Gives challenges, and takes orders with their answers.

    Args:
        desk: does it.
        chain_id: the chain served; every request must name it.
    """

    def __init__(self, desk: Desk, chain_id: int) -> None:
        self._desk = desk
        self._chain_id = chain_id

    async def challenge(self, query: Mapping[str, str]) -> dict[str, Any]:
        """Text to sign for the next publication or withdrawal, for the parameters of a URL.

        Raises:
            IexecError: ``BAD_REQUEST`` naming the parameter; ``DATABASE_UNAVAILABLE``.
        """
        read_chain(query, self._chain_id)
        if "address" not in query:
            raise refusal("required", path="address")
        return {"ok": True, "data": await self._desk.challenge(read_address(query["address"], "address"))}

    async def publish(
        self, kind: str, query: Mapping[str, str], login: str | None, body: Callable[[], Awaitable[bytes]]
    ) -> dict[str, Any]:
        """List a signed order.

        Args:
            kind: of the order.
            query: parameters of the URL.
            login: the header ``authorization``.
            body: gives the request's body, once it is known who asks.

        Raises:
            IexecError: as `Desk.recognise` and `Desk.publish`; ``BAD_REQUEST`` naming what is malformed.
        """
        read_chain(query, self._chain_id)
        token = await self._desk.recognise(login)
        # Read before the login is used up: a slip costs no signature.
        order = read_order(kind, read_json(await body()))
        return {"ok": True, "published": listing_to_json(await self._desk.publish(token, order))}

    def before(self, app: Application) -> Application:
        """An application that answers the two itself, and leaves all else to `app`."""

        async def serve(scope: Any, receive: Any, send: Any) -> None:
            work = self._work(scope, receive) if scope["type"] == "http" else None
            if work is None:
                await app(scope, receive, send)
                return
            scope[ROUTE] = scope["path"]
            status = 200
            try:
                answer = await work
            except _Gone:
                return
            except Exception as error:
                status, answer = refused(scope["path"], error)
            body = msgspec.json.encode(answer)
            headers = [*HEADERS, (b"content-length", b"%d" % len(body))]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": body})

        return serve

    def _work(self, scope: Any, receive: Any) -> Awaitable[dict[str, Any]] | None:
        """What a request asks for; None when it is for somebody else, or unusual."""
        asks = scope["method"] == "GET" and scope["path"] == "/challenge"
        kind = _KINDS.get(scope["path"]) if scope["method"] == "POST" else None
        if not asks and kind is None:
            return None
        try:
            query = parameters(scope["query_string"].decode("ascii"))
        except ValueError:
            return None
        if kind is None:
            return self.challenge(query)
        headers = dict(scope["headers"])
        length = headers.get(b"content-length", b"")
        # Of unknown or forbidden length, or with a header twice.
        if not length.isdigit() or int(length) > MAX_BODY_BYTES or len(headers) != len(scope["headers"]):
            return None
        login = headers.get(b"authorization")
        return self.publish(kind, query, None if login is None else login.decode("latin-1"), lambda: _read(receive))


class _Gone(Exception):  # noqa: N818 - nobody's fault
    """The client went away before all of its request was there."""


async def _read(receive: Any) -> bytes:
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)
