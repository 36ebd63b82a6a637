"""The worker's end of its conversation with the scheduler: one WebSocket, opened from here, for as long as it runs.

Commands are acknowledged once their effect is durable, reports are sent again after every reconnection until they are
acknowledged, and what arrives twice is dropped. A number missed within a connection ends it: the next one begins by
asking for what is missing. Silence of several heartbeats counts as a broken connection.

What the worker offers is said at login. When it changes, a scheduler that takes an `Offer` is sent one, any other is
told by a new login.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence

import anyio
import websockets
from msgspec import UNSET
from websockets.asyncio.client import ClientConnection, connect

from pyiexec.chain.signer import Signer
from pyiexec.foundation.clock import Clock
from pyiexec.foundation.logs import get_logger
from pyiexec.protocol.errors import CATALOGUE, IexecError
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
    Ping,
    Pong,
    Progress,
    Refused,
    Welcome,
    decode_message,
    encode_message,
    login_hash,
)
from pyiexec.protocol.primitives import Address, to_hex
from pyiexec.protocol.versions import OFFERS, SPEECH, Dialect, agree
from pyiexec.worker.journal import Journal
from pyiexec.worker.printouts import Printouts

log = get_logger(__name__)

#: Largest message accepted, bytes.
MAX_MESSAGE = 1 << 20
#: Heartbeats without a word after which the connection counts as broken.
SILENT_HEARTBEATS = 3
#: Seconds the scheduler has to let the worker in.
LOGIN_TIMEOUT = 10.0
FIRST_PAUSE = 0.05
LONGEST_PAUSE = 5.0

#: Carries out commands: called with those that arrived together, returns when all their effects are durable.
Handler = Callable[[Sequence[tuple[int, Command]]], Awaitable[None]]


def channel_url(scheduler_url: str) -> str:
    """Where the scheduler at an HTTP origin talks to workers."""
    return scheduler_url.rstrip("/").replace("http", "ws", 1) + f"/v1/worker?{GREETING}={GREETING_FORM}"


class Channel:
    """The conversation of one worker with one scheduler.

    Attributes:
        connected: set while the scheduler has let the worker in.
    """

    def __init__(
        self,
        scheduler_url: str,
        *,
        signer: Signer,
        chain_id: int,
        workerpool: Address,
        journal: Journal,
        printouts: Printouts,
        capabilities: Callable[[], Awaitable[Capabilities]],
        clock: Clock,
        randomness: random.Random,
    ) -> None:
        self._url = channel_url(scheduler_url)
        self._signer = signer
        self._chain_id = chain_id
        self._workerpool = workerpool
        self._journal = journal
        self._printouts = printouts
        self._capabilities = capabilities
        self._clock = clock
        self._random = randomness
        self._reports_waiting = asyncio.Event()
        self._offer_changed = asyncio.Event()
        self._gap_at: int | None = None
        self.connected = asyncio.Event()

    def push(self) -> None:
        """There are new durable reports."""
        self._reports_waiting.set()

    def offer_anew(self) -> None:
        """What this worker offers has changed: the scheduler is to be told."""
        self._offer_changed.set()

    async def run(self, handle: Handler) -> None:
        """Stay connected and carry the conversation until cancelled."""
        failures = 0
        while True:
            # What is offered from now on is what the next login says.
            self._offer_changed.clear()
            try:
                async with connect(
                    self._url,
                    max_size=MAX_MESSAGE,
                    ping_interval=None,
                    compression=None,
                    open_timeout=LOGIN_TIMEOUT,
                    close_timeout=1,
                    proxy=None,
                ) as socket:
                    welcome, dialect = await self._log_in(socket)
                    failures = 0
                    await self._converse(socket, welcome, dialect, handle)
                    reason = "closed"
                if self._offer_changed.is_set():
                    continue
            except (OSError, TimeoutError, websockets.WebSocketException) as error:
                reason = str(error) or type(error).__name__
            except IexecError as error:
                reason = str(error)
            finally:
                self.connected.clear()
            failures += 1
            # Full jitter keeps workers from returning all at once after a restart of the scheduler.
            pause = self._random.uniform(FIRST_PAUSE / 2, min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(failures, 16)))
            report = log.debug if failures < 3 else log.warning
            report("no connection to the scheduler", url=self._url, reason=reason, again_in=round(pause, 3))
            await self._clock.sleep(pause)

    async def _log_in(self, socket: ClientConnection) -> tuple[Welcome, Dialect]:
        """Let the scheduler know who this is."""
        async with asyncio.timeout(LOGIN_TIMEOUT):
            challenge = decode_message(await socket.recv())
            if not isinstance(challenge, Challenge):
                raise IexecError("BAD_MESSAGE", f"a scheduler begins with Challenge, not {type(challenge).__name__}")
            dialect = agree(challenge.spoken, SPEECH)
            theirs, ours = (challenge.chain_id, challenge.workerpool), (self._chain_id, self._workerpool)
            if theirs != ours:
                raise IexecError(
                    "WRONG_WORKERPOOL",
                    f"the scheduler serves {theirs[1]} on chain {theirs[0]}, this worker {ours[1]} on chain {ours[0]}",
                )
            worker = self._signer.address
            hello = Hello(
                worker=worker,
                signature=to_hex(self._signer.sign_message_hash(login_hash(challenge, worker))),
                capabilities=await self._capabilities(),
                received=self._journal.received,
                # A scheduler that says nothing of the kind would not know the field.
                speech=UNSET if challenge.speech is UNSET else SPEECH,
            )
            await _send(socket, hello)
            answer = decode_message(await socket.recv())
        if isinstance(answer, Refused):
            code = answer.code if answer.code in CATALOGUE else "CHANNEL_REFUSED"
            raise IexecError(code, f"the scheduler refused this worker: {answer.message}")
        if not isinstance(answer, Welcome):
            raise IexecError("BAD_MESSAGE", "the scheduler answered neither Welcome nor Refused")
        await self._journal.resume_after(answer.received)
        return answer, dialect

    async def _converse(self, socket: ClientConnection, welcome: Welcome, dialect: Dialect, handle: Handler) -> None:
        """Send and receive until the connection ends."""
        commands: asyncio.Queue[tuple[int, Command]] = asyncio.Queue()
        heard = self._clock.monotonic()
        done = self._journal.received
        self.connected.set()

        async def receive() -> None:
            nonlocal heard
            expected, first = done + 1, True
            async for data in socket:
                heard = self._clock.monotonic()
                message = decode_message(data)
                match message:
                    case Envelope(seq=seq, body=body):
                        if seq < expected:
                            await _send(socket, Ack(seq=done))
                            continue
                        if seq > expected and not self._accepts_gap(seq, first):
                            raise IexecError("BAD_MESSAGE", f"command {expected} was lost before command {seq}")
                        if isinstance(body, Progress):
                            raise IexecError("BAD_MESSAGE", "a scheduler sends commands, not reports")
                        first, expected = False, seq + 1
                        commands.put_nowait((seq, body))
                    case Ack(seq=seq):
                        self._journal.acknowledged(seq)
                    case Ping():
                        await _send(socket, Pong())
                    case Pong():
                        pass
                    case _:
                        raise IexecError("BAD_MESSAGE", f"{type(message).__name__} is out of place here")
            group.cancel_scope.cancel()

        async def carry_out() -> None:
            nonlocal done
            while True:
                batch = [await commands.get()]
                while not commands.empty():
                    batch.append(commands.get_nowait())
                # A command half carried out must not be dropped with the connection.
                with anyio.CancelScope(shield=True):
                    await handle(batch)
                done = batch[-1][0]
                await _send(socket, Ack(seq=done))

        async def send() -> None:
            sent = welcome.received
            while True:
                self._reports_waiting.clear()
                for report in self._journal.reports_after(sent):
                    await socket.send(b'{"type":"Envelope","seq":%d,"body":%s}' % (report.seq, report.body), text=True)
                    sent = report.seq
                await self._reports_waiting.wait()

        async def print_out() -> None:
            await self._printouts.ship(lambda output: _send(socket, output))

        async def renew() -> None:
            await self._offer_changed.wait()
            while OFFERS in dialect.features:
                self._offer_changed.clear()
                await _send(socket, Offer(capabilities=await self._capabilities()))
                await self._offer_changed.wait()
            group.cancel_scope.cancel()

        async def beat() -> None:
            while True:
                await self._clock.sleep(welcome.heartbeat_seconds)
                if self._clock.monotonic() - heard > SILENT_HEARTBEATS * welcome.heartbeat_seconds:
                    raise TimeoutError("the scheduler has fallen silent")
                await _send(socket, Ping())

        try:
            async with anyio.create_task_group() as group:
                for part in (receive, carry_out, send, print_out, beat, renew):
                    group.start_soon(part)
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None

    def _accepts_gap(self, seq: int, first: bool) -> bool:
        """Whether to go on though numbers are missing before `seq`.

        The first time a new connection is asked for; a scheduler that begins it with the same number has lost what came
        before, which it makes again from the chain.
        """
        if first and self._gap_at == seq:
            log.warning("the scheduler has lost commands", from_seq=self._journal.received + 1, to_seq=seq - 1)
            self._gap_at = None
            return True
        self._gap_at = seq
        return False


async def _send(socket: ClientConnection, message: Message) -> None:
    await socket.send(encode_message(message), text=True)
