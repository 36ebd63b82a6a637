"""What the worker's memory holds of tasks that are over."""

from __future__ import annotations

import asyncio
from pathlib import Path

from msgspec.structs import replace

from pyiexec.foundation.clock import SystemClock
from pyiexec.foundation.database import Database
from pyiexec.protocol.authorization import WorkerpoolAuthorization
from pyiexec.protocol.primitives import Address, DealId, TaskId, bytes32
from pyiexec.protocol.replicates import ReplicateStatus
from pyiexec.worker.journal import LATELY_CLOSED, MIGRATIONS, Journal, open_journal
from pyiexec.worker.record import TaskRecord

WORKER = Address("0x" + "11" * 20)


def record(number: int, status: ReplicateStatus) -> TaskRecord:
    task_id, deal_id = TaskId(bytes32(number)), DealId(bytes32(number))
    authorization = WorkerpoolAuthorization(worker=WORKER, task_id=task_id, deal_id=deal_id, index=0)
    return TaskRecord(authorization=authorization, mode="contribute", contribution_deadline=1, status=status)


def numbers(records: list[TaskRecord]) -> list[int]:
    return [int(each.task_id, 16) for each in records]


def test_the_tasks_closed_last_are_at_hand_also_after_a_restart(tmp_path: Path) -> None:
    closed = LATELY_CLOSED + 3

    def check(journal: Journal) -> None:
        assert numbers(journal.lately_closed()) == list(range(closed, 3, -1))
        assert numbers(journal.open_records()) == [closed + 1]

    async def run() -> None:
        database = await Database.open(f"sqlite:///{tmp_path / 'worker.db'}", [MIGRATIONS])
        try:
            journal = await open_journal(database, SystemClock(), "one worker")
            opened = [record(number, ReplicateStatus.CREATED) for number in range(1, closed + 2)]
            for each in opened:
                journal.change(each, ())
            for each in opened[:-1]:
                written = journal.change(replace(each, status=ReplicateStatus.COMPLETED), ())
                assert written is not None
                await written
            check(journal)
            await journal.close()
            check(await open_journal(database, SystemClock(), "one worker"))
        finally:
            await database.close()

    asyncio.run(run())
