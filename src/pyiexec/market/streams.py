"""What happens in the book as server-sent events: numbered, so that nobody who comes back has missed anything.

A stream begins by saying how far the journal is (``snapshot``): what the lists answer from then on holds all events up
to that number, and the stream brings those after it. A client that was away names the last number it saw and gets what
it missed, or is told (``reset``) that the book has to be read anew.

Source: Server-sent events, HTML Living Standard 9.2.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Mapping
from typing import Any

import anyio
import msgspec
from litestar import Request
from litestar.exceptions import MethodNotAllowedException
from litestar.handlers import ASGIRouteHandler, asgi
from litestar.types import Receive, Scope, Send

from pyiexec.foundation.database import Database
from pyiexec.foundation.logs import get_logger
from pyiexec.foundation.openapi import Description, Parameter, description
from pyiexec.market import events
from pyiexec.market.broadcast import Broadcast, Listener
from pyiexec.market.events import PARTIES, ROOMS, Event, Interest
from pyiexec.market.filters import read_chain
from pyiexec.market.messages import refusal
from pyiexec.market.reading import read_address, read_integer
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.orders import ORDER_KINDS

log = get_logger(__name__)

PATH = "/stream"
#: Milliseconds after which a browser that lost the stream should come back.
_RETRY_MS = 2000
#: Seconds in which a client that is cut off may take the end of the stream.
_FAREWELL = 1.0
#: Missed events read at a time.
_BATCH = 500

DESCRIPTION: Mapping[tuple[str, str], Description] = {
    ("GET", PATH): description(
        Parameter("chainId", str, "the chain served", required=True),
        Parameter("room", {"type": "string", "enum": list(ROOMS)}, "what about", required=True),
        Parameter("kind", {"type": "string", "enum": list(ORDER_KINDS)}, "events about this kind of order alone"),
        *(Parameter(party, str, f"events about what has this {party} alone: an address") for party in PARTIES),
        Parameter("resumeFrom", {"type": "integer", "minimum": 0}, "number of the last event seen"),
        Parameter("Last-Event-ID", str, "the same, as browsers send it", place="header"),
        answer=str,
        media_type="text/event-stream",
        refusals=(400, 429, 503),
        summary="What happens in the book, as server-sent events.",
    )
}


class Wish(msgspec.Struct, frozen=True):
    """What a stream should bring: which events, and the number of the last one seen, if any was."""

    interest: Interest
    resume_from: int | None


def read_wish(query: Mapping[str, str], last_event_id: str | None) -> Wish:
    """A wish as the parameters of a request have it.

    Raises:
        IexecError: ``BAD_REQUEST`` naming the parameter.
    """
    room = _choice(query, "room", ROOMS)
    if room is None:
        raise refusal("required", path="room")
    kind = _choice(query, "kind", tuple(ORDER_KINDS))
    parties = {party: read_address(query[party], party) for party in PARTIES if party in query}
    # What a browser sends when it comes back is newer than what the address of the stream says.
    seen = ("Last-Event-ID", last_event_id) if last_event_id else ("resumeFrom", query.get("resumeFrom"))
    return Wish(
        Interest(room=room, kinds=frozenset({kind} if kind else ()), parties=parties),
        None if seen[1] is None else read_integer(seen[1], seen[0]),
    )


def create_stream(database: Database, broadcast: Broadcast, chain_id: int, heartbeat: float) -> ASGIRouteHandler:
    """The route of the stream.

    Args:
        database: the book.
        broadcast: tells of new events.
        chain_id: the chain served; every request must name it.
        heartbeat: seconds of silence after which the stream says that it lives.
    """

    async def stream(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request[Any, Any, Any](scope, receive, send)
        if request.method != "GET":
            raise MethodNotAllowedException
        read_chain(request.query_params, chain_id)
        wish = read_wish(request.query_params, request.headers.get("last-event-id"))
        with broadcast.listener(wish.interest) as listener:
            # From here on nothing is lost: what came before is in the journal, and the rest the listener is told.
            reach = await database.read(events.extent)
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            messages = _messages(database, broadcast, listener, wish, reach, heartbeat)
            async with anyio.create_task_group() as group:

                async def until(over: Awaitable[object]) -> None:
                    await over
                    group.cancel_scope.cancel()

                group.start_soon(until, _disconnected(receive))
                # Also while it waits for a client that does not read.
                group.start_soon(until, listener.cut_off.wait())
                async for text in messages:
                    await send({"type": "http.response.body", "body": text, "more_body": True})
                group.cancel_scope.cancel()
            with anyio.move_on_after(_FAREWELL):
                await send({"type": "http.response.body", "body": b"", "more_body": False})

    return asgi(PATH, copy_scope=True)(stream)


_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    # A proxy that collects an answer before it passes it on would never pass this one on.
    (b"x-accel-buffering", b"no"),
]


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _messages(
    database: Database, broadcast: Broadcast, listener: Listener, wish: Wish, reach: events.Extent, heartbeat: float
) -> AsyncIterator[bytes]:
    """What the client is sent; ends when the journal cannot be read, for the client comes back by itself."""
    seq = listener.since
    yield b"retry: %d\n" % _RETRY_MS
    if wish.resume_from is None or not reach.follows(wish.resume_from):
        seq = listener.since = max(seq, reach.newest)
        yield _marker("snapshot" if wish.resume_from is None else "reset", seq)
    else:
        yield _marker("resumed", wish.resume_from)
        # Another process may have told the client more than this one knows of yet.
        seq = listener.since = max(seq, wish.resume_from)
        try:
            async for event in _missed(database, wish.resume_from, seq):
                if wish.interest.covers(event):
                    yield _delta(event)
        except IexecError as error:
            log.warning("a stream ends", reason=error.what)
            return
    while True:
        told = None
        with anyio.move_on_after(heartbeat):
            try:
                told = await listener.events.receive()
            except anyio.EndOfStream:
                return
        if told is None:
            # The number moves on with what others were told: nobody comes back for more than it has to.
            yield b": alive\nid: %d\n\n" % max(seq, broadcast.seq)
        elif told.seq > seq:
            yield _delta(told)


async def _missed(database: Database, seq: int, until: int) -> AsyncIterator[Event]:
    """Events of the journal after number `seq` and up to `until`."""
    while seq < until:
        found = await database.read(
            lambda connection, seq=seq: events.after(connection, seq, until=until, limit=_BATCH)  # type: ignore[misc]
        )
        for event in found:
            yield event
        seq = found[-1].seq if found else until


def _marker(name: str, seq: int) -> bytes:
    return b'id: %d\nevent: %s\ndata: {"seq":%d}\n\n' % (seq, name.encode(), seq)


def _delta(event: Event) -> bytes:
    body = {"seq": event.seq, "payload": event.payload}
    more = {"reason": event.reason, "blockNumber": event.block_number, "transactionHash": event.transaction_hash}
    body |= {name: value for name, value in more.items() if value is not None}
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (event.seq, event.event.encode(), msgspec.json.encode(body))


def _choice(query: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str | None:
    value = query.get(name)
    if value is not None and value not in choices:
        raise refusal("one of", path=name, values=", ".join(choices))
    return value
