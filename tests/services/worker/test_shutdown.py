"""Told to stop, a worker starts nothing more: what is left is for its next life."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import anyio
import pytest

from pyiexec.foundation.clock import SystemClock
from pyiexec.foundation.database import Database
from pyiexec.protocol import ids
from pyiexec.protocol.authorization import WorkerpoolAuthorization
from pyiexec.protocol.messages import Assign
from pyiexec.protocol.primitives import Address, DealId, ResultDigest, TaskId, bytes32
from pyiexec.protocol.replicates import ReplicateStatus
from pyiexec.worker.journal import MIGRATIONS, open_journal
from pyiexec.worker.rules import Action, Computed
from pyiexec.worker.settings import WorkerSettings
from pyiexec.worker.tasks import Tasks

pytestmark = pytest.mark.anyio

WORKER = Address("0x" + "11" * 20)
DEAL = DealId(bytes32(7))
TASK = ids.task_id(DEAL, 0)
DIGEST = ResultDigest(bytes32(1))


async def test_a_step_that_ends_while_the_worker_stops_is_remembered_and_starts_no_other(tmp_path: Path) -> None:
    settings = WorkerSettings(
        key_file=tmp_path / "key",
        rpc_url="",
        hub=WORKER,
        workerpool=WORKER,
        scheduler_url="",
        gateway_url="",
        data_dir=tmp_path,
    )
    database = await Database.open(f"sqlite:///{tmp_path / 'worker.db'}", [MIGRATIONS])
    journal = await open_journal(database, SystemClock(), "one of one")
    elsewhere: Any = None
    tasks = Tasks(
        settings=settings,
        signer=elsewhere,
        hub=elsewhere,
        journal=journal,
        facts=elsewhere,
        watch=elsewhere,
        computation=elsewhere,
        conduct=elsewhere,
        content=elsewhere,
        transactions=elsewhere,
        clock=SystemClock(),
    )
    computing, voted = anyio.Event(), []

    async def compute(task_id: TaskId) -> None:
        computing.set()
        try:
            await anyio.sleep_forever()
        finally:
            tasks.apply(task_id, Computed(DIGEST, ids.result_hash(task_id, DIGEST)))

    async def contribute(task_id: TaskId) -> None:
        voted.append(task_id)

    tasks._perform = {Action.COMPUTE: compute, Action.CONTRIBUTE: contribute}
    authorization = WorkerpoolAuthorization(worker=WORKER, task_id=TASK, deal_id=DEAL, index=0)
    assignment = Assign(authorization=authorization, mode="contribute", contribution_deadline=9_999_999_999)
    before = asyncio.all_tasks()
    async with anyio.create_task_group() as group:
        started = anyio.Event()
        group.start_soon(tasks.run, started.set)
        await started.wait()
        await tasks.handle([(1, assignment)])
        await computing.wait()
        group.cancel_scope.cancel()
    await journal.close()
    await database.close()
    assert voted == []
    assert asyncio.all_tasks() == before

    database = await Database.open(f"sqlite:///{tmp_path / 'worker.db'}", [MIGRATIONS])
    known = (await open_journal(database, SystemClock(), "one of one")).get(TASK)
    await database.close()
    assert known is not None
    assert known.status is ReplicateStatus.COMPUTED
