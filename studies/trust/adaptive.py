"""BOINC's adaptive replication.

A host is trusted once `threshold` of its replicated results in a row were valid, and then with the chance 1 - 1/n for n
in a row. A job that goes to a trusted host is not replicated: its one answer is accepted. A trusted host is given such
jobs by preference, another one instances of jobs that are replicated already; a new job that it is given all the same
is replicated by that, with `quorum` instances. More than half of the quorum must agree; while they do not, instances
are added one by one. Only replicated jobs change n: a valid result adds one, an invalid one takes all.

Source: BOINC's wiki, "AdaptiveReplication" (version 10) and "Job replication"; in its sources `set_trust` of
sched/sched_send.cpp, `is_valid` of sched/validator.cpp, `check_set` of sched/validate_util2.cpp; the threshold of 10 is
in sched/sched_config.h. The project sets the quorum; 2 is what the wiki uses.
"""

from __future__ import annotations

import random
from collections import Counter

from studies.trust.faults import LIE
from studies.trust.pool import Rule, Task

#: CONS_VALID_UNREPLICATED.
THRESHOLD = 10
#: The application's `target_nresults`.
QUORUM = 2


class AdaptiveReplication(Rule):
    """Adaptive replication of an application; the two constants are a project's to choose."""

    def __init__(self, quorum: int = QUORUM, threshold: int = THRESHOLD) -> None:
        self.quorum, self.threshold = quorum, threshold

    def start(self, workers: list[str], chance: random.Random) -> None:
        """Begin with hosts that nobody knows."""
        super().start(workers, chance)
        self.consecutive_valid = dict.fromkeys(workers, 0)

    def assign(self, tasks: list[Task], idle: list[str]) -> None:
        """Hosts ask in random order."""
        fresh = [task for task in tasks if not task.pending and not task.votes]
        lacking = [task for task in tasks if self._lacks(task)]
        self.chance.shuffle(idle)
        for host in idle:
            if not fresh and not lacking:
                return
            trusted = self._trusts(host)
            task = next((task for task in lacking if not task.had(host)), None)
            if fresh and (trusted or task is None):
                task = fresh.pop(0)
                task.quorum = 1 if trusted else self.quorum
            if task is not None:
                task.pending[host] = 1
                lacking = [task for task in tasks if self._lacks(task)]

    def accepted(self, task: Task) -> str | None:
        """The leading answer, if a quorum is there and more than half of it agrees."""
        return _canonical(list(task.votes.values()), task.quorum)

    def learn(self, task: Task, accepted: str) -> None:
        """Count valid results in a row, of replicated jobs alone."""
        if task.quorum == 1:
            return
        for host, answer in task.votes.items():
            self.consecutive_valid[host] = self.consecutive_valid[host] + 1 if answer == accepted else 0

    def respects(self, worker: str, task: Task) -> bool:
        """Whether it may be trusted; a host cannot see how the draw went."""
        return self.consecutive_valid[worker] >= self.threshold

    def settled_by(self, members: list[str], task: Task) -> bool:
        """Whether the quorum would be there, and theirs."""
        return _canonical([*task.votes.values(), *[LIE] * len(members)], task.quorum) == LIE

    def _trusts(self, host: str) -> bool:
        row = self.consecutive_valid[host]
        return row >= self.threshold and self.chance.random() > 1 / row

    def _lacks(self, task: Task) -> bool:
        """Whether the job was given out, and an instance of it is to be sent."""
        instances = len(task.votes) + len(task.pending)
        return 0 < instances < task.quorum or (len(task.votes) >= task.quorum and not task.pending)


def _canonical(answers: list[str], quorum: int) -> str | None:
    if len(answers) < quorum:
        return None
    leader, votes = Counter(answers).most_common(1)[0]
    return leader if votes >= quorum // 2 + 1 else None
