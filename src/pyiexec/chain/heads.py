"""New blocks as they are mined, pushed by the node over one WebSocket for the whole process.

Where the node has no WebSocket the newest block is asked for over HTTP, once a second. Nothing else is requested: what
a block holds is for those whom its bloom filter concerns.

Source: Ethereum JSON-RPC ``eth_subscribe("newHeads")``; yellow paper 4.3.1 (logs bloom: 3 of 2048 bits for each address
and topic).
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import anyio
import anyio.abc
import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidMessage, WebSocketException

from pyiexec.chain.rpc import JsonRpc
from pyiexec.chain.running import Running
from pyiexec.foundation.clock import Clock, SystemClock
from pyiexec.foundation.logs import get_logger
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import keccak256, to_bytes

log = get_logger(__name__)

#: Seconds between two looks at a node that cannot push.
POLL_SECONDS = 1.0
#: Heads a slow reader may fall behind before the oldest are dropped; readers notice by the parent hash.
BACKLOG = 1024
#: Seconds before the first and the last of a row of attempts to reconnect.
RECONNECT_FIRST, RECONNECT_LAST = 0.05, 2.0
#: The node's answer is awaited for so many seconds, its goodbye for fewer.
ANSWER_SECONDS, CLOSE_SECONDS = 10.0, 1.0


class Head(msgspec.Struct, frozen=True):
    """The header of a block, as far as anybody here needs it.

    Attributes:
        timestamp: chain time in seconds.
        logs_bloom: 2048 bits as an integer; all bits set when the node does not tell.
        base_fee: wei per gas; 0 before London.
    """

    number: int
    hash: str
    parent_hash: str
    timestamp: int
    logs_bloom: int
    base_fee: int

    @classmethod
    def from_json(cls, header: Mapping[str, Any]) -> Head:
        """From a JSON-RPC block or header."""
        bloom = header.get("logsBloom")
        return cls(
            number=int(header["number"], 16),
            hash=header["hash"],
            parent_hash=header["parentHash"],
            timestamp=int(header["timestamp"], 16),
            logs_bloom=int(bloom, 16) if bloom else (1 << 2048) - 1,
            base_fee=int(header.get("baseFeePerGas") or "0x0", 16),
        )


@lru_cache(maxsize=8192)
def bloom_bits(item: str) -> int:
    """The bits that `item`, an address or topic in hexadecimal, sets in a bloom filter."""
    digest = keccak256(to_bytes(item.lower()))
    bits = 0
    for pair in (0, 2, 4):
        bits |= 1 << (int.from_bytes(digest[pair : pair + 2]) & 2047)
    return bits


def may_hold(bloom: int, item: str) -> bool:
    """Whether the filter allows for a log with this address or topic; it errs towards yes, never towards no."""
    bits = bloom_bits(item)
    return bloom & bits == bits


def websocket_url(url: str) -> str:
    """The WebSocket twin of an HTTP endpoint: same host, port and path."""
    parts = urlsplit(url)
    scheme = {"http": "ws", "https": "wss"}.get(parts.scheme, parts.scheme)
    return urlunsplit(parts._replace(scheme=scheme))


def http_url(url: str) -> str:
    """The HTTP twin of a WebSocket endpoint."""
    parts = urlsplit(url)
    scheme = {"ws": "http", "wss": "https"}.get(parts.scheme, parts.scheme)
    return urlunsplit(parts._replace(scheme=scheme))


class Subscription:
    """The heads one reader has not taken yet; an asynchronous iterator that ends only by cancellation."""

    def __init__(self, newest: Head | None) -> None:
        self._heads: deque[Head] = deque([newest] if newest else [], maxlen=BACKLOG)
        self._arrived = anyio.Event()

    def put(self, head: Head) -> None:
        """Add a head; never waits."""
        self._heads.append(head)
        self._arrived.set()

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Head:
        await self._filled()
        return self._heads.popleft()

    async def take_all(self) -> list[Head]:
        """Wait until there is a head, and take all that are there, oldest first."""
        await self._filled()
        heads = list(self._heads)
        self._heads.clear()
        return heads

    async def newest(self) -> Head:
        """Wait until there is a head, and take the newest; older ones are dropped."""
        return (await self.take_all())[-1]

    async def _filled(self) -> None:
        while not self._heads:
            self._arrived = anyio.Event()
            await self._arrived.wait()


class HeadFeed(Running):
    """New heads of one chain, for any number of readers.

    Start it with ``await group.start(feed.run)``, or use it as an asynchronous context manager.

    Attributes:
        newest: the newest head seen, None before the first.
        running: whether `run` is under way.
        connected: whether the node answers at present.
    """

    def __init__(
        self,
        url: str,
        *,
        clock: Clock | None = None,
        jitter: Callable[[], float] = random.random,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._websocket_url = websocket_url(url)
        self._http_url = http_url(url)
        self._clock: Clock = clock or SystemClock()
        self._jitter = jitter
        self._poll_seconds = poll_seconds
        self._readers: set[Subscription] = set()
        self._heard_at = -math.inf
        self.newest: Head | None = None
        self.running = False
        self.connected = False

    @property
    def quiet_seconds(self) -> float:
        """For how long nothing was heard of the node; infinite before it was for the first time."""
        return self._clock.monotonic() - self._heard_at

    @asynccontextmanager
    async def subscribe(self) -> AsyncIterator[Subscription]:
        """A stream of heads that begins with the newest one known.

        After the connection was lost it goes on with the head that is newest then: readers that need every block see
        the gap, or the reorganisation, by number and parent hash.
        """
        reader = Subscription(self.newest)
        self._readers.add(reader)
        try:
            yield reader
        finally:
            self._readers.discard(reader)

    async def run(self, *, task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Follow the chain until cancelled; started means that a first attempt to connect was made."""
        pause = RECONNECT_FIRST
        started = _Once(task_status)
        self.running = True
        try:
            while True:
                before = self.newest
                try:
                    try:
                        await self._follow(started)
                    except (InvalidHandshake, InvalidMessage, _NoSubscriptionError) as refusal:
                        log.info("the node does not push heads, asking it instead", reason=str(refusal)[:200])
                        await self._poll(started)
                except (
                    OSError,
                    TimeoutError,
                    WebSocketException,
                    IexecError,
                    KeyError,
                    TypeError,
                    ValueError,
                ) as error:
                    # Of the last three, whoever answers does not speak as a node.
                    log.debug("no connection to the node", reason=str(error)[:200])
                self.connected = False
                started()
                if self.newest is not before:
                    pause = RECONNECT_FIRST
                await self._clock.sleep(pause * (0.5 + self._jitter()))
                pause = min(pause * 2, RECONNECT_LAST)
        finally:
            self.running = self.connected = False

    def _publish(self, head: Head) -> None:
        self.connected = True
        self._heard_at = self._clock.monotonic()
        if self.newest is not None and self.newest.hash == head.hash:
            return
        self.newest = head
        for reader in self._readers:
            reader.put(head)

    async def _follow(self, started: Callable[[], None]) -> None:
        # No limit on the frame: some chains put long extra data into headers. Compression only costs time here.
        socket = await connect(self._websocket_url, max_size=None, compression=None, open_timeout=ANSWER_SECONDS)
        try:
            early: list[Head] = []
            await self._ask(socket, 1, "eth_subscribe", ["newHeads"], early)
            block = await self._ask(socket, 2, "eth_getBlockByNumber", ["latest", False], early)
            if block:
                self._publish(Head.from_json(block))
            for head in early:
                if self.newest is None or head.number > self.newest.number:
                    self._publish(head)
            started()
            with suppress(ConnectionClosed):
                while True:
                    message = msgspec.json.decode(await socket.recv())
                    if message.get("method") == "eth_subscription":
                        self._publish(Head.from_json(message["params"]["result"]))
        finally:
            # Also when cancelled: a connection that nobody closes stays open until it is collected.
            with anyio.move_on_after(CLOSE_SECONDS, shield=True):
                await socket.close()

    @staticmethod
    async def _ask(socket: ClientConnection, number: int, method: str, params: Sequence[Any], early: list[Head]) -> Any:
        request = {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
        await socket.send(msgspec.json.encode(request).decode())
        with anyio.fail_after(ANSWER_SECONDS):
            while True:
                message = msgspec.json.decode(await socket.recv())
                if message.get("method") == "eth_subscription":
                    early.append(Head.from_json(message["params"]["result"]))
                elif message.get("id") == number:
                    if "error" in message:
                        raise _NoSubscriptionError(str(message["error"]))
                    return message["result"]

    async def _poll(self, started: Callable[[], None]) -> None:
        async with JsonRpc(self._http_url) as rpc:
            while True:
                block = await rpc.call("eth_getBlockByNumber", "latest", False)
                if block:
                    self._publish(Head.from_json(block))
                started()
                await self._clock.sleep(self._poll_seconds)


class _NoSubscriptionError(Exception):
    """The node speaks WebSocket but offers no subscription."""


class _Once:
    """Reports a task as started, once."""

    def __init__(self, status: anyio.abc.TaskStatus[None]) -> None:
        self._status: anyio.abc.TaskStatus[None] | None = status

    def __call__(self) -> None:
        if self._status is not None:
            self._status.started()
            self._status = None
