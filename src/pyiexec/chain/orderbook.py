"""The order book from a client's side, over HTTP.

Source: the iExec marketplace's paths and JSON. What it answers is a claim: signatures and volumes count on chain.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import msgspec

from pyiexec.chain.signer import Signer
from pyiexec.foundation.clients import Answer, JsonClient, read_json
from pyiexec.foundation.server_events import Event, read_events
from pyiexec.protocol.eip712 import challenge_hash
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.orders import ORDER_KINDS, Order, decode_order, kind_of, order_to_json
from pyiexec.protocol.primitives import Address, OrderHash, bytes32, checksum, to_bytes, to_hex

PAGE_SIZE = 100
#: Seconds in which the book lets a listener in, and of silence after which a stream counts as broken.
_CONNECT_SECONDS, _SILENCE_SECONDS = 10.0, 60.0


class PublishedOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order in the book.

    Attributes:
        remaining: tasks that can still be matched.
        status: ``open``, ``filled``, ``canceled`` or ``dead``.
        published: moment of publication, ISO 8601.
    """

    order_hash: OrderHash
    order: Order
    signer: Address
    remaining: int
    status: str
    published: str


class OrderBook(JsonClient):
    """The order book at a URL; make it inside the event loop.

    Args:
        url: its origin.
        chain_id: which chain's orders.
        session: shared with other clients; one is opened, and closed with this object, when None.
    """

    def __init__(self, url: str, chain_id: int, session: aiohttp.ClientSession | None = None) -> None:
        super().__init__(url, session, kind="an order book", silent="MARKET_UNREACHABLE")
        self.chain_id = chain_id

    async def orders(self, kind: str, *, limit: int = 1000, **filters: Any) -> list[PublishedOrder]:
        """Open orders, best first.

        Args:
            kind: ``apporder``, ``datasetorder``, ``workerpoolorder`` or ``requestorder``.
            limit: orders at most.
            filters: parameters of the order book by name, for example ``app``, ``workerpool``, ``requester`` (an
                address or ``any``), ``isRequesterStrict``, ``category``, ``minTrust``, ``minTag``, ``minVolume``;
                those that are None are left out.

        Raises:
            IexecError: ``BAD_REQUEST`` naming the filter, ``MARKET_UNREACHABLE``.
        """
        found: list[PublishedOrder] = []
        size = max(10, min(limit, PAGE_SIZE))
        while len(found) < limit:
            page = {**filters, "pageIndex": len(found) // size, "pageSize": size}
            answer = await self._request("GET", f"/{_path(kind)}", page)
            found += [_published(kind, item) for item in answer["orders"]]
            if not answer.get("nextPage"):
                break
        return found[:limit]

    async def order(self, kind: str, order_hash: str) -> PublishedOrder:
        """One order by its hash, whatever its status.

        Raises:
            IexecError: ``ORDER_UNKNOWN``, ``MARKET_UNREACHABLE``.
        """
        return _published(kind, await self._request("GET", f"/{_path(kind)}/{bytes32(order_hash)}", {}))

    async def publish(self, order: Order, signer: Signer) -> OrderHash:
        """Put a signed order into the book.

        Args:
            order: signed for this chain's hub.
            signer: owner of what the order sells, or the requester.

        Raises:
            IexecError: with the order book's reason for refusing it; ``MARKET_UNREACHABLE``.
        """
        token = await self._login(signer)
        path = f"/{_path(kind_of(order))}"
        answer = await self._request("POST", path, {}, body={"order": order_to_json(order)}, token=token)
        return OrderHash(bytes32(answer["published"]["orderHash"]))

    async def unpublish(
        self,
        kind: str,
        signer: Signer,
        *,
        order_hash: str | None = None,
        resource: Address | None = None,
        only_last: bool = False,
    ) -> list[OrderHash]:
        """Take orders out of the book: one by its hash, or all (or the last) that the signer has for a resource.

        They stay valid on chain for whoever has a copy.

        Args:
            kind: as in `orders`.
            signer: who published them.
            order_hash: the one to withdraw.
            resource: app, dataset or workerpool sold; of requests, the requester.
            only_last: of a resource's orders only the newest.

        Raises:
            IexecError: ``ORDER_NOT_PUBLISHED``, ``ORDER_SIGNER_WRONG``, ``MARKET_UNREACHABLE``.
        """
        if (order_hash is None) == (resource is None):
            raise IexecError("BAD_REQUEST", "name either an order hash or a resource")
        if order_hash is not None:
            body = {"target": "unpublish_orderHash", "orderHash": order_hash}
        else:
            field = "requester" if kind == "requestorder" else kind.removesuffix("order")
            body = {"target": "unpublish_last" if only_last else "unpublish_all", field: str(resource)}
        token = await self._login(signer)
        answer = await self._request("PUT", f"/{_path(kind)}", {}, body=body, token=token)
        return [OrderHash(bytes32(name)) for name in answer["unpublished"]]

    @asynccontextmanager
    async def listen(self, room: str, **interest: Any) -> AsyncIterator[AsyncIterator[Event]]:
        """What happens in the book from now on, as server-sent events, until the connection ends.

        Args:
            room: ``orders`` or ``deals``.
            interest: what about, by name: ``kind``, ``app``, ``dataset``, ``workerpool``, ``requester``.

        Raises:
            IexecError: ``MARKET_UNREACHABLE``; with the order book's reason for refusing it.
        """
        query = {"chainId": str(self.chain_id), "room": room, **{name: str(value) for name, value in interest.items()}}
        timeout = aiohttp.ClientTimeout(sock_connect=_CONNECT_SECONDS, sock_read=_SILENCE_SECONDS)
        try:
            async with self._http().get(f"{self.url}/stream", params=query, timeout=timeout) as response:
                if response.status != 200:
                    raise self._refusal(Answer(response.status, read_json(await response.read())), "MARKET_REFUSED")
                yield read_events(response.content)
        except (aiohttp.ClientError, TimeoutError, ConnectionError, ValueError) as error:
            reason = str(error) or type(error).__name__
            raise IexecError("MARKET_UNREACHABLE", f"no events from {self.url}: {reason}") from None

    async def _login(self, signer: Signer) -> str:
        """An answered challenge, good for one request."""
        data = (await self._request("GET", "/challenge", {"address": signer.address}))["data"]
        # Only a login is ever signed here, whatever the server hands out.
        digest = challenge_hash(str(data["message"]["challenge"]), self.chain_id)
        return f"{digest}_{to_hex(signer.sign_digest(to_bytes(digest)))}_{signer.address}"

    async def _request(
        self, method: str, path: str, query: Mapping[str, Any], *, body: Any = None, token: str | None = None
    ) -> dict[str, Any]:
        parameters = {name: _parameter(value) for name, value in query.items() if value is not None}
        answer = await self._ask(
            method,
            path,
            {"chainId": str(self.chain_id), **parameters},
            body=b"" if body is None else msgspec.json.encode(body),
            authorization=token,
        )
        status, content = answer
        if not isinstance(content, dict):
            raise self._nonsense()
        if status >= 500:
            raise self._refusal(answer, "MARKET_UNREACHABLE")
        if status >= 400 or content.get("ok") is not True:
            raise self._refusal(answer, "ORDER_UNKNOWN" if status == 404 else "MARKET_REFUSED")
        return content


def _path(kind: str) -> str:
    if kind not in ORDER_KINDS:
        raise IexecError("BAD_ORDER", f"{kind[:40]!r} is not a kind of order ({', '.join(ORDER_KINDS)})")
    return f"{kind}s"


def _parameter(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _published(kind: str, item: Mapping[str, Any]) -> PublishedOrder:
    try:
        return PublishedOrder(
            order_hash=OrderHash(bytes32(item["orderHash"])),
            order=decode_order(kind, item["order"]),
            signer=checksum(item["signer"]),
            remaining=int(item["remaining"]),
            status=str(item["status"]),
            published=str(item["publicationTimestamp"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise IexecError("MARKET_UNREACHABLE", f"the order book sent an order that is none: {error}") from None
