"""A bag's tasks are opened and refunded together, in as few transactions as their number allows."""

from __future__ import annotations

from collections import Counter

import pytest
from tests.services.scheduler.conftest import SHORT, Net, until_shown

from pyiexec.devnet import roles
from pyiexec.protocol.tasks import TaskStatus
from pyiexec.scheduler.chain_work import BATCH

pytestmark = pytest.mark.anyio

BAG = BATCH + 8


async def transactions(net: Net, event: str) -> list[int]:
    """How many tasks each transaction with such events was about; all are the scheduler's."""
    logs = await net.hub.logs(event)
    counted = Counter(log["transactionHash"] for log in logs)
    for sent in counted:
        assert (await net.rpc.call("eth_getTransactionByHash", sent))["from"] == roles.account(
            roles.POOL_MANAGER
        ).address.lower()
    return sorted(counted.values())


async def test_a_bag_is_opened_in_batches_and_when_nobody_works_refunded_in_batches(net: Net) -> None:
    async with net.scheduler() as url:
        deal = await net.buy(volume=BAG, category=SHORT)
        await until_shown(url, "/metrics", lambda f: f["currentTaskStatusesCount"]["RUNNING"] == BAG)
        assert await transactions(net, "TaskInitialize") == [BAG - BATCH, BATCH]
        await net.rpc.call("evm_increaseTime", 60)
        await net.rpc.call("evm_mine")
        assert await net.settled(deal) == [TaskStatus.FAILED] * BAG
        assert await transactions(net, "TaskClaimed") == [BAG - BATCH, BATCH]
        assert (await net.hub.account(roles.account(roles.POOL_MANAGER).address)).locked == 0
