"""Deals: what was bought, and watching it become results."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing

import msgspec

from pyiexec.chain.follower import LogFollower
from pyiexec.chain.hub import EVENTS, decode_log
from pyiexec.protocol.deadlines import deadlines
from pyiexec.protocol.deals import Deal
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address, DealId, TaskId
from pyiexec.protocol.tasks import TaskStatus
from pyiexec.sdk.connection import Connection
from pyiexec.sdk.outlook import Inquiry, Obstacle, SchedulerVoice

_WATCHED = (
    "TaskInitialize",
    "TaskContribute",
    "TaskConsensus",
    "TaskReveal",
    "TaskReopen",
    "TaskFinalize",
    "TaskClaimed",
)
_STATUS_AFTER = {
    "TaskInitialize": TaskStatus.ACTIVE,
    "TaskConsensus": TaskStatus.REVEALING,
    "TaskReopen": TaskStatus.ACTIVE,
    "TaskFinalize": TaskStatus.COMPLETED,
    "TaskClaimed": TaskStatus.FAILED,
}


class TaskUpdate(msgspec.Struct, frozen=True):
    """Something happened to a task.

    Attributes:
        event: the hub's event, e.g. ``TaskContribute``; ``Deadline`` once the final deadline has passed; ``Stalled``,
            ``GivenUp`` and ``Resumed`` when the pool's scheduler says that something keeps the task from going on, that
            it has given it up, or that the obstacle is gone.
        status: the task's status on chain after it.
        worker: whose contribution or revelation it was.
        obstacle: of ``Stalled`` and ``GivenUp``.
    """

    task_id: TaskId
    index: int
    event: str
    status: TaskStatus
    worker: Address | None = None
    transaction: str = ""
    block: int = 0
    obstacle: Obstacle | None = None


class Deals:
    """Deals of anybody."""

    def __init__(self, connection: Connection) -> None:
        self._at = connection

    async def show(self, deal_id: DealId) -> Deal:
        """The deal on chain.

        Raises:
            IexecError: ``DEAL_UNKNOWN``.
        """
        return await self._at.hub.deal(deal_id)

    async def final_deadline(self, deal: Deal) -> int:
        """Chain time from which unfinished tasks of the deal can be claimed, seconds."""
        category = await self._at.hub.category(deal.category)
        return deadlines(deal.start_time, category.work_clock_time_ref).final

    async def watch(self, deal_ids: Sequence[DealId], *, start_block: int) -> AsyncGenerator[TaskUpdate, None]:
        """Everything that happens to the tasks of these deals, from `start_block` until each has ended.

        A task has ended when it is completed or claimed, or its final deadline has passed. Updates are pushed by the
        node. After a chain reorganisation updates may be told again. About tasks that the chain has no news of for
        some seconds the pool's scheduler is asked, with a new block.

        Raises:
            IexecError: ``DEAL_UNKNOWN``; ``CHAIN_UNREACHABLE``.
        """
        deals = await self._at.hub.deals(deal_ids)
        places: dict[TaskId, tuple[int, int]] = {}
        for deal_id, deal in zip(deal_ids, deals, strict=True):
            if not deal.exists:
                raise IexecError("DEAL_UNKNOWN", f"there is no deal {deal_id}")
            final = await self.final_deadline(deal)
            places |= {task: (index, final) for index, task in zip(deal.indexes, deal.task_ids(deal_id), strict=True)}
        statuses = dict.fromkeys(places, TaskStatus.UNSET)
        inquiry = Inquiry(SchedulerVoice(self._at.profile.scheduler_url), max(deal.start_time for deal in deals))
        feed = await self._at.follow_heads()
        follower = LogFollower(
            self._at.rpc,
            feed,
            addresses=[self._at.hub.address],
            topics=[[EVENTS[name].topic for name in _WATCHED]],
            start_block=start_block,
            every_block=True,
        )
        async with aclosing(follower.batches()) as batches:
            async for batch in batches:
                for log in batch.logs:
                    update = self._update(log, places, statuses)
                    if update is not None:
                        inquiry.heard(update.task_id, batch.timestamp)
                        yield update
                still_open = [
                    task
                    for task, (_, final) in places.items()
                    if statuses[task] < TaskStatus.COMPLETED and batch.timestamp < final
                ]
                for task, obstacle in await inquiry.news(still_open, batch.timestamp):
                    event = "Resumed" if obstacle is None else "GivenUp" if obstacle.final else "Stalled"
                    yield TaskUpdate(task, places[task][0], event, statuses[task], obstacle=obstacle)
                for task, (index, final) in places.items():
                    if statuses[task] < TaskStatus.COMPLETED and final <= batch.timestamp:
                        yield TaskUpdate(task, index, "Deadline", statuses[task])
                if not still_open:
                    return

    def _update(
        self,
        log: Mapping[str, object],
        places: Mapping[TaskId, tuple[int, int]],
        statuses: dict[TaskId, TaskStatus],
    ) -> TaskUpdate | None:
        decoded = decode_log(log)
        if decoded is None or decoded[1]["taskid"] not in places:
            return None
        name, fields = decoded
        task: TaskId = fields["taskid"]
        statuses[task] = _STATUS_AFTER.get(name, statuses[task])
        return TaskUpdate(
            task,
            places[task][0],
            name,
            statuses[task],
            fields.get("worker"),
            str(log["transactionHash"]),
            int(str(log["blockNumber"]), 16),
        )
