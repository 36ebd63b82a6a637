"""Workers that speak the real protocol over real sockets and vote on a real chain, as a test tells them to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress
from hashlib import sha256
from typing import Any

import anyio
import anyio.abc
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidMessage

from pyiexec.chain import calls
from pyiexec.chain.hub import Hub
from pyiexec.chain.rpc import JsonRpc
from pyiexec.chain.sending import Call, send_all
from pyiexec.chain.signer import Signer
from pyiexec.protocol import ids
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.messages import (
    Abort,
    Ack,
    Assign,
    Capabilities,
    Challenge,
    Command,
    Complete,
    Envelope,
    Hello,
    Output,
    Ping,
    Progress,
    Refused,
    Reveal,
    Upload,
    Welcome,
    decode_message,
    encode_message,
    login_hash,
)
from pyiexec.protocol.primitives import Address, ResultDigest, TaskId, bytes32, keccak256, to_bytes, to_hex
from pyiexec.protocol.printed import Excerpt
from pyiexec.protocol.replicates import ReplicateStatus
from pyiexec.protocol.results import ResultLink, format_link, pack
from pyiexec.storage.client import ContentClient

S = ReplicateStatus


def archive(answer: bytes) -> bytes:
    return pack({"computed.json": b'{"deterministic-output-path": "/iexec_out/result.txt"}', "result.txt": answer})


def digest_of(answer: bytes) -> ResultDigest:
    return ResultDigest(bytes32(sha256(answer).digest()))


def callback_archive(data: bytes) -> bytes:
    return pack({"computed.json": b'{"callback-data": "%s"}' % to_hex(data).encode()})


class ScriptedWorker:
    """A worker whose every step a test may replace by assigning to `on_assign`, `on_reveal`, `on_upload`."""

    def __init__(
        self,
        signer: Signer,
        *,
        rpc: JsonRpc,
        hub: Address,
        content: ContentClient,
        answer: bytes = b"right",
        slots: int = 1,
    ) -> None:
        self.signer = signer
        self.address = signer.address
        self.rpc = rpc
        self.hub = hub
        self.content = content
        self.answer = answer
        self.slots = slots
        #: What it says of its machine.
        self.lends: dict[str, Any] = {}
        #: Whether the answer is meant for the deal's callback.
        self.callback = False
        self.received = 0
        self.sent: list[Progress] = []
        self.acknowledged = 0
        self.commands: list[Command] = []
        self.changed = anyio.Event()
        self.welcome: Welcome | None = None
        self.refused: Refused | None = None
        self.beats = True
        self.on_assign: Callable[[Assign], Awaitable[None]] = self.vote
        self.on_reveal: Callable[[Reveal], Awaitable[None]] = self.reveal
        self.on_upload: Callable[[Upload], Awaitable[None]] = self.upload
        self._socket: ClientConnection | None = None
        self._scope: anyio.CancelScope | None = None
        self._work: anyio.abc.TaskGroup
        self._chain = anyio.Lock()

    # --- connection -----------------------------------------------------------------------------------------------

    async def run(self, url: str, *, answer_commands: bool = True) -> None:
        """Stay connected until cancelled or `stop`ped, whatever the scheduler does.

        Without `answer_commands` commands are heard and neither noted nor acknowledged.
        """
        async with anyio.create_task_group() as self._work:
            self._scope = self._work.cancel_scope
            while True:
                try:
                    async with connect(url.replace("http", "ws", 1) + "/v1/worker", proxy=None) as socket:
                        if not await self._log_in(socket):
                            self.stop()
                        await self._converse(socket, answer_commands)
                except (OSError, ConnectionClosed, InvalidMessage, TimeoutError):
                    pass
                finally:
                    self._socket = None
                await anyio.sleep(0.05)

    def stop(self) -> None:
        """Vanish."""
        assert self._scope is not None
        self._scope.cancel()

    async def _log_in(self, socket: ClientConnection) -> bool:
        challenge = decode_message(await socket.recv())
        assert isinstance(challenge, Challenge)
        signature = to_hex(self.signer.sign_message_hash(login_hash(challenge, self.address)))
        await socket.send(encode_message(self.hello(signature)), text=True)
        answer = decode_message(await socket.recv())
        if isinstance(answer, Refused):
            self.refused = answer
            self._notify()
            return False
        assert isinstance(answer, Welcome)
        self.welcome, self._socket = answer, socket
        self._notify()
        for seq in range(answer.received + 1, len(self.sent) + 1):
            await socket.send(encode_message(Envelope(seq=seq, body=self.sent[seq - 1])), text=True)
        return True

    def hello(self, signature: str) -> Hello:
        capabilities = Capabilities(**{"slots": self.slots, "runtimes": ["wasm"]} | self.lends)
        return Hello(worker=self.address, signature=signature, capabilities=capabilities, received=self.received)

    async def _converse(self, socket: ClientConnection, answer_commands: bool) -> None:
        async with anyio.create_task_group() as group:

            async def beat() -> None:
                while True:
                    assert self.welcome is not None
                    await anyio.sleep(self.welcome.heartbeat_seconds)
                    if self.beats:
                        with suppress(ConnectionClosed):
                            await socket.send(encode_message(Ping()), text=True)

            group.start_soon(beat)
            while True:
                try:
                    data = await socket.recv()
                except ConnectionClosed:
                    break
                match decode_message(data):
                    case Ack(seq=seq):
                        self.acknowledged = max(self.acknowledged, seq)
                    case Envelope(seq=seq, body=body):
                        if seq <= self.received:
                            continue
                        assert not isinstance(body, Progress)
                        self.commands.append(body)
                        if answer_commands:
                            self.received = seq
                            await socket.send(encode_message(Ack(seq=seq)), text=True)
                            # What was acknowledged goes on without the connection.
                            self._work.start_soon(self._answer, body)
                self._notify()
            group.cancel_scope.cancel()

    async def _answer(self, command: Command) -> None:
        match command:
            case Assign():
                await self.on_assign(command)
            case Reveal():
                await self.on_reveal(command)
            case Upload():
                await self.on_upload(command)
            case Complete(task_id=task_id):
                await self.report(task_id, S.COMPLETED)
            case Abort(task_id=task_id):
                await self.report(task_id, S.ABORTED, cause="TASK_ABORTED")

    def _notify(self) -> None:
        self.changed.set()
        self.changed = anyio.Event()

    async def until(self, condition: Callable[[], bool], seconds: float = 20) -> None:
        with anyio.fail_after(seconds):
            while not condition():
                await self.changed.wait()

    async def command(self, kind: type, seconds: float = 20) -> Command:
        """The first command of this kind, awaited."""
        await self.until(lambda: any(isinstance(command, kind) for command in self.commands), seconds)
        return next(command for command in self.commands if isinstance(command, kind))

    async def report(self, task_id: TaskId, status: ReplicateStatus, **fields: object) -> None:
        self.sent.append(Progress(task_id=task_id, status=status, **fields))  # type: ignore[arg-type]
        if self._socket is not None:
            with suppress(ConnectionClosed):
                await self._socket.send(encode_message(Envelope(seq=len(self.sent), body=self.sent[-1])), text=True)

    async def print_out(
        self, task_id: TaskId, stdout: str = "", stderr: str = "", at: tuple[int, int] = (0, 0)
    ) -> None:
        """Send what an application prints, from these positions of its streams on."""
        assert self._socket is not None
        output = Output(task_id=task_id, stdout=Excerpt(stdout, at[0]), stderr=Excerpt(stderr, at[1]))
        await self._socket.send(encode_message(output), text=True)

    # --- honest work ----------------------------------------------------------------------------------------------

    async def transact(self, data: bytes) -> bool:
        """Send to the hub; whether it succeeded."""
        async with self._chain:
            try:
                await send_all(self.rpc, self.signer, [Call(self.hub, data, 2_000_000)])
            except IexecError as error:
                if error.code != "TRANSACTION_REVERTED":
                    raise
                return False
        return True

    async def wait_active(self, task_id: TaskId) -> None:
        with anyio.fail_after(10):
            while (await Hub(self.rpc, self.hub).task(task_id)).status == 0:  # noqa: ASYNC110 - nothing tells it
                await anyio.sleep(0.01)

    async def compute(self, task_id: TaskId) -> None:
        for status in (S.STARTED, S.APP_DOWNLOADED, S.DATA_DOWNLOADED, S.COMPUTED):
            await self.report(task_id, status)

    async def vote(self, assign: Assign) -> None:
        task_id = assign.task_id
        await self.compute(task_id)
        await self.wait_active(task_id)
        digest, signature = self.digest, to_bytes(assign.authorization.signature)
        if assign.mode == "contribute_and_finalize":
            location = await self.store()
            link = format_link(ResultLink("ipfs", location))
            done = await self.transact(calls.contribute_and_finalize(task_id, digest, link, signature))
            status = S.CONTRIBUTE_AND_FINALIZE_DONE
        else:
            seal = ids.result_seal(self.address, task_id, digest)
            done = await self.transact(calls.contribute(task_id, ids.result_hash(task_id, digest), seal, signature))
            status = S.CONTRIBUTED
        if done:
            await self.report(task_id, status)
        else:
            await self.report(task_id, S.FAILED, cause="CONSENSUS_REACHED")

    async def reveal(self, reveal: Reveal) -> None:
        assert await self.transact(calls.reveal(reveal.task_id, self.digest))
        await self.report(reveal.task_id, S.REVEALED)

    async def upload(self, upload: Upload) -> None:
        await self.report(upload.task_id, S.RESULT_UPLOADED, location=await self.store())

    @property
    def digest(self) -> ResultDigest:
        return ResultDigest(bytes32(keccak256(self.answer))) if self.callback else digest_of(self.answer)

    async def store(self, answer: bytes | None = None) -> str:
        packed = (callback_archive if self.callback else archive)(self.answer if answer is None else answer)
        for _ in range(3):
            # The store may close a connection that was idle for long just as it is used again.
            with suppress(IexecError):
                return f"/ipfs/{await self.content.add(packed)}"
        raise AssertionError("the store does not take the result")
