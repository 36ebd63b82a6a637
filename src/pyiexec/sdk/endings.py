"""How the tasks of a purchase end, gathered from what is told of them while they run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from pyiexec.protocol.errors import CATALOGUE, IexecError
from pyiexec.protocol.primitives import DealId, TaskId
from pyiexec.protocol.tasks import TaskStatus
from pyiexec.sdk.deals import TaskUpdate
from pyiexec.sdk.outlook import Obstacle


class Failure(msgspec.Struct, frozen=True, rename="camel"):
    """A task without a result, and why."""

    task_id: TaskId
    code: str
    explanation: str


class Endings:
    """Feed it with the updates of a watch.

    Args:
        task_ids: all tasks bought, in the order of the bag.
    """

    def __init__(self, task_ids: Sequence[TaskId]) -> None:
        self._statuses = dict.fromkeys(task_ids, TaskStatus.UNSET)
        self._obstacles: dict[TaskId, Obstacle] = {}
        self._late: set[TaskId] = set()

    def take(self, update: TaskUpdate) -> None:
        """Take one update into account."""
        self._statuses[update.task_id] = update.status
        if update.event == "Deadline":
            self._late.add(update.task_id)
        elif update.obstacle is not None:
            self._obstacles[update.task_id] = update.obstacle
        elif update.event != "TaskClaimed":
            self._obstacles.pop(update.task_id, None)

    @property
    def task_ids(self) -> list[TaskId]:
        """All tasks, in the order of the bag."""
        return list(self._statuses)

    @property
    def over(self) -> bool:
        """Whether nothing more is to be expected of any task."""
        return all(self._is_over(task) for task in self._statuses)

    def _is_over(self, task: TaskId) -> bool:
        obstacle = self._obstacles.get(task)
        ended = self._statuses[task] >= TaskStatus.COMPLETED or task in self._late
        return ended or (obstacle is not None and obstacle.final)

    @property
    def completed(self) -> list[TaskId]:
        """Tasks that have a proved result, in the order of the bag."""
        return [task for task, status in self._statuses.items() if status is TaskStatus.COMPLETED]

    @property
    def failures(self) -> list[Failure]:
        """Tasks that ended without one, in the order of the bag."""
        failed = [task for task in self._statuses if self._statuses[task] is not TaskStatus.COMPLETED]
        return [self._failure(task) for task in failed if self._is_over(task)]

    def _failure(self, task: TaskId) -> Failure:
        obstacle = self._obstacles.get(task)
        if obstacle is not None:
            return Failure(task, obstacle.code, obstacle.explanation)
        match self._statuses[task]:
            case TaskStatus.UNSET:
                return Failure(task, "NO_WORKER", "the pool's scheduler did not open the task")
            case TaskStatus.REVEALING:
                return Failure(task, "FINAL_DEADLINE_REACHED", "the result agreed on was not delivered in time")
            case _:
                return Failure(task, "NO_CONSENSUS", "no result reached the trust asked for in time")

    def raise_for_failures(self, deal_ids: Sequence[DealId], final_deadline: int) -> None:
        """Turn failures into one exception that says why, and how the money comes back.

        Args:
            deal_ids: what to claim.
            final_deadline: chain time from which it can be claimed, seconds.

        Raises:
            IexecError: with the commonest cause as its code.
        """
        failures = self.failures
        if not failures:
            return
        code = Counter(failure.code for failure in failures).most_common(1)[0][0]
        explanation = next(failure.explanation for failure in failures if failure.code == code)
        known = code if code in CATALOGUE else "WORKERS_FAILED"
        moment = datetime.fromtimestamp(final_deadline, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        claims = " and ".join(f"`pyiexec deal claim {deal_id}`" for deal_id in deal_ids)
        raise IexecError(
            known,
            f"{len(failures)} of {len(self._statuses)} tasks ended without a result: {explanation}",
            remedy=f"{CATALOGUE[known].remedy} What failed tasks cost is refunded from {moment} on, by the pool or by "
            f"{claims}.",
            failed=[msgspec.to_builtins(failure) for failure in failures],
            completed=self.completed,
            deals=list(deal_ids),
            finalDeadline=final_deadline,
        )
