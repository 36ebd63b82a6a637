"""Announcements between the processes that have one SQLite file open.

Each process that listens has a Unix datagram socket in a folder beside the file. Who commits sends what it announced to
every socket there. A neighbour that does not take its datagrams in time is told afterwards that it missed some.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec

#: Datagrams kept for a neighbour whose socket is full.
BACKLOG = 1_000
_LARGEST = 1 << 16
_MISSED = msgspec.json.encode((None, ""))


class Neighbours:
    """The other processes on a database file.

    Args:
        folder: of the sockets; made when somebody listens.
        hear: called in the event loop with channel and payload; a channel of None says that some were missed.
        entropy: random bytes, of which the name of its own socket is made.
    """

    def __init__(
        self,
        folder: Path,
        hear: Callable[[str | None, str], None],
        entropy: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._folder = folder
        self._hear = hear
        self._entropy = entropy
        self._name = ""
        self._socket: socket.socket | None = None
        self._peers: dict[str, _Peer] = {}
        self._loop = asyncio.get_running_loop()

    def join(self) -> None:
        """Listen, from now on until the end."""
        if self._socket is not None:
            return
        self._folder.mkdir(mode=0o700, exist_ok=True)
        self._socket = _datagram_socket()
        self._name = self._entropy(8).hex()
        with _short(self._folder / self._name) as path:
            self._socket.bind(path)
        self._loop.add_reader(self._socket, self._receive)

    def tell(self, announced: Iterable[tuple[str, str]]) -> None:
        """Send announcements to all who listen."""
        datagrams = [msgspec.json.encode(entry) for entry in announced]
        try:
            names = set(os.listdir(self._folder)) - {self._name}
        except FileNotFoundError:
            return
        for name in self._peers.keys() - names:
            self._peers.pop(name).close()
        for name in names:
            try:
                if name not in self._peers:
                    self._peers[name] = _Peer(self._folder / name, self._loop)
                self._peers[name].send(datagrams)
            except OSError:
                # Nobody reads this socket any more: its process was killed.
                self._forget(name)

    def close(self) -> None:
        """Stop listening."""
        for name in list(self._peers):
            self._peers.pop(name).close()
        if self._socket is not None:
            self._loop.remove_reader(self._socket)
            self._socket.close()
            self._socket = None
            (self._folder / self._name).unlink(missing_ok=True)

    def _forget(self, name: str) -> None:
        if name in self._peers:
            self._peers.pop(name).close()
        (self._folder / name).unlink(missing_ok=True)

    def _receive(self) -> None:
        assert self._socket is not None
        # Nothing more has come.
        with contextlib.suppress(BlockingIOError):
            while True:
                channel, payload = msgspec.json.decode(self._socket.recv(_LARGEST), type=tuple[str | None, str])
                self._hear(channel, payload)


class _Peer:
    """One neighbour's socket, and what it has no room for."""

    def __init__(self, path: Path, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[bytes] = deque()
        self._socket = _datagram_socket()
        try:
            with _short(path) as short:
                self._socket.connect(short)
        except OSError:
            self._socket.close()
            raise

    def send(self, datagrams: list[bytes]) -> None:
        was_waiting = bool(self._waiting)
        self._waiting.extend(datagrams)
        if len(self._waiting) > BACKLOG:
            self._waiting.clear()
            self._waiting.append(_MISSED)
        if not was_waiting and not self._flush():
            self._loop.add_writer(self._socket, self._go_on)

    def close(self) -> None:
        self._loop.remove_writer(self._socket)
        self._socket.close()

    def _flush(self) -> bool:
        """Send what there is room for; whether that was all."""
        while self._waiting:
            try:
                self._socket.send(self._waiting[0])
            except BlockingIOError:
                return False
            self._waiting.popleft()
        return True

    def _go_on(self) -> None:
        try:
            if not self._flush():
                return
        except OSError:
            # It is gone; the next announcement finds that out as well and clears up.
            self._waiting.clear()
        self._loop.remove_writer(self._socket)


def _datagram_socket() -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    made.setblocking(False)
    return made


@contextlib.contextmanager
def _short(path: Path) -> Iterator[str]:
    """A name for a socket that fits into the 108 bytes of its address, however deep the folder is."""
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
