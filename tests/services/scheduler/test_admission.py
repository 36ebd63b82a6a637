"""Deals that the pool does not admit: nobody works on them, everybody is told why, and the requester is refunded."""

from __future__ import annotations

import anyio
import pytest
from tests.services.scheduler.conftest import SHORT, Net, shown, until_shown
from tests.services.scheduler.test_failures import blaming, join

from pyiexec.devnet import roles
from pyiexec.protocol.messages import Assign
from pyiexec.protocol.tasks import TaskStatus
from pyiexec.scheduler.pool_policy import Admission

pytestmark = pytest.mark.anyio

REQUESTER = roles.account(roles.REQUESTER).address


async def test_a_deal_that_is_not_admitted_is_left_alone_and_refunded_in_the_end(net: Net) -> None:
    worker = net.workers[0]
    before = await net.hub.account(REQUESTER)
    refusing = Admission(denied_requesters=(REQUESTER,))
    async with net.scheduler(admission=refusing) as url, anyio.create_task_group() as group:
        await join(group, url, worker)
        deal = await net.buy(volume=2, category=SHORT)
        first, second = await net.tasks_of(deal)
        task = await until_shown(url, f"/tasks/{first}", blaming("DEAL_NOT_ADMITTED"))
        assert (task["currentStatus"], task["phase"], task["replicates"]) == ("FAILED", "FAILED", [])
        assert REQUESTER in task["cause"]["what"]
        assert task["awaited"]["code"] == "REFUND"
        assert task["dateStatusList"][-1]["reason"] == "DEAL_NOT_ADMITTED"
        assert task["forecast"] is None
        assert [task.status for task in await net.hub.tasks([first, second])] == [TaskStatus.UNSET] * 2
        group.cancel_scope.cancel()
    # Also by a scheduler that would have admitted it: what was refused stays refused.
    async with net.scheduler() as url, anyio.create_task_group() as group:
        group.start_soon(worker.run, url)
        await worker.until(lambda: worker.welcome is not None)
        assert (await shown(url, f"/tasks/{second}"))["cause"]["code"] == "DEAL_NOT_ADMITTED"
        await net.rpc.call("evm_increaseTime", 60)
        await net.rpc.call("evm_mine")
        assert await net.settled(deal) == [TaskStatus.FAILED] * 2
        assert not [command for command in worker.commands if isinstance(command, Assign)]
        assert await net.hub.account(REQUESTER) == before
        group.cancel_scope.cancel()


async def test_deals_that_are_admitted_go_on_beside_one_that_is_not(net: Net) -> None:
    worker = net.workers[0]
    async with net.scheduler(admission=Admission(max_trust=1)) as url, anyio.create_task_group() as group:
        await join(group, url, worker)
        refused = await net.buy(trust=5)
        deal = await net.buy(trust=1)
        assert await net.settled(deal) == [TaskStatus.COMPLETED]
        (task_id,) = await net.tasks_of(refused)
        task = await until_shown(url, f"/tasks/{task_id}", blaming("DEAL_NOT_ADMITTED"))
        assert "trust" in task["cause"]["what"]
        group.cancel_scope.cancel()
