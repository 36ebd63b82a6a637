"""Proof-of-Contribution: the protocol's own arithmetic and the scheduler's own choice of workers.

Nothing of the rule is written anew: weights, credibility, scores and the number of replicas missing are those of
`pyiexec.protocol.trust`, the workers are members of the scheduler's crew, and its `match` gives out the tasks.
"""

from __future__ import annotations

import random
from collections import Counter
from functools import lru_cache
from math import prod

from pyiexec.protocol import trust
from pyiexec.protocol.primitives import Address, Bytes32, ResultHash, TaskId
from pyiexec.scheduler.crew import Crew, Member
from pyiexec.scheduler.matching import Demand, Supply, WaitingTasks, match
from studies.trust.faults import LIE
from studies.trust.pool import Rule, Task

_REQUESTER, _APP = Address("requester"), "app"


class ProofOfContribution(Rule):
    """Tasks of one level of trust, or of several in equal parts and random order."""

    def __init__(self, *levels: int) -> None:
        self.levels = levels

    def start(self, workers: list[str], chance: random.Random) -> None:
        """Begin with scores of zero."""
        super().start(workers, chance)
        self.crew = Crew()

    def open(self, number: int) -> Task:
        """A task of one of the levels."""
        level = self.levels[0] if len(self.levels) == 1 else self.levels[int(self.chance.random() * len(self.levels))]
        return Task(number, trust=level)

    def assign(self, tasks: list[Task], idle: list[str]) -> None:
        """Let the scheduler give out what is missing."""
        # What the votes missing depend on, by task: asked for once for every weight that workers have.
        standing: dict[TaskId, tuple[tuple[int, ...], int]] = {}
        open_tasks = {TaskId(Bytes32(f"{task.number:08}")): task for task in tasks}

        def votes(task_id: TaskId, weight: int) -> int:
            task = open_tasks[task_id]
            if task_id not in standing:
                standing[task_id] = tuple(sorted(task.groups.values())), prod(task.pending.values())
            return _missing(*standing[task_id], task.trust, weight)

        def give(task_id: TaskId, worker: Address) -> int:
            open_tasks[task_id].pending[worker] = self._weigh(worker)
            del standing[task_id]
            return votes(task_id, trust.NEWCOMER_WEIGHT)

        waiting = WaitingTasks()
        for task_id, task in open_tasks.items():
            if votes(task_id, trust.NEWCOMER_WEIGHT):
                waiting.put(Demand(task_id, _REQUESTER, task.number, _APP))
        if waiting:
            match(
                waiting,
                [_supply(self._member(worker)) for worker in idle],
                Counter(),
                participants=lambda task_id: {Address(worker) for worker in open_tasks[task_id].seen},
                give=give,
                votes=votes,
                chance=self.chance,
            )

    def cast(self, task: Task, worker: str, answer: str) -> None:
        """Count a vote with the weight that its worker has now."""
        super().cast(task, worker, answer)
        task.groups = trust.vote(task.groups, _hash(answer), self._weigh(worker))

    def accepted(self, task: Task) -> str | None:
        """The last answer, if it stands."""
        last = next(reversed(task.votes.values()))
        return last if trust.stands(task.groups, _hash(last), task.trust) else None

    def learn(self, task: Task, accepted: str) -> None:
        """Change scores as `finalize` does."""
        for worker, answer in task.votes.items():
            if answer != accepted:
                self.crew.scored(Address(worker), accurate=False)
            elif len(task.votes) > 1:
                self.crew.scored(Address(worker), accurate=True)

    def respects(self, worker: str, task: Task) -> bool:
        """Whether its vote alone reaches the trust."""
        return _missing((), 1, task.trust, self._weigh(worker)) == 1

    def settled_by(self, members: list[str], task: Task) -> bool:
        """Whether their weights suffice against the votes that were cast."""
        groups, lie = task.groups, _hash(LIE)
        for member in members:
            groups = trust.vote(groups, lie, self._weigh(member))
        return trust.stands(groups, lie, task.trust)

    def _weigh(self, worker: str) -> int:
        return self._member(worker).weight

    def _member(self, worker: str) -> Member:
        return self.crew.member(Address(worker))


def _hash(answer: str) -> ResultHash:
    return ResultHash(Bytes32(answer))


def _supply(member: Member) -> Supply:
    return Supply(member.worker, 1, 0.0, 0, member.cached, weight=member.weight, doubtful=member.doubtful)


@lru_cache(maxsize=2**16)
def _missing(groups: tuple[int, ...], pending: int, level: int, weight: int) -> int:
    """Replicas missing beside pending ones whose weights multiply to `pending`; what answers are called is all one."""
    named = {_hash(str(place)): group for place, group in enumerate(groups)}
    return trust.replicas_missing(named, [pending] if pending > 1 else [], level, weight)
