"""Workers that speak the real protocol over real connections, and only act as if they ran anything."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from websockets.asyncio.client import ClientConnection, connect

from pyiexec.chain.signer import Signer
from pyiexec.protocol.messages import (
    Ack,
    Capabilities,
    Challenge,
    Command,
    Envelope,
    Hello,
    Ping,
    Pong,
    Progress,
    Welcome,
    decode_message,
    encode_message,
    login_hash,
)
from pyiexec.protocol.primitives import to_hex

#: Called with a worker and what it was told; must not wait.
OnCommand = Callable[["SimulatedWorker", Command], None]


class SimulatedWorker:
    """One connection of one worker; commands are acknowledged as they come.

    Attributes:
        welcome: what it was let in with, once it was.
    """

    def __init__(self, signer: Signer, on_command: OnCommand, *, slots: int = 1) -> None:
        self.signer = signer
        self.address = signer.address
        self.welcome: Welcome | None = None
        self._on_command = on_command
        self._slots = slots
        self._socket: ClientConnection | None = None
        self._sent = 0

    async def run(self, url: str, let_in: Callable[[], None]) -> None:
        """Log in, tell so, and stay until cancelled; a connection that is lost ends the benchmark."""
        address = url.replace("http", "ws", 1) + "/v1/worker"
        async with connect(address, proxy=None, compression=None, ping_interval=None, open_timeout=60) as socket:
            challenge = decode_message(await socket.recv())
            assert isinstance(challenge, Challenge), "a scheduler begins with a challenge"
            signature = to_hex(self.signer.sign_message_hash(login_hash(challenge, self.address)))
            capabilities = Capabilities(slots=self._slots, runtimes=["wasm"])
            hello = Hello(worker=self.address, signature=signature, capabilities=capabilities, received=0)
            await socket.send(encode_message(hello), text=True)
            answer = decode_message(await socket.recv())
            if not isinstance(answer, Welcome):
                raise SystemExit(f"a worker was not let in: {answer}")
            self.welcome, self._socket = answer, socket
            let_in()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._beat(socket, answer.heartbeat_seconds))
                async for data in socket:
                    await self._hear(socket, data)
                raise SystemExit("a worker lost its connection")

    async def _hear(self, socket: ClientConnection, data: str | bytes) -> None:
        match decode_message(data):
            case Envelope(seq=seq, body=body):
                assert not isinstance(body, Progress), "workers are told commands"
                self._on_command(self, body)
                await socket.send(encode_message(Ack(seq=seq)), text=True)
            case Ping():
                await socket.send(encode_message(Pong()), text=True)

    async def _beat(self, socket: ClientConnection, seconds: float) -> None:
        while True:
            await asyncio.sleep(seconds)
            await socket.send(encode_message(Ping()), text=True)

    async def report(self, progress: Progress) -> None:
        """Tell the scheduler."""
        assert self._socket is not None, "it was let in"
        self._sent += 1
        await self._socket.send(encode_message(Envelope(seq=self._sent, body=progress)), text=True)
