"""Looking at tasks on chain, many in one round trip, when something may have happened to them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from pyiexec.foundation.clock import Clock
from pyiexec.foundation.logs import get_logger
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import TaskId
from pyiexec.protocol.tasks import Contribution, Task, TaskStatus
from pyiexec.worker.facts import FactReader

log = get_logger(__name__)

#: Seconds between attempts to reach the chain; the last one is repeated.
PAUSES = (0.1, 0.3, 1.0, 3.0)
#: How often, and after how many seconds each, to look again for a consensus that was announced and is not there yet:
#: nodes behind one address differ for a moment.
LOOKS, LOOK_AGAIN_SECONDS = 20, 1.0

#: Told what a look found; whether the task still matters.
See = Callable[[TaskId, Task, Contribution], bool]


class Observer:
    """The eyes of one worker."""

    def __init__(self, facts: FactReader, clock: Clock, see: See) -> None:
        self._facts = facts
        self._clock = clock
        self._see = see
        self._due: dict[TaskId, None] = {}
        self._wanted = asyncio.Event()
        self._expected: dict[TaskId, int] = {}

    def soon(self, task_id: TaskId) -> None:
        """Have a task looked at."""
        self._due[task_id] = None
        self._wanted.set()

    def expect_consensus(self, task_id: TaskId) -> None:
        """Have the next look at a task repeated for a while, should it be too early to see a consensus."""
        self._expected[task_id] = LOOKS

    async def run(self) -> None:
        """Look at what is wanted until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            due, self._due = list(self._due), {}
            await self.look(due)

    async def look(self, task_ids: list[TaskId]) -> None:
        """Look at tasks now, however long the chain is down."""
        attempt = 0
        while task_ids:
            try:
                states = await self._facts.state(task_ids)
            except IexecError as error:
                log.warning("the chain does not answer", error=str(error))
                await self._clock.sleep(PAUSES[min(attempt, len(PAUSES) - 1)])
                attempt += 1
                continue
            for task_id, (task, contribution) in zip(task_ids, states, strict=True):
                looks = self._expected.pop(task_id, 0)
                if self._see(task_id, task, contribution) and looks and task.status is TaskStatus.ACTIVE:
                    self._expected[task_id] = looks - 1
                    asyncio.get_running_loop().call_later(LOOK_AGAIN_SECONDS, self.soon, task_id)
            return
