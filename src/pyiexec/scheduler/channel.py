"""The scheduler's end of its conversation with workers: one WebSocket each, opened by them.

Here a worker proves who it is, frames become items of the engine's inbox, and silence is noticed. What is said and what
is kept is the engine's business.
"""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Collection
from typing import Any, TypeAlias

import anyio
from litestar import WebSocket
from litestar.exceptions import WebSocketDisconnect, WebSocketException
from msgspec import UNSET

from pyiexec.chain.signer import recover
from pyiexec.foundation.clock import Clock
from pyiexec.foundation.logs import get_logger
from pyiexec.protocol.eip712 import ethereum_message_digest
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.messages import (
    GREETING,
    Ack,
    Challenge,
    Envelope,
    Hello,
    Offer,
    Output,
    Ping,
    Pong,
    Progress,
    Refused,
    decode_message,
    encode_message,
    login_hash,
)
from pyiexec.protocol.primitives import Address, bytes32, to_bytes
from pyiexec.protocol.versions import OFFERS, SPEECH, Dialect, agree
from pyiexec.scheduler.crew import Crew, Member
from pyiexec.scheduler.inbox import (
    CommandsAcknowledged,
    Item,
    ReportReceived,
    WorkerJoined,
    WorkerLeft,
    WorkerOffers,
    WorkerSilent,
)
from pyiexec.scheduler.mailbox import Mailbox

log = get_logger(__name__)

AnySocket: TypeAlias = WebSocket[Any, Any, Any]

#: Seconds a worker has to log in.
LOGIN_SECONDS = 10.0
#: Frames that may wait for a worker that does not read; then the connection is ended, the outbox keeps what is owed.
BACKLOG = 10_000
#: Reports of one worker that may wait for the engine; from a worker that sends more nothing is read meanwhile.
REPORTS_AHEAD = 64
#: Heartbeats without a word after which a worker is lost.
MISSED_HEARTBEATS = 2
#: Woken later than this, the watch lets others of the event loop read what has arrived before it judges.
DEAF_SECONDS = 0.1

_PONG = encode_message(Pong())
_REFUSED, _PROTOCOL_ERROR, _CLOSED = 4001, 4002, 4000


class LiveSession:
    """The frames one connection still has to carry."""

    def __init__(self) -> None:
        self._frames: Mailbox[bytes] = Mailbox()
        self._ahead = 0
        self._room = anyio.Event()
        self.ended = anyio.Event()
        self.reason = ""

    def send(self, frame: bytes) -> None:
        """Queue a frame; never waits. A connection that cannot keep up is ended."""
        if len(self._frames) >= BACKLOG:
            self.close("the worker does not read what it is sent")
        elif not self.ended.is_set():
            self._frames.put(frame)

    def close(self, reason: str) -> None:
        """End the connection."""
        self.reason = self.reason or reason
        self.ended.set()

    async def heard(self) -> None:
        """Note a report or offer that goes to the engine, once there is room for it."""
        while self._ahead >= REPORTS_AHEAD:
            self._room = anyio.Event()
            await self._room.wait()
        self._ahead += 1

    def taken(self) -> None:
        """The engine has taken up a report or offer."""
        self._ahead -= 1
        self._room.set()

    async def drain(self, send: Callable[[bytes], Awaitable[None]]) -> None:
        """Pass frames on until cancelled."""
        while True:
            for frame in await self._frames.take(BACKLOG):
                await send(frame)


class WorkerChannel:
    """Lets workers in and listens to them.

    Args:
        chain_id: part of what workers sign.
        workerpool: likewise.
        allowed: who may log in; anybody when empty.
        score: reads a worker's reputation.
        post: puts an item before the engine.
        on_output: told what applications print.
    """

    def __init__(
        self,
        *,
        chain_id: int,
        workerpool: Address,
        allowed: Collection[Address],
        crew: Crew,
        score: Callable[[Address], Awaitable[int]],
        post: Callable[[Item], None],
        on_output: Callable[[Address, Output], None],
        clock: Clock,
        heartbeat_seconds: float,
        nonce: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._chain_id = chain_id
        self._workerpool = workerpool
        self._allowed = frozenset(allowed)
        self._crew = crew
        self._score = score
        self._post = post
        self._on_output = on_output
        self._clock = clock
        self._heartbeat_seconds = heartbeat_seconds
        self._nonce = nonce
        self._someone = anyio.Event()

    async def serve(self, socket: AnySocket) -> None:
        """Carry one connection to its end."""
        await socket.accept()
        try:
            hello, dialect = await self._log_in(socket)
            score = await self._score(hello.worker)
        except IexecError as error:
            log.info("worker refused", code=error.code, reason=error.what)
            await _quietly(socket.send_data(encode_message(Refused(code=error.code, message=error.what)), mode="text"))
            await _quietly(socket.close(code=_REFUSED, reason=error.code))
            return
        except (WebSocketDisconnect, WebSocketException, TimeoutError):
            return
        session = LiveSession()
        member = self._crew.member(hello.worker)
        member.heard = self._clock.monotonic()
        self._post(WorkerJoined(session, hello, score))
        self._someone.set()
        try:
            async with anyio.create_task_group() as group:

                async def listen() -> None:
                    try:
                        await self._listen(socket, member, session, dialect)
                    except (WebSocketDisconnect, WebSocketException):
                        session.close("the worker went away")
                    except IexecError as error:
                        log.warning("worker does not keep to the protocol", worker=hello.worker, reason=error.what)
                        session.close(error.what)

                async def speak() -> None:
                    try:
                        await session.drain(lambda frame: socket.send_data(frame, mode="text"))
                    except (WebSocketDisconnect, WebSocketException, RuntimeError):
                        session.close("the worker went away")

                group.start_soon(listen)
                group.start_soon(speak)
                await session.ended.wait()
                group.cancel_scope.cancel()
        finally:
            self._post(WorkerLeft(hello.worker, session))
            with anyio.CancelScope(shield=True), anyio.move_on_after(1):
                await _quietly(socket.close(code=_CLOSED, reason=session.reason[:100]))

    async def _log_in(self, socket: AnySocket) -> tuple[Hello, Dialect]:
        """Who is there, proved by signature, and how to speak with it.

        Raises:
            IexecError: ``BAD_MESSAGE``, ``BAD_SIGNATURE``, ``VERSION_MISMATCH``, ``WORKER_REFUSED``.
        """
        challenge = Challenge(
            nonce=bytes32(self._nonce(32)),
            chain_id=self._chain_id,
            workerpool=self._workerpool,
            speech=SPEECH if GREETING in socket.query_params else UNSET,
        )
        await socket.send_data(encode_message(challenge), mode="text")
        with anyio.fail_after(LOGIN_SECONDS):
            hello = decode_message(await socket.receive_data(mode="text"))
        if not isinstance(hello, Hello):
            raise IexecError("BAD_MESSAGE", f"Hello was expected, not {type(hello).__name__}")
        dialect = agree(SPEECH, hello.spoken)
        digest = ethereum_message_digest(login_hash(challenge, hello.worker))
        if recover(digest, to_bytes(hello.signature)) != hello.worker:
            raise IexecError("BAD_SIGNATURE", f"the login is not signed by {hello.worker}")
        if self._allowed and hello.worker not in self._allowed:
            raise IexecError("WORKER_REFUSED", f"{hello.worker} is not among the workers of this pool")
        return hello, dialect

    async def _listen(
        self,
        socket: AnySocket,
        member: Member,
        session: LiveSession,
        dialect: Dialect,
    ) -> None:
        while True:
            message = decode_message(await socket.receive_data(mode="text"))
            member.heard = self._clock.monotonic()
            match message:
                case Envelope(seq=seq, body=Progress() as progress):
                    await session.heard()
                    self._post(ReportReceived(member.worker, session, seq, progress))
                case Output():
                    self._on_output(member.worker, message)
                case Offer(capabilities=capabilities) if OFFERS in dialect.features:
                    await session.heard()
                    self._post(WorkerOffers(member.worker, session, capabilities))
                case Ack(seq=seq):
                    self._post(CommandsAcknowledged(member.worker, seq))
                case Ping():
                    session.send(_PONG)
                case Pong():
                    pass
                case _:
                    raise IexecError("BAD_MESSAGE", f"{type(message).__name__} is out of place here")

    async def watch(self) -> None:
        """Notice workers that fall silent, until cancelled; sleeps while there is nobody to listen to."""
        patience = MISSED_HEARTBEATS * self._heartbeat_seconds
        now = self._clock.monotonic()
        for member in self._crew.in_reach():
            member.heard = now
        while True:
            self._someone = anyio.Event()
            heard = [member.heard for member in self._crew.in_reach()]
            if not heard:
                await self._someone.wait()
                continue
            due = max(min(heard) + patience, self._clock.monotonic() + 0.01)
            await self._clock.sleep(due - self._clock.monotonic())
            now = self._clock.monotonic()
            if now - due > DEAF_SECONDS:
                # This process was busy with something else, and what workers said meanwhile is not read yet.
                continue
            for member in list(self._crew.in_reach()):
                if now - member.heard >= patience:
                    self._post(WorkerSilent(member.worker))
                    # Once is enough, should the engine be busy.
                    member.heard = now


async def _quietly(farewell: Awaitable[None]) -> None:
    """Say something to a connection that may be gone already."""
    try:
        await farewell
    except (WebSocketDisconnect, WebSocketException, RuntimeError, OSError) as error:
        log.debug("the connection was gone", reason=str(error))
