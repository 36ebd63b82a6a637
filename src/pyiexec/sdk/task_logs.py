"""What a task's application printed, read from its pool's scheduler by the requester who ordered it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import aiohttp
import msgspec

from pyiexec.foundation.clients import Answer, pass_trace_on, read_json
from pyiexec.foundation.server_events import Event, read_events
from pyiexec.protocol.eip712 import challenge_hash
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address, TaskId, to_bytes, to_hex
from pyiexec.protocol.printed import Excerpt, StreamTail
from pyiexec.sdk.connection import Connection

#: Domain of the challenges that are signed here; nothing else is.
_DOMAIN = {"name": "iExec Core", "version": "1"}
_TIMEOUT_SECONDS = 30.0
#: Seconds of silence after which a stream counts as broken: the scheduler says something every 15.
_SILENCE_SECONDS = 45.0
#: Seconds between attempts to take a broken stream up again, and for how many attempts in a row.
_PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0, 5.0, 5.0, 5.0, 5.0)
#: Bytes buffered of a stream: its lines are some tens of kilobytes long at most.
_BUFFER = 1 << 18


class ReplicateLogs(msgspec.Struct, frozen=True, rename={"worker": "walletAddress"}):
    """What the application printed on one worker: the last 100,000 characters of each stream."""

    worker: Address
    stdout: str
    stderr: str


class LogPiece(msgspec.Struct, frozen=True, rename={"worker": "walletAddress"}):
    """A piece of what the application prints on one worker.

    Attributes:
        offset: characters of the stream before it; more than were told means that some were dropped.
    """

    worker: Address
    stream: Literal["stdout", "stderr"]
    offset: int
    text: str


class _Logs(msgspec.Struct, frozen=True, rename="camel"):
    compute_logs_list: tuple[ReplicateLogs, ...] = ()


class _Challenge(msgspec.Struct, frozen=True):
    """The part of a challenge that is not known beforehand."""

    domain: dict[str, Any]
    message: dict[str, str]


class TaskLogs:
    """The logs of one task.

    Args:
        url: origin of its pool's scheduler.
    """

    def __init__(self, connection: Connection, url: str, task_id: TaskId) -> None:
        self._at = connection
        self._url = url.rstrip("/")
        self._task_id = task_id

    async def read(self) -> list[ReplicateLogs]:
        """What was printed so far, by worker.

        Raises:
            IexecError: ``LOGS_UNKNOWN``, ``LOG_ACCESS_REFUSED`` when the task is somebody else's, ``TASK_UNKNOWN``,
                ``SCHEDULER_UNREACHABLE``, ``WALLET_MISSING``.
        """
        async with _session() as session:
            token = await self._token(session)
            answer = await self._get(session, f"/tasks/{self._task_id}/logs", {"Authorization": token})
        return list(_decode(answer, _Logs).compute_logs_list)

    async def follow(self) -> AsyncGenerator[LogPiece, None]:
        """What was printed, and what is printed until the task is over; broken streams are taken up where they broke.

        Raises:
            IexecError: as of `read`, ``LOGS_UNKNOWN`` excepted: what is not there yet is waited for.
        """
        place = ""
        told: dict[tuple[Address, str], StreamTail] = {}
        failures = 0
        async with _session() as session:
            while True:
                try:
                    async with self._stream(session, place) as events:
                        async for event in events:
                            failures = 0
                            place = event.identifier
                            if event.name == "end":
                                return
                            piece = _decode(event.data, LogPiece)
                            tail = told.setdefault((piece.worker, piece.stream), StreamTail(limit=1))
                            # Told twice after a break, perhaps.
                            before = tail.end
                            if event.name == "log" and tail.join(Excerpt(piece.text, piece.offset)):
                                start = max(before, piece.offset)
                                yield msgspec.structs.replace(
                                    piece, offset=start, text=piece.text[start - piece.offset :]
                                )
                except IexecError as error:
                    if not error.retry or failures >= len(_PAUSES):
                        raise
                if failures >= len(_PAUSES):
                    raise IexecError("SCHEDULER_UNREACHABLE", "the stream of logs breaks again and again")
                await self._at.clock.sleep(_PAUSES[failures])
                failures += 1

    @asynccontextmanager
    async def _stream(self, session: aiohttp.ClientSession, place: str) -> AsyncIterator[AsyncIterator[Event]]:
        headers = {"Authorization": await self._token(session), "Accept": "text/event-stream"}
        if place:
            headers["Last-Event-ID"] = place
        timeout = aiohttp.ClientTimeout(sock_connect=_TIMEOUT_SECONDS, sock_read=_SILENCE_SECONDS)
        try:
            async with session.get(
                f"{self._url}/tasks/{self._task_id}/logs/stream", headers=headers, timeout=timeout
            ) as response:
                if response.status != 200:
                    raise _refusal(response.status, await response.read())
                yield read_events(response.content)
        except (aiohttp.ClientError, TimeoutError, ConnectionError, ValueError) as error:
            raise _silence(error) from None

    async def _token(self, session: aiohttp.ClientSession) -> str:
        """The answer to a fresh challenge."""
        chain_id, signer = self._at.profile.chain_id, self._at.signer
        answer = await self._get(session, f"/tasks/logs/challenge?address={signer.address}&chainId={chain_id}", {})
        challenge = _decode(answer, _Challenge)
        # Whoever answers decides about the text alone, never about what a signature of ours could be used for.
        if challenge.domain | {"chainId": str(challenge.domain.get("chainId"))} != _DOMAIN | {"chainId": str(chain_id)}:
            raise IexecError(
                "SCHEDULER_UNREACHABLE", "the scheduler's challenge is not one for reading logs", retry=False
            )
        digest = challenge_hash(challenge.message.get("challenge", ""), chain_id, **_DOMAIN)
        return f"{digest}_{to_hex(signer.sign_digest(to_bytes(digest)))}_{signer.address}"

    async def _get(self, session: aiohttp.ClientSession, path: str, headers: dict[str, str]) -> bytes:
        try:
            async with session.get(f"{self._url}{path}", headers=headers) as response:
                status, body = response.status, await response.read()
        except (aiohttp.ClientError, TimeoutError, ConnectionError) as error:
            raise _silence(error) from None
        if status != 200:
            raise _refusal(status, body)
        return body


def _session() -> aiohttp.ClientSession:
    timeout = aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS)
    return aiohttp.ClientSession(timeout=timeout, read_bufsize=_BUFFER, middlewares=(pass_trace_on,))


def _silence(error: BaseException) -> IexecError:
    reason = str(error) or type(error).__name__
    return IexecError("SCHEDULER_UNREACHABLE", f"the pool's scheduler does not answer: {reason}")


def _refusal(status: int, body: bytes) -> IexecError:
    """What the scheduler says, as an error of ours."""
    answer = Answer(status, read_json(body))
    what = answer.reason or f"it answers with {status}"
    if answer.code is not None:
        return IexecError(answer.code, what)
    return IexecError("SCHEDULER_UNREACHABLE", f"the pool's scheduler refuses: {what}", retry=False)


def _decode(body: bytes, kind: Any) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise IexecError("SCHEDULER_UNREACHABLE", f"what answers is not a scheduler: {error}", retry=False) from None
