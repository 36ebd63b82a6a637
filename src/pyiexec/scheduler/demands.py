"""Who of the tasks asks for workers: those that miss some, and, of what is left, those that wait for slow ones."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable

from pyiexec.protocol.primitives import Address, TaskId
from pyiexec.scheduler import commands as c
from pyiexec.scheduler import matching
from pyiexec.scheduler.crew import Crew
from pyiexec.scheduler.hedging import voters_only
from pyiexec.scheduler.rules import Policy, replicas_missing
from pyiexec.scheduler.state import TaskState


class Demands:
    """The tasks of one scheduler that ask for workers.

    Args:
        chance: decides among equal workers.
    """

    def __init__(self, policy: Policy, chance: random.Random) -> None:
        self._policy = policy
        self._chance = chance
        self._missing = matching.WaitingTasks()
        self._hedges = matching.WaitingTasks()

    def follow(self, state: TaskState, commands: Iterable[c.Command]) -> None:
        """Let a task ask for what its rules have decided."""
        kinds = {type(command) for command in commands}
        for queue, kind in ((self._missing, c.AssignReplicas), (self._hedges, c.AssignHedge)):
            if kind in kinds:
                queue.put(_demand(state))
            else:
                queue.discard(state.task_id)

    def satisfied(self, task_id: TaskId) -> None:
        """A worker was found; whoever matches asks whether more are missing."""
        self._missing.discard(task_id)
        self._hedges.discard(task_id)

    def __len__(self) -> int:
        return len(self._missing)

    def missing(self) -> list[TaskId]:
        """Those that miss workers."""
        return self._missing.ids()

    def match(
        self,
        crew: Crew,
        now: int,
        state_of: Callable[[TaskId], TaskState],
        assign: Callable[[TaskId, Address, bool], TaskState],
    ) -> None:
        """Give tasks to free workers.

        Args:
            now: chain time in seconds.
            assign: gives a task to a worker, as a hedge or not; the state that follows.
        """
        for waiting, hedge in ((self._missing, False), (self._hedges, True)):
            if not len(waiting):
                continue

            def votes(task_id: TaskId, weight: int, hedge: bool = hedge) -> int:
                state = state_of(task_id)
                return replicas_missing(voters_only(state) if hedge else state, now, self._policy, weight)

            def give(task_id: TaskId, worker: Address, hedge: bool = hedge) -> int:
                return replicas_missing(assign(task_id, worker, hedge), now, self._policy)

            matching.match(
                waiting,
                crew.supplies(),
                crew.busy.copy(),
                participants=lambda task_id: {r.worker for r in state_of(task_id).replicates},
                give=give,
                votes=votes,
                chance=self._chance,
            )


def _demand(state: TaskState) -> matching.Demand:
    return matching.Demand(
        state.task_id,
        state.requester,
        state.chain.contribution_deadline,
        state.app_checksum,
        state.dataset_checksum,
        state.needs,
    )
