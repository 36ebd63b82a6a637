"""Plain majority voting: the first answer that `needed` workers agree on is accepted ("m-first").

With two possible answers that is `needed` of `2 needed - 1`. Whom to ask is left to chance, and nothing is learnt.
"""

from __future__ import annotations

from collections import Counter

from studies.trust.faults import LIE
from studies.trust.pool import Rule, Task


class MajorityVoting(Rule):
    """`needed` equal answers; as many workers are asked as could still bring them."""

    def __init__(self, needed: int) -> None:
        self.needed = needed

    def assign(self, tasks: list[Task], idle: list[str]) -> None:
        """Give out what the leading answer misses."""
        for task in tasks:
            missing = self.needed - max(Counter(task.votes.values()).values(), default=0) - len(task.pending)
            if missing <= 0:
                continue
            may = [worker for worker in idle if not task.had(worker)]
            task.pending |= dict.fromkeys(self.chance.sample(may, min(missing, len(may))), 1)
            idle = [worker for worker in idle if worker not in task.pending]

    def accepted(self, task: Task) -> str | None:
        """The last answer, if enough agree with it."""
        answers = list(task.votes.values())
        return answers[-1] if answers.count(answers[-1]) >= self.needed else None

    def learn(self, task: Task, accepted: str) -> None:
        """Nothing."""

    def respects(self, worker: str, task: Task) -> bool:
        """No reputation is needed where none is kept."""
        return True

    def settled_by(self, members: list[str], task: Task) -> bool:
        """Whether enough would agree."""
        return len(members) + list(task.votes.values()).count(LIE) >= self.needed
