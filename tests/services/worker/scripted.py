"""A scheduler that does what a test tells it: a WebSocket server that speaks the channel, with faults on demand."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

from msgspec import UNSET, UnsetType
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from pyiexec.chain.anvil import free_port
from pyiexec.chain.signer import recover
from pyiexec.protocol.eip712 import ethereum_message_digest
from pyiexec.protocol.messages import (
    GREETING,
    GREETING_FORM,
    Ack,
    Capabilities,
    Challenge,
    Command,
    Envelope,
    Hello,
    Message,
    Offer,
    Output,
    Ping,
    Pong,
    Progress,
    Refused,
    Welcome,
    decode_message,
    encode_message,
    login_hash,
)
from pyiexec.protocol.primitives import Address, TaskId, bytes32, to_bytes
from pyiexec.protocol.replicates import ReplicateStatus
from pyiexec.protocol.versions import Speech

PATIENCE = 30.0


class ScriptedScheduler:
    """Serves one pool; its memory outlives its server, so that it can be stopped and started again."""

    def __init__(self, chain_id: int, workerpool: Address, heartbeat: float = 2.0) -> None:
        self.chain_id = chain_id
        self.workerpool = workerpool
        self.heartbeat = heartbeat
        self.port = free_port()
        self.outbox: dict[Address, list[Envelope]] = defaultdict(list)
        self.sent: dict[Address, int] = defaultdict(int)
        self.received: dict[Address, int] = defaultdict(int)
        self.reports: list[tuple[Address, Progress]] = []
        self.outputs: list[tuple[Address, Output]] = []
        self.acks: list[int] = []
        self.connections: dict[Address, ServerConnection] = {}
        self.logins: list[Hello] = []
        #: The same as they came.
        self.texts: list[str | bytes] = []
        self.offers: list[Capabilities] = []
        #: What it says that it speaks; a scheduler from before there was anything to negotiate says nothing.
        self.speech: Speech | UnsetType = UNSET
        self.refusal: Refused | None = None
        self.silent = False
        self.lose_reports = 0
        self.lose_commands: set[int] = set()
        self.repeat_commands = False
        self._changed = asyncio.Condition()
        self._server: Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        self._server = await serve(self._talk, "127.0.0.1", self.port, ping_interval=None, close_timeout=0.2)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    async def drop(self, worker: Address) -> None:
        """Cut the connection."""
        self.connections[worker].transport.abort()

    async def command(self, worker: Address, command: Command) -> int:
        """Number, keep and send a command."""
        self.sent[worker] += 1
        envelope = Envelope(seq=self.sent[worker], body=command)
        self.outbox[worker].append(envelope)
        if worker in self.connections:
            await self._transmit(worker, envelope)
        return envelope.seq

    async def until(self, condition: Callable[[], bool], timeout: float = PATIENCE) -> None:
        async with asyncio.timeout(timeout), self._changed:
            await self._changed.wait_for(condition)

    async def report(
        self, task: TaskId, status: ReplicateStatus, worker: Address | None = None, timeout: float = PATIENCE
    ) -> Progress:
        """The first report of a status, once it is here."""

        def found() -> list[Progress]:
            return [
                report
                for sender, report in self.reports
                if report.task_id == task and report.status is status and worker in (None, sender)
            ]

        def ended() -> bool:
            ends = {ReplicateStatus.FAILED, ReplicateStatus.ABORTED, ReplicateStatus.COMPLETED}
            return bool(ends & set(self.statuses(task, worker)))

        with suppress(TimeoutError):
            await self.until(lambda: bool(found()) or (ended() and worker is not None), timeout)
        if not found():
            told = [(str(sent.status), sent.message) for _, sent in self.reports if sent.task_id == task]
            raise AssertionError(f"{status} was not reported, only {told}")
        return found()[0]

    def statuses(self, task: TaskId, worker: Address | None = None) -> list[ReplicateStatus]:
        return [report.status for sender, report in self.reports if report.task_id == task and worker in (None, sender)]

    async def _transmit(self, worker: Address, envelope: Envelope) -> None:
        if envelope.seq in self.lose_commands:
            self.lose_commands.discard(envelope.seq)
            return
        for _ in range(2 if self.repeat_commands else 1):
            try:
                await self._say(self.connections[worker], envelope)
            except (ConnectionClosed, KeyError):
                return

    @staticmethod
    async def _say(socket: ServerConnection, message: Message) -> None:
        await socket.send(encode_message(message), text=True)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _talk(self, socket: ServerConnection) -> None:
        assert socket.request is not None
        assert socket.request.path == f"/v1/worker?{GREETING}={GREETING_FORM}"
        challenge = Challenge(
            nonce=bytes32(len(self.logins) + 1),
            chain_id=self.chain_id,
            workerpool=self.workerpool,
            speech=self.speech,
        )
        await self._say(socket, challenge)
        try:
            text = await socket.recv()
            hello = decode_message(text)
        except ConnectionClosed:
            return
        assert isinstance(hello, Hello)
        worker = hello.worker
        signer = recover(ethereum_message_digest(login_hash(challenge, worker)), to_bytes(hello.signature))
        assert signer == worker
        self.logins.append(hello)
        self.texts.append(text)
        await self._notify()
        if self.refusal is not None:
            await self._say(socket, self.refusal)
            return
        await self._say(socket, Welcome(received=self.received[worker], heartbeat_seconds=self.heartbeat))
        self.connections[worker] = socket
        for envelope in self.outbox[worker]:
            if envelope.seq > hello.received:
                await self._transmit(worker, envelope)
        try:
            await self._listen(worker, socket)
        except ConnectionClosed:
            pass
        finally:
            if self.connections.get(worker) is socket:
                del self.connections[worker]

    async def _listen(self, worker: Address, socket: ServerConnection) -> None:
        async for data in socket:
            match decode_message(data):
                case Envelope(seq=seq, body=body):
                    assert isinstance(body, Progress)
                    if self.lose_reports:
                        self.lose_reports -= 1
                        socket.transport.abort()
                        return
                    assert seq <= self.received[worker] + 1
                    if seq > self.received[worker]:
                        self.received[worker] = seq
                        self.reports.append((worker, body))
                    await self._say(socket, Ack(seq=self.received[worker]))
                case Ack(seq=seq):
                    self.acks.append(seq)
                    self.outbox[worker] = [kept for kept in self.outbox[worker] if kept.seq > seq]
                case Output() as output:
                    self.outputs.append((worker, output))
                case Offer(capabilities=capabilities):
                    self.offers.append(capabilities)
                case Ping() if not self.silent:
                    await self._say(socket, Pong())
            await self._notify()


@asynccontextmanager
async def scripted(scheduler: ScriptedScheduler) -> AsyncIterator[ScriptedScheduler]:
    await scheduler.start()
    try:
        yield scheduler
    finally:
        await scheduler.stop()
