"""The pool's workers as the scheduler knows them: who is there, who is busy with what, what each still has to hear."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from pyiexec.protocol.messages import Capabilities, Command, encode_message
from pyiexec.protocol.primitives import Address, TaskId
from pyiexec.protocol.replicates import ReplicateStatus
from pyiexec.protocol.trust import rewarded_score, slashed_score, worker_weight
from pyiexec.scheduler.matching import Supply
from pyiexec.scheduler.requirements import NOT_SAID, NOTHING_USED, Lent, Needs, Use, lent_by, meets
from pyiexec.scheduler.rules import occupies_slot
from pyiexec.scheduler.state import TaskState

_AFTER_DATASET = (ReplicateStatus.DATA_DOWNLOADED, ReplicateStatus.COMPUTED)
_AFTER_APP = (ReplicateStatus.APP_DOWNLOADED, *_AFTER_DATASET)
#: Checksums remembered of what one worker holds.
MOST_CACHED = 1_024
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
        used: what these occupy besides.
        offer: what it said of itself when it last did; None before that.
        lent: what follows from that.
        cached: checksums of what it holds as far as is known, the newest last.
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
    offer: Capabilities | None = None
    lent: Lent = NOT_SAID
    cached: dict[str, None] = field(default_factory=dict)
    strikes: int = 0
    involved: set[TaskId] = field(default_factory=set)
    computing: set[TaskId] = field(default_factory=set)
    used: Use = NOTHING_USED

    @property
    def slots(self) -> int:
        """Tasks that it takes at a time."""
        return self.offer.slots if self.offer else 0

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

    def offers(self, capabilities: Capabilities) -> None:
        """It has said what it offers."""
        self.offer, self.lent = capabilities, lent_by(capabilities)
        self.cached = dict.fromkeys(capabilities.cached)

    def may_take(self, needs: Needs) -> bool:
        """Whether it could take a task, had it nothing else to do; of one that has not said what it lends yet, yes."""
        return self.offer is None or meets(self.lent, needs)

    def fetched(self, state: TaskState, status: ReplicateStatus) -> None:
        """It has come so far with a task, and so holds what the task reads until then."""
        read = [state.app_checksum] if status in _AFTER_APP else []
        if status in _AFTER_DATASET and state.dataset_checksum:
            read.append(state.dataset_checksum)
        for checksum in read:
            self.cached.pop(checksum, None)
            self.cached[checksum] = None
        while len(self.cached) > MOST_CACHED:
            # Nobody keeps everything for ever, and workers tell of less than this.
            del self.cached[next(iter(self.cached))]

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


class Headcount(NamedTuple):
    """The workers in reach at one moment.

    Attributes:
        reach: how many there were.
        able: how many of them could take a task, by what tasks need.
        turnover: how often one of those had come or gone.
    """

    reach: int
    able: dict[Needs, int]
    turnover: Counter[Needs]


class Crew:
    """All workers ever seen."""

    def __init__(self) -> None:
        self.members: dict[Address, Member] = {}
        #: Slots occupied, by requester.
        self.busy: Counter[Address] = Counter()
        #: How many workers are in reach: asked for with every change of every task, so it is not counted anew.
        self.reach = 0
        #: How many of them could take a task, by what tasks need; only needs that were asked for.
        self._able: dict[Needs, int] = {}
        #: How often one of those came or went, or became one.
        self._turnover: Counter[Needs] = Counter()
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
        member.session, member.greeted, member.score = session, False, score
        self.count_with(member)
        self.offered(member, capabilities)

    def offered(self, member: Member, capabilities: Capabilities) -> None:
        """A worker in reach has said what it offers."""
        able_before = {needs for needs in self._able if member.may_take(needs)}
        member.offers(capabilities)
        for needs in self._able:
            change = member.may_take(needs) - (needs in able_before)
            self._able[needs] += change
            self._turnover[needs] += abs(change)
        self._find_room(member)

    def count_with(self, member: Member) -> None:
        """The worker is here, or expected back."""
        if not member.in_reach:
            member.in_reach = True
            self._count(member, 1)

    def lose(self, member: Member) -> None:
        """The worker is gone."""
        if member.in_reach:
            self._count(member, -1)
        member.session, member.in_reach = None, False

    def _count(self, member: Member, change: int) -> None:
        self.reach += change
        for needs in self._able:
            if member.may_take(needs):
                self._able[needs] += change
                self._turnover[needs] += 1

    def in_reach(self) -> Iterator[Member]:
        """Workers to count with."""
        return (member for member in self.members.values() if member.in_reach)

    def able(self, needs: Needs) -> int:
        """How many workers in reach, busy or not, have what a task needs."""
        found = self._able.get(needs)
        if found is None:
            found = self._able[needs] = sum(member.may_take(needs) for member in self.in_reach())
        return found

    def headcount(self) -> Headcount:
        """Who is in reach now."""
        return Headcount(self.reach, self._able.copy(), self._turnover.copy())

    def fewest_since(self, before: Headcount) -> dict[Needs, int]:
        """For each of the needs of tasks, how many able workers there were then, or are now if that is less.

        Needs are left out for which nothing has changed since.
        """
        first_or_last = bool(self.reach) != bool(before.reach)
        return {
            needs: min(count, before.able.get(needs, 0))
            for needs, count in self._able.items()
            if first_or_last or self._turnover[needs] != before.turnover[needs]
        }

    def candidates(self, state: TaskState) -> int:
        """How many workers in reach, busy or not, have what the task needs and never had it."""
        return self.able(state.needs) - sum(self._counts(r.worker, state.needs) for r in state.replicates)

    def _counts(self, worker: Address, needs: Needs) -> bool:
        member = self.members.get(worker)
        return member is not None and member.in_reach and member.may_take(needs)

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
                m.lent,
                m.used,
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
                member.used = member.used.plus(state.needs)
                self.busy[state.requester] += 1
                self._find_room(member)
            elif not occupied and state.task_id in member.computing:
                member.computing.discard(state.task_id)
                member.used = member.used.plus(state.needs, -1)
                self.busy[state.requester] -= 1
                self._find_room(member)

    def scored(self, worker: Address, *, accurate: bool) -> None:
        """The chain changed a worker's reputation."""
        member = self.members.get(worker)
        if member is not None:
            member.score = rewarded_score(member.score, contributors=2) if accurate else slashed_score(member.score)
            member.accurate += accurate
            member.faulty += not accurate
