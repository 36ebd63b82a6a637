"""The worker's end of the channel, as `pyiexec.worker.channel` keeps it: numbered reports until they are acknowledged,
commands in their order, a gap asked for again before it is accepted."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from pyiexec.protocol.messages import (
    Ack,
    Capabilities,
    Command,
    Envelope,
    Hello,
    Report,
    Welcome,
    decode_message,
    encode_message,
)
from pyiexec.scheduler.step import envelope
from tests.simulation.wire import Connection

if TYPE_CHECKING:
    from tests.simulation.machine import Machine


class WorkerEnd:
    """What a worker owes its scheduler and has heard from it; all but the connection outlives a crash.

    Attributes:
        connection: None while there is none.
        received: number of the last command carried out.
    """

    def __init__(self, machine: Machine, slots: int) -> None:
        self._machine = machine
        self._slots = slots
        self._reports: deque[tuple[int, bytes]] = deque()
        self._sent = 0
        self._welcomed = False
        self._first = True
        self._next = 1
        self._gap_at: int | None = None
        self.received = 0
        self.connection: Connection | None = None

    def connect(self) -> None:
        """Connect, however often that takes."""
        machine = self._machine
        if self.connection is not None or not machine.up:
            return
        connection = machine.network.connect(machine)
        if connection is None:
            machine.later(machine.chance.uniform(0.05, 2.0), self.connect)
            return
        self.connection = connection
        self._first, self._welcomed, self._next = True, False, self.received + 1
        connection.to_worker = lambda frame: self._hear(connection, frame)
        capabilities = Capabilities(slots=self._slots, runtimes=["wasm"], cached=[])
        # Who is there is proved at the channel, which is not played here.
        hello = Hello(worker=machine.address, signature="0x", capabilities=capabilities, received=self.received)
        connection.report(encode_message(hello))

    def disconnected(self, connection: Connection) -> None:
        """A connection ended."""
        if self.connection is connection:
            self.connection = None
            self._machine.later(self._machine.chance.uniform(0.05, 1.0), self.connect)

    def hang_up(self) -> None:
        """The process dies."""
        if self.connection is not None:
            self.connection.close("crash")
            self.connection = None

    def owe(self, report: Report) -> None:
        """Number a report and send it until it is acknowledged."""
        self._sent += 1
        self._reports.append((self._sent, encode_message(report)))
        if self.connection is not None and self._welcomed:
            self.connection.report(envelope(*self._reports[-1]))

    def _hear(self, connection: Connection, frame: bytes) -> None:
        if connection is not self.connection or not self._machine.up:
            return
        match decode_message(frame):
            case Welcome(received=received):
                self._welcome(connection, received)
            case Ack(seq=seq):
                self._acknowledged(seq)
            case Envelope(seq=seq, body=body) if isinstance(body, Command):
                self._command(connection, seq, body)

    def _welcome(self, connection: Connection, received: int) -> None:
        oldest = self._reports[0][0] if self._reports else self._sent + 1
        if oldest - 1 <= received <= self._sent:
            self._acknowledged(received)
        else:
            owed = [(received + number, body) for number, (_, body) in enumerate(self._reports, start=1)]
            self._reports, self._sent = deque(owed), received + len(owed)
        self._welcomed = True
        for seq, body in list(self._reports):
            connection.report(envelope(seq, body))

    def _acknowledged(self, seq: int) -> None:
        while self._reports and self._reports[0][0] <= seq:
            self._reports.popleft()

    def _command(self, connection: Connection, seq: int, command: Command) -> None:
        if seq >= self._next:
            if seq > self._next and not (self._first and self._gap_at == seq):
                self._gap_at = seq
                connection.close("a command was lost")
                return
            self._first, self._next, self.received = False, seq + 1, seq
            self._machine.obey(command)
        if connection is self.connection:
            connection.report(encode_message(Ack(seq=self.received)))
