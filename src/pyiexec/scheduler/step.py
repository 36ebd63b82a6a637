"""One round of the engine: what came in, what it changes, and what is to be said once that is committed."""

from __future__ import annotations

from dataclasses import dataclass, field

from pyiexec.protocol.messages import Ack, Welcome, encode_message
from pyiexec.protocol.primitives import Address, TaskId
from pyiexec.scheduler import events as e
from pyiexec.scheduler.crew import Crew, Headcount, Member
from pyiexec.scheduler.inbox import LogsSeen
from pyiexec.scheduler.jobs import JobQueue
from pyiexec.scheduler.store import Changes


@dataclass(eq=False)
class Step:
    """What one round through the inbox leads to.

    Attributes:
        changes: to be written in one transaction.
        events: what happened to each task, in order.
        jobs: what the chain is to be asked.
        followed: logs whose effects are among the changes.
        tellings: commands to send, with their numbers.
        acks: workers whose reports were processed.
        crew_changed: whether workers came or were lost.
        crew_before: who was in reach before this.
    """

    crew_before: Headcount
    changes: Changes = field(default_factory=Changes)
    events: dict[TaskId, list[e.Event]] = field(default_factory=dict)
    jobs: JobQueue = field(default_factory=JobQueue)
    followed: list[LogsSeen] = field(default_factory=list)
    tellings: list[tuple[Member, int, bytes]] = field(default_factory=list)
    acks: set[Address] = field(default_factory=set)
    crew_changed: bool = False

    def happened(self, task_id: TaskId, *events: e.Event) -> None:
        """Note what happened to a task."""
        self.events.setdefault(task_id, []).extend(events)

    def send(self, crew: Crew, heartbeat_seconds: float) -> None:
        """Tell the workers, after the commit; one that has just joined is welcomed with all it has missed."""
        for member, seq, body in self.tellings:
            if member.session is not None and member.greeted:
                member.session.send(envelope(seq, body))
        for worker in sorted(self.acks):
            member = crew.member(worker)
            if member.session is not None and member.greeted:
                member.session.send(encode_message(Ack(seq=member.received)))
        for member in self.changes.members.values():
            if member.session is not None and not member.greeted:
                member.greeted = True
                welcome = Welcome(received=member.received, heartbeat_seconds=heartbeat_seconds)
                member.session.send(encode_message(welcome))
                for seq, body in member.outbox.items():
                    member.session.send(envelope(seq, body))


def envelope(seq: int, body: bytes) -> bytes:
    """The frame of a command stored as JSON."""
    return b'{"type":"Envelope","seq":%d,"body":%s}' % (seq, body)
