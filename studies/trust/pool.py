"""A pool of workers that serves tasks under some rule of validation, in virtual time.

A worker computes one task at a time, for half to one and a half units. A rule has to say whom to give a task to, when
an answer stands, and what is learnt of the workers. All rules meet the same workers and faults.
"""

from __future__ import annotations

import heapq
import random
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from operator import add

from pyiexec.protocol.primitives import ResultHash
from studies.trust.faults import LIE, RIGHT, Faults, Ring


@dataclass(eq=False)
class Task:
    """One task under validation.

    Attributes:
        number: in the order of arrival.
        trust: asked for, where the rule knows trust.
        votes: answers by worker, in the order of voting.
        pending: workers that have it and did not answer yet, with the weight that a vote of theirs had then.
        replicas: workers that were given it.
        begun: when it was given to the first, in thousandths of a computation.
        groups: weight of the votes for each answer, for rules that weigh them.
        quorum: answers needed before it is validated, for rules that know one.
    """

    number: int
    trust: int = 1
    votes: dict[str, str] = field(default_factory=dict)
    pending: dict[str, int] = field(default_factory=dict)
    groups: dict[ResultHash, int] = field(default_factory=dict)
    replicas: int = 0
    begun: int = 0
    quorum: int = 1

    @property
    def seen(self) -> list[str]:
        """The workers that were given it; none is given it twice."""
        return [*self.votes, *self.pending]

    def had(self, worker: str) -> bool:
        """Whether the worker was given it."""
        return worker in self.votes or worker in self.pending


@dataclass
class Tally:
    """What came of a number of tasks.

    Attributes:
        tasks: that ended.
        wrong: of them accepted with a wrong answer.
        undecided: of them given up because every worker had its say.
        replicas: computations, those included that were begun in vain.
        span: from the first assignment to the end, in thousandths of a computation, summed over tasks.
        caught: wrong answers that were found wrong; each costs a stake, where there are stakes.
        unjust: right answers that were found wrong.
    """

    tasks: int = 0
    wrong: int = 0
    undecided: int = 0
    replicas: int = 0
    span: int = 0
    caught: int = 0
    unjust: int = 0

    def add(self, task: Task, accepted: str | None, now: int) -> None:
        """Count a task that ended."""
        self.tasks += 1
        self.wrong += accepted not in (None, RIGHT)
        self.undecided += accepted is None
        self.replicas += task.replicas
        self.span += now - task.begun
        if accepted is not None:
            outvoted = [answer for answer in task.votes.values() if answer != accepted]
            self.unjust += outvoted.count(RIGHT)
            self.caught += len(outvoted) - outvoted.count(RIGHT)

    def __add__(self, other: Tally) -> Tally:
        return Tally(*map(add, vars(self).values(), vars(other).values()))


class Rule(ABC):
    """How answers are validated."""

    workers: list[str]
    chance: random.Random

    def start(self, workers: list[str], chance: random.Random) -> None:
        """Begin with workers that nobody knows."""
        self.workers, self.chance = workers, chance

    def open(self, number: int) -> Task:
        """A new task."""
        return Task(number)

    @abstractmethod
    def assign(self, tasks: list[Task], idle: list[str]) -> None:
        """Give idle workers tasks that miss any: fill `pending`."""

    def cast(self, task: Task, worker: str, answer: str) -> None:
        """Take a vote."""
        task.votes[worker] = answer

    @abstractmethod
    def accepted(self, task: Task) -> str | None:
        """The answer that stands since the last vote."""

    @abstractmethod
    def learn(self, task: Task, accepted: str) -> None:
        """Take note of who was right."""

    @abstractmethod
    def respects(self, worker: str, task: Task) -> bool:
        """Whether the worker's answer alone may stand."""

    @abstractmethod
    def settled_by(self, members: list[str], task: Task) -> bool:
        """Whether the lie would stand if these workers told it now, one after another."""


@dataclass(frozen=True)
class Size:
    """How big a pool is and how long it lives.

    Attributes:
        workers: in the pool.
        at_once: tasks open at a time.
        tasks: in its life.
        slices: equal parts of that life, counted apart.
    """

    workers: int = 50
    at_once: int = 10
    tasks: int = 1_500
    slices: int = 4


class Pool:
    """One pool from its first task to its last.

    Args:
        seed: of everything that chance decides.
    """

    def __init__(self, rule: Rule, faults: Faults, size: Size, seed: str) -> None:
        self._rule, self._faults, self._size = rule, faults, size
        self._chance = random.Random(seed)
        workers = [f"worker-{number:03}" for number in range(size.workers)]
        self._ring = frozenset(workers[: faults.members])
        self._idle = dict.fromkeys(workers)
        self._now = 0
        self._open: dict[int, Task] = {}
        #: Computations under way, by their end.
        self._under_way: list[tuple[int, str, int]] = []
        self._tallies: dict[int, list[Tally]] = {}
        rule.start(workers, self._chance)

    def serve(self) -> dict[int, list[Tally]]:
        """Live; by trust, the tallies of the slices."""
        opened = 0
        while True:
            while len(self._open) < self._size.at_once and opened < self._size.tasks:
                self._open[opened] = self._rule.open(opened)
                opened += 1
            if not self._open:
                return self._tallies
            self._give_out()
            self._next_answer()

    def _give_out(self) -> None:
        self._rule.assign(list(self._open.values()), list(self._idle))
        for number, task in self._open.items():
            for worker in task.pending:
                if worker in self._idle:
                    del self._idle[worker]
                    task.begun = task.begun if task.replicas else self._now
                    task.replicas += 1
                    ends = self._now + 500 + int(self._chance.random() * 1_000)
                    heapq.heappush(self._under_way, (ends, worker, number))

    def _next_answer(self) -> None:
        while self._under_way:
            self._now, worker, number = heapq.heappop(self._under_way)
            task = self._open.get(number)
            # Whose task is settled was told to stop.
            if task is None or worker not in task.pending:
                continue
            together = self._conspiracy(task) if worker in self._ring else []
            if together:
                for member in together:
                    if number in self._open:
                        self._vote(task, member, LIE)
            else:
                lies = worker in self._ring and self._lies(task, worker)
                self._vote(task, worker, LIE if lies else self._faults.compute(worker, self._chance))
            return

    def _lies(self, task: Task, worker: str) -> bool:
        match self._faults.ring:
            case Ring.ALWAYS:
                return True
            case Ring.FARMING:
                return self._rule.respects(worker, task)
            case _:
                return False

    def _conspiracy(self, task: Task) -> list[str]:
        """The members of a sly ring that have the task, if they can settle it."""
        if self._faults.ring is not Ring.SURE:
            return []
        members = [worker for worker in task.pending if worker in self._ring]
        return members if self._rule.settled_by(members, task) else []

    def _vote(self, task: Task, worker: str, answer: str) -> None:
        del task.pending[worker]
        self._rule.cast(task, worker, answer)
        self._idle[worker] = None
        accepted = self._rule.accepted(task)
        if accepted is not None:
            self._rule.learn(task, accepted)
        elif task.pending or len(task.votes) < self._size.workers:
            return
        del self._open[task.number]
        self._idle.update(dict.fromkeys(task.pending))
        slices = self._tallies.setdefault(task.trust, [Tally() for _ in range(self._size.slices)])
        slices[task.number * self._size.slices // self._size.tasks].add(task, accepted, self._now)
