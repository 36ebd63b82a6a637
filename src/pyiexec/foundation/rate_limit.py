"""How many requests a client may make: counted by the address it really comes from, refused with 429 beyond.

A client is an IPv4 address, or the 64-bit prefix of an IPv6 one: whoever has one address of such a network has all.
What a request says of its origin is believed only from proxies that the settings name; no header makes a client exempt.

Every client has a budget that refills evenly (the generic cell rate algorithm), kept in a table of fixed size: a crowd
of addresses costs no memory. The count is exact among the processes of one machine that share a file, and each machine
counts for itself.
"""

from __future__ import annotations

import fcntl
import hashlib
import ipaddress
import mmap
import os
import struct
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from pyiexec.foundation.clock import Clock
from pyiexec.foundation.health import PROBES
from pyiexec.protocol.errors import IexecError

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Any, Any, Any], Awaitable[None]]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Client = ipaddress.IPv4Address | ipaddress.IPv6Address

NANOSECONDS = 10**9
#: Proxies a request is followed back through at most.
MAX_HOPS = 32
_IPV6_PREFIX = 64
_EXPOSED = b"Retry-After, X-RateLimit-Limit, X-RateLimit-Remaining, X-RateLimit-Reset"


# --- the rule -----------------------------------------------------------------------------------------------------


class Limit(msgspec.Struct, frozen=True):
    """So many requests in so many seconds, evenly or at once."""

    requests: int
    seconds: float

    @property
    def interval(self) -> int:
        """Nanoseconds after which one request more is allowed."""
        return max(1, round(self.seconds * NANOSECONDS / self.requests))

    @property
    def whole(self) -> int:
        """Nanoseconds in which a budget that was used up is whole again."""
        return self.interval * self.requests


class Decision(NamedTuple):
    """What becomes of a request.

    Attributes:
        allowed: whether it is served.
        spent_until: when the client's budget will be whole again, in nanoseconds since the Unix epoch.
        remaining: requests it may make at once after this one.
        retry_after: nanoseconds until the next one is allowed; 0 when it is now.
    """

    allowed: bool
    spent_until: int
    remaining: int
    retry_after: int


def decide(spent_until: int, now: int, limit: Limit) -> Decision:
    """Whether a client may make a request at `now` whose budget would be whole at `spent_until`."""
    interval, whole = limit.interval, limit.whole
    # A clock that went back must not lock anybody out for longer than a whole budget takes.
    start = min(max(spent_until, now), now + whole)
    after = start + interval
    left = now + whole - after
    if left < 0:
        return Decision(False, start, 0, -left)
    return Decision(True, after, left // interval, 0)


# --- whose request it is ------------------------------------------------------------------------------------------


def read_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Networks written as ``10.0.0.0/8``, or single addresses.

    Raises:
        IexecError: ``BAD_SETTINGS``.
    """
    try:
        return tuple(ipaddress.ip_network(text) for text in texts)
    except ValueError as error:
        raise IexecError("BAD_SETTINGS", f"trusted_proxies: {error}") from None


def client_of(peer: str, forwarded: Sequence[str], real: str | None, trusted: Sequence[Network]) -> Client | None:
    """Who made a request: the nearest party that is not a trusted proxy.

    Args:
        peer: address of the other end of the socket.
        forwarded: values of ``X-Forwarded-For``, in their order; each proxy adds the address it was called from.
        real: ``X-Real-IP``, for proxies that send no other.
        trusted: networks of the proxies that are believed.

    Returns:
        None when the socket has no address.
    """
    client = _address(peer)
    if client is None or not _is_in(client, trusted):
        return client
    hops = [hop for value in forwarded for hop in value.split(",")] or ([real] if real is not None else [])
    for hop in reversed(hops[-MAX_HOPS:]):
        named = _address(hop.strip())
        if named is None:
            # A proxy forwards what it was sent: beyond something that is no address nothing can be believed.
            return client
        client = named
        if not _is_in(client, trusted):
            return client
    return client


def key_of(client: Client | None) -> bytes:
    """What budgets are kept by."""
    if client is None:
        return b""
    return client.packed if client.version == 4 else client.packed[: _IPV6_PREFIX // 8]


def _address(text: str) -> Client | None:
    # Some proxies add the port, IPv6 in brackets then.
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return address.ipv4_mapped or address if isinstance(address, ipaddress.IPv6Address) else address


#: Of whom a connection is from; each asks again and again. What headers name is not kept: anybody can write there.
_peer_address = lru_cache(maxsize=1024)(_address)


def _is_in(client: Client, networks: Sequence[Network]) -> bool:
    return any(client in network for network in networks)


# --- the table ----------------------------------------------------------------------------------------------------


class Budgets:
    """Budgets of clients, in a table of fixed size that processes may share.

    A client has its place among the eight of a bucket; when all are taken the one with most of its budget left makes
    room, so that nobody gets rid of a debt by coming from many addresses. Which bucket is decided by a secret.

    Args:
        path: file shared by the processes of this machine; None for a table of this process alone.
        entropy: random bytes, for the secret.
        buckets: size of the table.
    """

    _PLACES = 8
    _BUCKET = struct.Struct("<" + "QQ" * _PLACES)
    _PLACE = struct.Struct("<QQ")
    _SECRET_BYTES = 32

    def __init__(self, path: Path | None, entropy: Callable[[int], bytes], *, buckets: int = 8192) -> None:
        self._buckets = buckets
        size = self._SECRET_BYTES + buckets * self._BUCKET.size
        self._file: int | None = None
        if path is None:
            self._table = mmap.mmap(-1, size)
            self._secret = entropy(self._SECRET_BYTES)
            return
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.lockf(self._file, fcntl.LOCK_EX)
            if os.fstat(self._file).st_size != size:
                os.ftruncate(self._file, 0)
                os.ftruncate(self._file, size)
                os.pwrite(self._file, entropy(self._SECRET_BYTES), 0)
            self._table = mmap.mmap(self._file, size)
            fcntl.lockf(self._file, fcntl.LOCK_UN)
        except OSError as error:
            self.close()
            raise IexecError("BAD_SETTINGS", f"cannot use {path} for rate limits: {error.strerror}") from None
        self._secret = self._table[: self._SECRET_BYTES]

    def close(self) -> None:
        """Let go of the shared file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def spend(self, key: bytes, now: int, limit: Limit) -> Decision:
        """Take one request off a client's budget, if there is any left."""
        name = int.from_bytes(hashlib.blake2b(key, key=self._secret, digest_size=8).digest(), "little") | 1
        start = self._SECRET_BYTES + (name >> 1) % self._buckets * self._BUCKET.size
        if self._file is None:
            return self._spend(start, name, now, limit)
        # Held for microseconds; the kernel lets go of it for a process that is killed.
        fcntl.lockf(self._file, fcntl.LOCK_EX, self._BUCKET.size, start)
        try:
            return self._spend(start, name, now, limit)
        finally:
            fcntl.lockf(self._file, fcntl.LOCK_UN, self._BUCKET.size, start)

    def _spend(self, start: int, name: int, now: int, limit: Limit) -> Decision:
        bucket = self._BUCKET.unpack_from(self._table, start)
        names, times = bucket[::2], bucket[1::2]
        if name in names:
            place = names.index(name)
            spent_until = times[place]
        else:
            place = times.index(min(times))
            spent_until = 0
        decision = decide(spent_until, now, limit)
        if decision.allowed or decision.spent_until != spent_until:
            self._PLACE.pack_into(self._table, start + place * self._PLACE.size, name, decision.spent_until)
        return decision


# --- in front of a service ----------------------------------------------------------------------------------------


class RateLimit:
    """An ASGI application in front of another one: counts requests and handshakes, and refuses those over the limit.

    Answers carry ``X-RateLimit-Limit``, ``-Remaining`` and ``-Reset`` (seconds since the Unix epoch); refusals
    ``Retry-After`` (seconds) as well, and what browsers want in order to show them.

    Args:
        app: the service.
        limit: budget of each client.
        budgets: where they are kept.
        clock: the time.
        trusted: networks of the proxies that are believed.
        uncounted: requests that belong to one counted before.
    """

    def __init__(
        self,
        app: App,
        limit: Limit,
        budgets: Budgets,
        clock: Clock,
        *,
        trusted: Sequence[Network] = (),
        uncounted: Callable[[Scope], bool] = lambda _scope: False,
    ) -> None:
        self._app = app
        self._limit = limit
        self._budgets = budgets
        self._clock = clock
        self._trusted = trusted
        self._uncounted = uncounted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or have the service answer."""
        if scope["type"] not in ("http", "websocket") or scope["path"] in PROBES or self._uncounted(scope):
            await self._app(scope, receive, send)
            return
        now = int(self._clock.now() * NANOSECONDS)
        decision = self._budgets.spend(key_of(self._client(scope)), now, self._limit)
        headers = [
            (b"x-ratelimit-limit", b"%d" % self._limit.requests),
            (b"x-ratelimit-remaining", b"%d" % decision.remaining),
            (b"x-ratelimit-reset", b"%d" % _seconds(decision.spent_until)),
            (b"access-control-expose-headers", _EXPOSED),
        ]
        if not decision.allowed:
            await _refuse(scope, send, [*headers, (b"retry-after", b"%d" % _seconds(decision.retry_after))])
            return
        if scope["type"] == "websocket":
            await self._app(scope, receive, send)
            return

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *headers]
            await send(message)

        await self._app(scope, receive, send_counted)

    def _client(self, scope: Scope) -> Client | None:
        peer = (scope.get("client") or ("",))[0]
        if not self._trusted:
            return _peer_address(peer)
        forwarded = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
        real = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"x-real-ip"), None)
        return client_of(peer, forwarded, real, self._trusted)


def _seconds(nanoseconds: int) -> int:
    return -(-nanoseconds // NANOSECONDS)


async def _refuse(scope: Scope, send: Send, headers: list[tuple[bytes, bytes]]) -> None:
    kind = scope["type"]
    if kind == "websocket" and "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1013, "reason": "Rate limit exceeded"})
        return
    refusal = IexecError("RATE_LIMITED", "Rate limit exceeded")
    body = msgspec.json.encode(refusal.as_json())
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"access-control-allow-origin", b"*"),
        *headers,
    ]
    prefix = "websocket.http" if kind == "websocket" else "http"
    await send({"type": f"{prefix}.response.start", "status": refusal.http_status, "headers": headers})
    await send({"type": f"{prefix}.response.body", "body": body})
