"""Tasks and what their deals say, from memory or, when they are long over, from the database."""

from __future__ import annotations

from collections import OrderedDict

from pyiexec.foundation.database import Database
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address, DealId, TaskId, bytes32, checksum
from pyiexec.scheduler.engine import Engine
from pyiexec.scheduler.outlook import Outlook
from pyiexec.scheduler.state import Replicate, TaskState
from pyiexec.scheduler.store import DealFacts, find_facts, find_tasks
from pyiexec.scheduler.views import TaskModel, task_view

#: Deals whose facts, which never change, are kept at hand.
_FACTS_KEPT = 256


def read_task_id(text: str) -> TaskId:
    """A task id in a request.

    Raises:
        IexecError: ``BAD_BYTES32``.
    """
    try:
        return TaskId(bytes32(text))
    except IexecError as error:
        raise IexecError("BAD_BYTES32", f"taskId: {error.what}") from None


def read_address(text: str, field: str) -> Address:
    """An address in a request, in any case.

    Raises:
        IexecError: ``BAD_ADDRESS`` naming the field.
    """
    try:
        return checksum(text.lower())
    except IexecError:
        raise IexecError("BAD_ADDRESS", f"{field}: {text[:80]!r} is not an address") from None


class TaskRegistry:
    """Every task the scheduler has ever had."""

    def __init__(self, engine: Engine, database: Database, outlook: Outlook) -> None:
        self._engine = engine
        self._outlook = outlook
        self._database = database
        self._facts: OrderedDict[DealId, DealFacts] = OrderedDict()

    async def find(self, task_id: TaskId) -> TaskState:
        """A task.

        Raises:
            IexecError: ``TASK_UNKNOWN``.
        """
        state = self._engine.find(task_id)
        if state is None:
            stored = await self._database.read(lambda connection: find_tasks(connection, [task_id]))
            if not stored:
                raise IexecError("TASK_UNKNOWN", f"this scheduler does not know the task {task_id}", task=task_id)
            state = stored[0]
        return state

    async def replicate(self, task_id: TaskId, worker: Address) -> tuple[TaskState, Replicate]:
        """A task and one worker's part in it.

        Raises:
            IexecError: ``TASK_UNKNOWN``, ``REPLICATE_UNKNOWN``.
        """
        state = await self.find(task_id)
        replicate = state.find(worker)
        if replicate is None:
            raise IexecError("REPLICATE_UNKNOWN", f"{worker} was never given the task {task_id}")
        return state, replicate

    async def view(self, state: TaskState) -> TaskModel:
        """A task as clients are told of it."""
        return task_view(state, await self._facts_of(state.deal_id), await self._outlook.of(state))

    async def _facts_of(self, deal_id: DealId) -> DealFacts | None:
        known = self._facts.get(deal_id)
        if known is None:
            known = await self._database.read(lambda connection: find_facts(connection, deal_id))
            if known is None:
                return None
            self._facts[deal_id] = known
            if len(self._facts) > _FACTS_KEPT:
                self._facts.popitem(last=False)
        return known
