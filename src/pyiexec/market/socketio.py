"""The real-time channel of the network's existing clients: socket.io on ``/ws``, a room for each chain and topic.

A client joins ``{chainId, topic}`` and is told of events by their names, with an order, its hash or a deal. It learns
of what happens while it is connected; whoever must not miss anything reads the stream (`streams`).

Source: the iExec marketplace; Engine.IO protocol 4, Socket.IO protocol 5.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import msgspec
import socketio  # type: ignore[import-untyped]

from pyiexec.foundation.http import Application
from pyiexec.foundation.logs import get_logger
from pyiexec.foundation.rate_limit import Scope
from pyiexec.foundation.traffic import ROUTE
from pyiexec.market.events import ROOMS, Event
from pyiexec.market.messages import MESSAGES

log = get_logger(__name__)

PATH = "/ws"
#: Longest message of a client, bytes: what they have to say is short.
_MAX_MESSAGE = 16 * 1024
#: What a client is told besides a false acknowledgement.
Refusal = tuple[bool, str]


class Rooms:
    """Clients of one process, and the rooms they are in.

    Args:
        chain_id: the chain served.
        backlog: messages that may wait for a client before it is cut off.
        capacity: clients at a time.
    """

    def __init__(self, chain_id: int, *, backlog: int, capacity: int) -> None:
        self._chain_id = chain_id
        self._backlog = backlog
        self._capacity = capacity
        self._server = socketio.AsyncServer(
            async_mode="asgi",
            cors_allowed_origins="*",
            max_http_buffer_size=_MAX_MESSAGE,
            logger=False,
            engineio_logger=False,
        )
        self._server.on("connect", self._connect)
        self._server.on("disconnect", self._disconnect)
        self._server.on("join", self._join)
        self._server.on("leave", self._leave)
        self._server.on("leaveAll", self._leave_all)

    def beside(self, app: Application) -> Application:
        """An application that answers clients of socket.io itself, and leaves everybody else to `app`."""
        answer: Application = socketio.ASGIApp(self._server, app, socketio_path=PATH.strip("/"))

        async def serve(scope: Scope, receive: Any, send: Any) -> None:
            if scope["type"] == "http" and scope["path"].startswith(PATH):
                scope[ROUTE] = PATH
            await answer(scope, receive, send)

        return serve

    def is_known(self, scope: Scope) -> bool:
        """Whether a request belongs to a connection that stands: only its handshake is a new one."""
        if not scope["path"].startswith(PATH):
            return False
        names = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("sid", [])
        return len(names) == 1 and names[0] in self._server.eio.sockets

    async def tell(self, event: Event) -> None:
        """Tell all in the room; who does not keep up is cut off, and nobody waits for it."""
        room = f"{self._chain_id}:{event.room}"
        participants = list(self._server.manager.get_participants("/", room))
        if not participants:
            return
        for _, name in participants:
            connection = self._server.eio.sockets.get(name)
            if connection is not None and connection.queue.qsize() >= self._backlog:
                log.info("a client did not keep up", room=room)
                await connection.close(wait=False, abort=True)
        await self._server.emit(event.event, msgspec.json.decode(event.payload), room=room)

    async def end(self) -> None:
        """Say goodbye to everybody: the service ends."""
        for connection in list(self._server.eio.sockets.values()):
            await connection.close(wait=False)
        await self._server.shutdown()

    async def _connect(self, _client: str, _environment: dict[str, Any], _authorisation: Any = None) -> bool:
        return len(self._server.eio.sockets) <= self._capacity

    async def _disconnect(self, client: str, _reason: str = "") -> None:
        # The library leaves a client's last poll unanswered; nothing at all in the queue's place ends it.
        connection = self._server.eio.sockets.get(self._server.manager.eio_sid_from_sid(client, "/"))
        if connection is not None:
            connection.queue.put_nowait(None)

    async def _join(self, client: str, *sent: Any) -> bool | Refusal:
        room, refused = self._room(sent)
        if refused:
            return False, refused
        await self._server.enter_room(client, room)
        return True

    async def _leave(self, client: str, *sent: Any) -> bool | Refusal:
        room, refused = self._room(sent)
        if refused:
            return False, refused
        await self._server.leave_room(client, room)
        return True

    async def _leave_all(self, client: str, *_sent: Any) -> bool:
        # Every client is in a room of its own as well, through which it is answered.
        for room in self._server.rooms(client):
            if room != client:
                await self._server.leave_room(client, room)
        return True

    def _room(self, sent: tuple[Any, ...]) -> tuple[str, str]:
        """The room that a message names, or why it names none."""
        fields = sent[0] if sent and isinstance(sent[0], dict) else {}
        for name in ("chainId", "topic"):
            if fields.get(name) is None:
                return "", MESSAGES["required"].text.format(path=name)
        chain = fields["chainId"]
        if isinstance(chain, bool) or not isinstance(chain, (int, str)) or str(chain) != str(self._chain_id):
            return "", MESSAGES["chain"].text.format(value=str(chain)[:40])
        if fields["topic"] not in ROOMS:
            return "", MESSAGES["one of"].text.format(path="topic", values=", ".join(ROOMS))
        return f"{self._chain_id}:{fields['topic']}", ""
