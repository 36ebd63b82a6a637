"""Getting a stake back from a task that everybody else has forgotten.

A task that was never finalized can be claimed by anyone after its final deadline, which frees its workers' stakes. Its
scheduler or its requester does so; when neither has, the worker does it for itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import anyio

from pyiexec.chain import calls
from pyiexec.chain.hub import Hub
from pyiexec.chain.transactions import TransactionManager
from pyiexec.foundation.clock import Clock
from pyiexec.foundation.logs import get_logger
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import TaskId
from pyiexec.protocol.tasks import TaskStatus
from pyiexec.worker.journal import Journal
from pyiexec.worker.record import TaskRecord

log = get_logger(__name__)

#: Longest sleep in seconds: chain time may be ahead of the clock.
_LONGEST_SLEEP = 60.0
#: Seconds between two looks at a task that could not be claimed.
_AGAIN = 30.0


def next_due(records: Iterable[TaskRecord], patience: float) -> float | None:
    """When to look after the first stake, in seconds of chain time; None while none is locked."""
    return min((record.final_deadline + patience for record in records if record.has_stake), default=None)


class Claims:
    """Looks after the stakes of one worker.

    Args:
        patience: seconds after the final deadline that others have to claim first.
    """

    def __init__(
        self, hub: Hub, journal: Journal, transactions: TransactionManager, clock: Clock, patience: float
    ) -> None:
        self._hub = hub
        self._journal = journal
        self._transactions = transactions
        self._clock = clock
        self._patience = patience
        self._not_before: dict[TaskId, float] = {}
        self._staked = asyncio.Event()
        journal.on_stake = self._staked.set

    async def run(self) -> None:
        """Claim what is due until cancelled. Nothing is asked of the chain before something is."""
        while True:
            due = next_due(self._journal.open_records(), self._patience)
            left = _LONGEST_SLEEP if due is None else due - self._clock.now()
            self._staked.clear()
            with anyio.move_on_after(min(max(left, 1.0), _LONGEST_SLEEP)):
                await self._staked.wait()
            now = self._clock.now()
            for record in self._journal.open_records():
                task_id = record.task_id
                if record.has_stake and max(record.final_deadline + self._patience, self._again(task_id)) <= now:
                    self._not_before[task_id] = now + _AGAIN
                    await self._claim(task_id)

    def _again(self, task_id: TaskId) -> float:
        return self._not_before.get(task_id, 0.0)

    async def _claim(self, task_id: TaskId) -> None:
        try:
            task = await self._hub.task(task_id)
            if task.status in (TaskStatus.ACTIVE, TaskStatus.REVEALING):
                await self._transactions.execute(task_id, "claim", self._hub.address, calls.claim(task_id), retry=True)
                # The block that ends the task is news, see `watch`: it closes the record.
                log.info("claimed a task that nobody finalized", task=task_id)
        except IexecError as error:
            # Somebody was faster, or the chain is away or behind: either shows at the next look.
            log.info("a task could not be claimed", task=task_id, error=str(error))
