"""Whoever listens to the book is told of every change once, in order, and can come back for what it missed."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest
import socketio
from tests.services.market.conftest import APP_OWNER, POOL_OWNER, REQUESTER, Chain, Market, running

from pyiexec.foundation.database import Database
from pyiexec.market import events
from pyiexec.protocol.primitives import NULL_ADDRESS, Address

pytestmark = pytest.mark.anyio

APP, OTHER_APP = Address("0x" + "11" * 20), Address("0x" + "22" * 20)
IN_ANOTHER_PROCESS = """
import asyncio, sys
from pyiexec.foundation.database import Database
from pyiexec.market import events

async def main():
    database = await Database.open(sys.argv[1])
    await database.write(lambda db: events.record(db, room="deals", event="deal_created", payload={"dealid": "0x77"}))
    await database.close()

asyncio.run(main())
"""


@dataclass
class Live:
    """A running order book, and another hand on its database."""

    market: Market
    database: Database
    url: str

    async def tell(self, event: str, payload: Any, room: str = "orders", **more: Any) -> int:
        def write(connection: Any) -> int:
            events.record(connection, room=room, event=event, payload=payload, **more)
            return events.extent(connection).newest

        return await self.database.write(write)

    async def tell_many(self, count: int, size: int = 10) -> None:
        def write(connection: Any) -> None:
            for number in range(count):
                payload = {"number": number, "text": "x" * size}
                events.record(connection, room="orders", event="apporder_published", payload=payload)

        await self.database.write(write)


@asynccontextmanager
async def live(chain: Chain, url: str, **options: Any) -> AsyncIterator[Live]:
    async with running(chain, url, **options) as market:
        database = await Database.open(url)
        try:
            yield Live(market, database, url)
        finally:
            await database.close()


@pytest.fixture
async def book(chain: Chain, database_url: str) -> AsyncIterator[Live]:
    async with live(chain, database_url) as book:
        yield book


@pytest.fixture
async def small_book(chain: Chain, tmp_path: Path) -> AsyncIterator[Live]:
    """On SQLite alone, for what has nothing to do with the database."""
    async with live(chain, f"sqlite:///{tmp_path / 'market.db'}") as book:
        yield book


def order(app: Address = APP, price: int = 1) -> dict[str, Any]:
    terms = {"app": app, "appprice": price, "datasetrestrict": NULL_ADDRESS}
    return {"orderHash": "0x" + "01" * 32, "order": terms, "remaining": 1}


# --- server-sent events -------------------------------------------------------------------------------------------


class Stream:
    """A client that reads server-sent events as a browser does."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self.response = response
        self.last_id = ""

    async def block(self) -> dict[str, str]:
        """The fields up to the next empty line; comments under the name ``""``."""
        fields: dict[str, str] = {}
        with anyio.fail_after(20):
            while True:
                line = (await self.response.content.readline()).decode()
                if not line:
                    raise EOFError
                if line == "\n":
                    self.last_id = fields.get("id", self.last_id)
                    return fields
                name, _, value = line.rstrip("\n").partition(":")
                fields[name] = value.removeprefix(" ")

    async def event(self) -> tuple[str, dict[str, Any]]:
        """The next event, heartbeats aside."""
        while True:
            fields = await self.block()
            if "event" in fields:
                return fields["event"], json.loads(fields["data"])


@asynccontextmanager
async def streaming(market: Market, headers: dict[str, str] | None = None, **query: str) -> AsyncIterator[Stream]:
    params = {"chainId": str(market.chain.manifest.chain_id), "room": "orders"} | query
    async with market.session.get(market.url + "/stream", params=params, headers=headers) as response:
        assert response.status == 200, await response.text()
        assert response.content_type == "text/event-stream"
        yield Stream(response)


async def test_a_stream_begins_with_how_far_the_journal_is_and_goes_on_with_what_comes(book: Live) -> None:
    before = await book.tell("apporder_published", order())
    async with streaming(book.market) as stream:
        assert await stream.event() == ("snapshot", {"seq": before})
        seq = await book.tell("apporder_updated", order(price=2), block_number=7, transaction_hash="0xaa")
        assert await stream.event() == (
            "apporder_updated",
            {"seq": seq, "payload": order(price=2), "blockNumber": 7, "transactionHash": "0xaa"},
        )
        assert stream.last_id == str(seq)
        seq = await book.tell("apporder_unpublished", "0x" + "01" * 32, reason="canceled")
        assert await stream.event() == (
            "apporder_unpublished",
            {"seq": seq, "payload": "0x" + "01" * 32, "reason": "canceled"},
        )


async def test_who_comes_back_is_told_what_it_missed_and_nothing_twice(book: Live) -> None:
    first = await book.tell("apporder_published", order(price=1))
    await book.tell_many(1200)
    for query, headers in (({"resumeFrom": str(first)}, {}), ({"resumeFrom": "0"}, {"Last-Event-ID": str(first)})):
        async with streaming(book.market, headers, **query) as stream:
            assert await stream.event() == ("resumed", {"seq": first})
            await book.tell("apporder_published", {"number": 1200})
            numbers = []
            while not numbers or numbers[-1] != 1200:
                numbers.append((await stream.event())[1]["payload"]["number"])
            assert numbers[:1201] == list(range(1201))


async def test_who_was_away_for_too_long_is_told_to_read_the_book_anew(
    book: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "KEPT", 300)
    await book.tell_many(1100)
    newest = (await book.database.read(events.extent)).newest
    for unknown in (1, newest + 1):
        async with streaming(book.market, resumeFrom=str(unknown)) as stream:
            assert await stream.event() == ("reset", {"seq": newest})
    async with streaming(book.market, resumeFrom=str(newest - 300)) as stream:
        assert await stream.event() == ("resumed", {"seq": newest - 300})


async def test_a_stream_can_be_narrowed_to_a_kind_and_to_parties(book: Live) -> None:
    async with (
        streaming(book.market, app=APP.lower()) as by_app,
        streaming(book.market, kind="requestorder") as by_kind,
        streaming(book.market, room="deals", app=APP) as deals,
    ):
        for stream in (by_app, by_kind, deals):
            assert (await stream.event())[0] == "snapshot"
        await book.tell("apporder_published", order(OTHER_APP))
        await book.tell("apporder_published", order(APP, price=5))
        await book.tell("requestorder_published", order(OTHER_APP, price=6))
        await book.tell("deal_created", {"app": {"pointer": OTHER_APP}}, "deals")
        await book.tell("deal_created", {"app": {"pointer": APP}, "volume": 3}, "deals")
        assert (await by_app.event())[1]["payload"] == order(APP, price=5)
        assert (await by_kind.event())[1]["payload"] == order(OTHER_APP, price=6)
        assert (await deals.event())[1]["payload"]["volume"] == 3


async def test_events_of_another_process_reach_the_clients_of_this_one(book: Live) -> None:
    async with streaming(book.market, room="deals") as stream:
        assert (await stream.event())[0] == "snapshot"
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", IN_ANOTHER_PROCESS, book.url)
        assert (await stream.event())[1]["payload"] == {"dealid": "0x77"}
        assert await process.wait() == 0


async def test_a_silent_stream_says_that_it_lives_and_how_far_the_journal_is(chain: Chain, database_url: str) -> None:
    async with (
        live(chain, database_url, heartbeat_seconds=0.2) as book,
        streaming(book.market, kind="requestorder") as stream,
    ):
        assert (await stream.event())[0] == "snapshot"
        seq = await book.tell("apporder_published", order())
        fields: dict[str, str] = {}
        while fields.get("id") != str(seq):
            fields = await stream.block()
            assert fields.keys() == {"", "id"}


async def test_a_client_that_does_not_read_is_cut_off_and_the_others_are_not(chain: Chain, database_url: str) -> None:
    async with live(chain, database_url, listener_backlog=200) as book, streaming(book.market) as reader:
        assert (await reader.event())[0] == "snapshot"
        host, port = book.market.url.removeprefix("http://").split(":")
        idle = socket.socket()
        idle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        idle.connect((host, int(port)))
        query = f"chainId={chain.manifest.chain_id}&room=orders"
        idle.sendall(f"GET /stream?{query} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
        idle.setblocking(False)
        received = b""
        while b"snapshot" not in received:
            received += await asyncio.get_running_loop().sock_recv(idle, 4096)
        rounds, size = 100, 20_000
        for _ in range(rounds):
            await book.tell_many(10, size)
            for _ in range(10):
                await reader.event()
        # What the kernel still holds for it comes, and then the end of the answer instead of the rest.
        got, last = 0, b""
        with anyio.fail_after(30):
            while not last.endswith(b"\r\n0\r\n\r\n"):
                chunk = await asyncio.get_running_loop().sock_recv(idle, 1 << 16)
                if not chunk:
                    break
                got, last = got + len(chunk), (last + chunk)[-16:]
        idle.close()
        assert got < rounds * 10 * size


async def test_there_are_only_so_many_streams(chain: Chain, database_url: str) -> None:
    async with live(chain, database_url, listeners=1) as book, streaming(book.market) as stream:
        assert (await stream.event())[0] == "snapshot"
        status, answer = await book.market.get("/stream", room="orders")
        assert (status, answer["code"], answer["retry"]) == (503, "LISTENERS_TOO_MANY", True)


async def test_streams_end_with_the_service_at_once(chain: Chain, database_url: str) -> None:
    async with live(chain, database_url) as book:
        stream = await book.market.session.get(
            book.market.url + "/stream", params={"chainId": str(chain.manifest.chain_id), "room": "orders"}
        )
        assert (await Stream(stream).event())[0] == "snapshot"
        stopped_at = anyio.current_time()
    stream.close()
    assert anyio.current_time() - stopped_at < 1.5


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"chainId": "5"}, "chainId 5 is not supported"),
        ({}, "room is a required field"),
        ({"room": "tasks"}, "room must be one of the following values: orders, deals"),
        (
            {"room": "orders", "kind": "order"},
            "kind must be one of the following values: apporder, datasetorder, workerpoolorder, requestorder",
        ),
        ({"room": "orders", "app": "0x1"}, "app is not a valid ethereum address"),
        ({"room": "orders", "resumeFrom": "-1"}, "resumeFrom must be greater than or equal to 0"),
        ({"room": "orders", "resumeFrom": "1.5"}, "resumeFrom must be an integer"),
    ],
)
async def test_a_wish_that_makes_no_sense_is_refused(small_book: Live, query: dict[str, str], message: str) -> None:
    status, answer = await small_book.market.get("/stream", **query)
    assert (status, answer["error"]) == (400, message)


async def test_a_stream_is_only_read(small_book: Live) -> None:
    status, answer = await small_book.market.request("POST", "/stream", {}, room="orders")
    assert (status, answer["ok"]) == (405, False)


# --- socket.io ----------------------------------------------------------------------------------------------------


class Client:
    """python-socketio's client, and what it was told."""

    def __init__(self) -> None:
        self.told: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        self.socket = socketio.AsyncClient(reconnection=False)
        self.socket.on("*", self._hear)

    async def _hear(self, event: str, *payload: Any) -> None:
        self.told.put_nowait((event, payload[0]))

    async def next(self) -> tuple[str, Any]:
        with anyio.fail_after(20):
            return await self.told.get()


@asynccontextmanager
async def connected(market: Market, *transports: str) -> AsyncIterator[Client]:
    client = Client()
    await client.socket.connect(market.url, socketio_path="ws", transports=list(transports) or None)
    try:
        yield client
    finally:
        await client.socket.disconnect()


@pytest.mark.parametrize("transports", [("polling",), ("websocket",), ("polling", "websocket")])
async def test_a_client_is_told_what_happens_in_the_rooms_it_is_in(book: Live, transports: tuple[str, ...]) -> None:
    chain_id = book.market.chain.manifest.chain_id
    async with connected(book.market, *transports) as client, streaming(book.market) as stream:
        assert (await stream.event())[0] == "snapshot"
        await book.tell("apporder_published", order(price=1))
        assert (await stream.event())[0] == "apporder_published"
        assert await client.socket.call("join", {"chainId": str(chain_id), "topic": "orders"}) is True
        await book.tell("deal_created", {"dealid": "0x01"}, "deals")
        await book.tell("apporder_published", order(price=2))
        await book.tell("apporder_unpublished", "0x" + "01" * 32)
        assert await client.next() == ("apporder_published", order(price=2))
        assert await client.next() == ("apporder_unpublished", "0x" + "01" * 32)
        assert await client.socket.call("join", {"chainId": chain_id, "topic": "deals"}) is True
        await book.tell("deal_created", {"dealid": "0x02"}, "deals")
        assert await client.next() == ("deal_created", {"dealid": "0x02"})


async def test_what_people_and_the_chain_do_is_told_from_publication_to_deal(book: Live) -> None:
    market, chain = book.market, book.market.chain
    app, pool, request = chain.app_order(), chain.pool_order(), chain.request_order()
    async with connected(market) as client:
        for topic in ("orders", "deals"):
            assert await client.socket.call("join", {"chainId": chain.manifest.chain_id, "topic": topic}) is True
        for order, signer in ((app, APP_OWNER), (pool, POOL_OWNER), (request, REQUESTER)):
            await market.book.publish(order, signer)
        await chain.match(app, pool, request)
        told: dict[str, Any] = {}
        while "deal_created" not in told or len(told) < 7:
            event, payload = await client.next()
            told[event] = payload
    assert told.keys() == {
        *("apporder_published", "workerpoolorder_published", "requestorder_published"),
        *("apporder_updated", "workerpoolorder_updated", "requestorder_unpublished", "deal_created"),
    }
    assert told["requestorder_unpublished"] == chain.hash(request)
    assert (told["apporder_updated"]["orderHash"], told["apporder_updated"]["remaining"]) == (chain.hash(app), 8)
    deal = told["deal_created"]
    assert (deal["app"]["pointer"], deal["requestHash"], deal["botSize"]) == (app.app, chain.hash(request), 2)


async def test_who_leaves_a_room_is_told_no_more(book: Live) -> None:
    orders, deals = ({"chainId": book.market.chain.manifest.chain_id, "topic": topic} for topic in ("orders", "deals"))
    async with connected(book.market) as client:
        for room in (orders, deals):
            assert await client.socket.call("join", room) is True
        assert await client.socket.call("leave", orders) is True
        await book.tell("apporder_published", order())
        await book.tell("deal_created", {"dealid": "0x01"}, "deals")
        assert await client.next() == ("deal_created", {"dealid": "0x01"})
        assert await client.socket.call("leaveAll") is True
        await book.tell("deal_created", {"dealid": "0x02"}, "deals")
        assert await client.socket.call("join", orders) is True
        await book.tell("apporder_published", order(price=3))
        assert await client.next() == ("apporder_published", order(price=3))


@pytest.mark.parametrize(
    ("sent", "message"),
    [
        ({}, "chainId is a required field"),
        (None, "chainId is a required field"),
        ("orders", "chainId is a required field"),
        ({"chainId": 5, "topic": "orders"}, "chainId 5 is not supported"),
        ({"chainId": True, "topic": "orders"}, "chainId True is not supported"),
        ({"chainId": [["x"]], "topic": "orders"}, "chainId [['x']] is not supported"),
        ({"chainId": "the chain"}, "topic is a required field"),
        ({"chainId": "the chain", "topic": "tasks"}, "topic must be one of the following values: orders, deals"),
        ({"chainId": "the chain", "topic": ["orders"]}, "topic must be one of the following values: orders, deals"),
        ({"chainId": "the chain", "topic": {"a": 1}}, "topic must be one of the following values: orders, deals"),
    ],
)
async def test_a_room_that_is_none_is_refused_with_the_reason(small_book: Live, sent: Any, message: str) -> None:
    if isinstance(sent, dict) and sent.get("chainId") == "the chain":
        sent = sent | {"chainId": str(small_book.market.chain.manifest.chain_id)}
    async with connected(small_book.market) as client:
        for event in ("join", "leave"):
            assert await client.socket.call(event, sent) == (False, message)


@pytest.mark.parametrize(
    "text", ["42", "42[", "4" + "[" * 15_000, '42["join"', "42[]", "42[1]", '42{"a":1}', "451-[", "9", "", "x" * 17_000]
)
async def test_a_client_that_talks_nonsense_disturbs_nobody(small_book: Live, text: str) -> None:
    url = small_book.market.url + "/ws/?EIO=4&transport=websocket"
    async with connected(small_book.market) as client:
        async with small_book.market.session.ws_connect(url) as raw:
            await raw.receive()
            await raw.send_str("40")
            await raw.receive()
            await raw.send_str(text)
        chain_id = small_book.market.chain.manifest.chain_id
        assert await client.socket.call("join", {"chainId": chain_id, "topic": "orders"}) is True
        await small_book.tell("apporder_published", order())
        assert await client.next() == ("apporder_published", order())


async def test_a_client_that_takes_nothing_is_cut_off_and_the_others_are_not(chain: Chain, database_url: str) -> None:
    room = {"chainId": chain.manifest.chain_id, "topic": "orders"}
    async with (
        live(chain, database_url, listener_backlog=100) as book,
        connected(book.market) as reader,
        book.market.session.get(book.market.url + "/ws/?EIO=4&transport=polling") as handshake,
    ):
        assert await reader.socket.call("join", room) is True
        # A client that polls no more: nothing of the network stands between it and its queue.
        name = json.loads((await handshake.read())[1:])["sid"]
        poll = f"{book.market.url}/ws/?EIO=4&transport=polling&sid={name}"
        for message in ("40", "42" + json.dumps(["join", room])):
            async with book.market.session.post(poll, data=message) as posted:
                assert posted.status == 200
        for _ in range(3):
            await book.tell_many(100)
            for _ in range(100):
                await reader.next()
        async with book.market.session.get(poll) as polled:
            assert polled.status == 400
