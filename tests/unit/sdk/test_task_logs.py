"""Following logs from a scheduler that breaks off, repeats itself, and is not always one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from pyiexec.chain.anvil import MNEMONIC
from pyiexec.chain.mnemonic import derive
from pyiexec.chain.networks import NetworkProfile
from pyiexec.foundation.server_events import Event, read_events
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import NULL_ADDRESS, TaskId, bytes32, checksum
from pyiexec.sdk.connection import Connection
from pyiexec.sdk.task_logs import LogPiece, TaskLogs

pytestmark = pytest.mark.anyio

TASK = TaskId(bytes32(7))
CHAIN = 65535
REQUESTER = derive(MNEMONIC, 1)
WORKER = checksum("0x" + "ab" * 20)
CHALLENGE = {
    "domain": {"name": "iExec Core", "version": "1", "chainId": CHAIN},
    "message": {"challenge": "LdGNHKECBmetjRDbgNDg5qt54qaYx1UiJYKXNdABMj4="},
}
#: The JavaScript client's token for that challenge.
TOKEN = (
    "0xc9d6d02036f1c7367282e221b495f1d647a9c1576970f838c824dd811690993e_"
    "0xa44b836d854794661b8872ff28f9e8d02fbc56bfb6cfc7a2b464ded9ca68e1027"
    f"ce5c1b7b6ee5f5bcfe377fad0d430278c02a648215ef2a1c8a4b6f2ee0e754f1c_{REQUESTER.address}"
)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class Hurried:
    """A clock on which pauses take no time; they are noted."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    def now(self) -> float:
        return 0.0

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)


def log(text: str, offset: int, place: str, stream: str = "stdout") -> str:
    line = {"chainTaskId": TASK, "walletAddress": WORKER, "stream": stream, "offset": offset, "text": text}
    return f"id: {place}\nevent: log\ndata: {json.dumps(line)}\n\n"


END = 'event: end\ndata: {"phase":"FAILED"}\n\n'


class Scheduler:
    """Serves what it is given, one stream after the other."""

    def __init__(self, *streams: str | int) -> None:
        self.streams = list(streams)
        self.challenge: Any = CHALLENGE
        self.logs: tuple[int, Any] = (200, {"computeLogsList": []})
        self.tokens: list[str | None] = []
        self.places: list[str | None] = []
        self.url = ""

    async def on_challenge(self, request: web.Request) -> web.Response:
        assert dict(request.query) == {"address": REQUESTER.address, "chainId": str(CHAIN)}
        return web.json_response(self.challenge)

    async def on_logs(self, request: web.Request) -> web.Response:
        self.tokens.append(request.headers.get("Authorization"))
        status, body = self.logs
        return web.json_response(body, status=status)

    async def on_stream(self, request: web.Request) -> web.StreamResponse:
        self.tokens.append(request.headers.get("Authorization"))
        self.places.append(request.headers.get("Last-Event-ID"))
        served = self.streams.pop(0) if self.streams else 500
        if isinstance(served, int):
            return web.json_response({"code": "LISTENERS_TOO_MANY", "error": "full"}, status=served)
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        await response.write(served.encode())
        if END not in served:
            # As of a scheduler that is killed.
            assert request.transport is not None
            request.transport.abort()
        return response


@asynccontextmanager
async def following(scheduler: Scheduler) -> AsyncIterator[tuple[TaskLogs, Hurried]]:
    app = web.Application()
    app.router.add_get("/tasks/logs/challenge", scheduler.on_challenge)
    app.router.add_get(f"/tasks/{TASK}/logs", scheduler.on_logs)
    app.router.add_get(f"/tasks/{TASK}/logs/stream", scheduler.on_stream)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        nowhere = "http://127.0.0.1:9"
        profile = NetworkProfile(
            name="x", chain_id=CHAIN, rpc_url=nowhere, hub=NULL_ADDRESS, market_url=nowhere, gateway_url=nowhere
        )
        clock = Hurried()
        yield TaskLogs(Connection(profile, REQUESTER, clock=clock), site.name, TASK), clock
    finally:
        await runner.cleanup()


async def told(scheduler: Scheduler) -> list[LogPiece]:
    async with following(scheduler) as (logs, _):
        return [piece async for piece in logs.follow()]


async def test_a_stream_is_followed_to_its_end() -> None:
    scheduler = Scheduler(log("one\n", 0, "4.0") + ": quiet\n\n" + log("oh", 0, "4.2", "stderr") + END)
    assert await told(scheduler) == [LogPiece(WORKER, "stdout", 0, "one\n"), LogPiece(WORKER, "stderr", 0, "oh")]
    assert scheduler.tokens == [TOKEN]
    assert scheduler.places == [None]


async def test_a_broken_stream_is_taken_up_where_it_broke_and_nothing_is_told_twice() -> None:
    scheduler = Scheduler(
        log("one\n", 0, "4.0") + "id: 9.9\nevent: log\ndata: {cut off",
        503,
        log("one\ntwo\n", 0, "8.0") + log("two\n", 4, "8.0"),
        log("end", 20, "23.0") + END,
    )
    pieces = await told(scheduler)
    assert [(piece.offset, piece.text) for piece in pieces] == [(0, "one\n"), (4, "two\n"), (20, "end")]
    assert scheduler.places == [None, "4.0", "4.0", "8.0"]
    # Tokens may expire: every attempt has a fresh one.
    assert scheduler.tokens == [TOKEN] * 4


async def test_a_scheduler_that_stays_away_is_given_up_after_a_while() -> None:
    async with following(Scheduler()) as (logs, clock):
        with pytest.raises(IexecError) as refusal:
            [piece async for piece in logs.follow()]
    assert refusal.value.code == "LISTENERS_TOO_MANY"
    assert 20 < sum(clock.pauses) < 60


@pytest.mark.parametrize("code", ["LOG_ACCESS_REFUSED", "LOG_TOKEN_INVALID", "TASK_UNKNOWN", "LOGS_UNKNOWN"])
async def test_refusals_are_told_as_they_are(code: str) -> None:
    scheduler = Scheduler()
    scheduler.logs = (403, {"code": code, "error": "no"})
    async with following(scheduler) as (logs, _):
        with pytest.raises(IexecError) as refusal:
            await logs.read()
    assert (refusal.value.code, refusal.value.what) == (code, "no")


@pytest.mark.parametrize(
    "challenge",
    [
        CHALLENGE | {"domain": {"name": "iExecODB", "version": "5.0.0", "chainId": CHAIN}},
        CHALLENGE | {"domain": {"name": "iExec Gateway", "version": "1", "chainId": CHAIN}},
        CHALLENGE | {"domain": {"name": "iExec Core", "version": "1", "chainId": 1}},
        CHALLENGE | {"domain": CHALLENGE["domain"] | {"verifyingContract": WORKER}},
        {"message": {"challenge": "x"}},
        [],
    ],
)
async def test_nothing_but_a_challenge_of_this_chain_s_scheduler_is_signed(challenge: Any) -> None:
    scheduler = Scheduler()
    scheduler.challenge = challenge
    async with following(scheduler) as (logs, _):
        for ask in (logs.read, lambda: anext(logs.follow())):
            asked: Callable[[], Awaitable[Any]] = ask  # type: ignore[assignment]
            with pytest.raises(IexecError) as refusal:
                await asked()
            assert not refusal.value.retry
    assert scheduler.tokens == []


async def lines(content: bytes) -> AsyncIterator[bytes]:
    for line in content.splitlines(keepends=True):
        yield line


async def test_events_are_read_as_the_standard_says() -> None:
    content = (
        b":c\n\nid: 1\ndata: a\ndata:b\r\n\r\nevent: x\ndata\n\nevent: forgotten\n\ndata: \xff\nid: 2\n\ndata: cut"
    )
    assert [event async for event in read_events(lines(content))] == [
        Event("message", b"a\nb", "1"),
        Event("x", b"", "1"),
        Event("message", b"\xff", "2"),
    ]


@given(st.binary(max_size=200))
def test_no_stream_breaks_the_reader(content: bytes) -> None:
    async def read() -> list[Event]:
        return [event async for event in read_events(lines(content))]

    assert all(isinstance(event, Event) for event in asyncio.run(read()))
