"""The pool's workers as the scheduler knows them: who is there, who is busy with what, what each still has to hear."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from pyiexec.protocol.messages import Capabilities, Command, encode_message
from pyiexec.protocol.primitives import Address, TaskId
from pyiexec.protocol.trust import rewarded_score, slashed_score, worker_weight
from pyiexec.scheduler.matching import Supply
from pyiexec.scheduler.rules import occupies_slot
from pyiexec.scheduler.state import TaskState

#: Right votes that make up for a wrong one.
RIGHT_FOR_WRONG = 10


class Session(Protocol):
    """A live connection to one worker."""

    def send(self, frame: bytes) -> None:
        """Queue a frame; never waits."""

    def taken(self) -> None:
        """One of its reports was taken up."""

    def close(self, reason: str) -> None:
        """End the connection."""


@dataclass(eq=False)
class Member:
    """One worker.

    Attributes:
        sent: number of the last command.
        acknowledged: number of the last command whose effect the worker has committed.
        received: number of the last report processed.
        outbox: commands not acknowledged, by number, as stored.
        session: its connection, None while there is none.
        greeted: whether the session has got its Welcome.
        in_reach: connected, or gone for less than two heartbeats.
        known_since: when it was last heard of, in seconds of the monotonic clock, if without a session.
        score: reputation on chain.
        accurate, faulty: votes that the chain found right or wrong while this process looked on.
        involved: unfinished tasks in which it has a replicate that still concerns it.
        computing: those of them that occupy a slot.
    """

    worker: Address
    sent: int = 0
    acknowledged: int = 0
    received: int = 0
    outbox: dict[int, bytes] = field(default_factory=dict)
    session: Session | None = None
    greeted: bool = False
    in_reach: bool = False
    heard: float = 0.0
    score: int = 0
    accurate: int = 0
    faulty: int = 0
    slots: int = 0
    runtimes: tuple[str, ...] = ()
    cached: set[str] = field(default_factory=set)
    strikes: int = 0
    involved: set[TaskId] = field(default_factory=set)
    computing: set[TaskId] = field(default_factory=set)

    @property
    def weight(self) -> int:
        """Weight of its vote."""
        return worker_weight(self.score)

    @property
    def doubtful(self) -> bool:
        """Whether it is asked only when nobody else is there.

        An honest worker is found wrong too, when liars had the majority, but seldom.
        """
        return self.faulty * RIGHT_FOR_WRONG > self.accurate

    def enroll(self, session: Session, capabilities: Capabilities, score: int) -> None:
        """It has logged in."""
        self.session, self.greeted = session, False
        self.slots, self.runtimes = capabilities.slots, tuple(capabilities.runtimes)
        self.cached = set(capabilities.cached)
        self.score = score

    def tell(self, command: Command) -> tuple[int, bytes]:
        """Number a command and keep it until it is acknowledged; its number and JSON, to be stored."""
        self.sent += 1
        body = encode_message(command)
        self.outbox[self.sent] = body
        return self.sent, body

    def acknowledge(self, seq: int) -> list[int]:
        """Drop what the worker has committed; the numbers dropped."""
        gone = [number for number in self.outbox if number <= seq]
        for number in gone:
            del self.outbox[number]
        self.acknowledged = max(self.acknowledged, min(seq, self.sent))
        return gone


class Crew:
    """All workers ever seen."""

    def __init__(self) -> None:
        self.members: dict[Address, Member] = {}
        #: Slots occupied, by requester.
        self.busy: Counter[Address] = Counter()
        #: How many workers are in reach: asked for with every change of every task, so it is not counted anew.
        self.reach = 0
        #: Those with a free slot, in reach or not: asked for in every round, so the others are not looked at.
        self._roomy: dict[Address, Member] = {}

    def member(self, worker: Address) -> Member:
        """The worker, made known if it was not."""
        found = self.members.get(worker)
        if found is None:
            found = self.members[worker] = Member(worker)
        return found

    def enroll(self, member: Member, session: Session, capabilities: Capabilities, score: int) -> None:
        """A worker has logged in."""
        self.count_with(member)
        member.enroll(session, capabilities, score)
        self._find_room(member)

    def count_with(self, member: Member) -> None:
        """The worker is here, or expected back."""
        self.reach += not member.in_reach
        member.in_reach = True

    def lose(self, member: Member) -> None:
        """The worker is gone."""
        self.reach -= member.in_reach
        member.session, member.in_reach = None, False

    def in_reach(self) -> Iterator[Member]:
        """Workers to count with."""
        return (member for member in self.members.values() if member.in_reach)

    def candidates(self, state: TaskState) -> int:
        """How many workers in reach, busy or not, never had the task."""
        return self.reach - sum(self._reaches(replicate.worker) for replicate in state.replicates)

    def _reaches(self, worker: Address) -> bool:
        member = self.members.get(worker)
        return member is not None and member.in_reach

    def supplies(self) -> list[Supply]:
        """Connected workers with a free slot."""
        return [
            Supply(
                m.worker,
                m.slots - len(m.computing),
                len(m.computing) / m.slots,
                m.strikes,
                m.cached,
                m.weight,
                m.doubtful,
            )
            for m in self._roomy.values()
            if m.session is not None and m.in_reach
        ]

    def _find_room(self, member: Member) -> None:
        if len(member.computing) < member.slots:
            self._roomy[member.worker] = member
        else:
            self._roomy.pop(member.worker, None)

    def follow(self, state: TaskState) -> None:
        """Keep up who is busy with a task."""
        for replicate in state.replicates:
            member = self.member(replicate.worker)
            concerned = not state.settled and not replicate.told_end
            (member.involved.add if concerned else member.involved.discard)(state.task_id)
            occupied = concerned and occupies_slot(replicate)
            if occupied and state.task_id not in member.computing:
                member.computing.add(state.task_id)
                self.busy[state.requester] += 1
                self._find_room(member)
            elif not occupied and state.task_id in member.computing:
                member.computing.discard(state.task_id)
                self.busy[state.requester] -= 1
                self._find_room(member)

    def scored(self, worker: Address, *, accurate: bool) -> None:
        """The chain changed a worker's reputation."""
        member = self.members.get(worker)
        if member is not None:
            member.score = rewarded_score(member.score, contributors=2) if accurate else slashed_score(member.score)
            member.accurate += accurate
            member.faulty += not accurate
