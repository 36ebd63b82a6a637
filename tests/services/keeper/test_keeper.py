"""A keeper over a real chain: forgotten money comes back, whatever happens to the keeper and to the chain."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import pytest
from tests.services.scheduler.conftest import LONG, SHORT, WORKERS, Net, shown, until_shown
from tests.services.serving import served

from pyiexec.chain import calls
from pyiexec.chain.anvil import Anvil, AnvilOptions
from pyiexec.chain.rpc import JsonRpc
from pyiexec.chain.sending import Call, send_all
from pyiexec.devnet import roles
from pyiexec.devnet.provision import provision
from pyiexec.foundation.settings import to_json
from pyiexec.keeper.service import serve
from pyiexec.keeper.settings import KeeperSettings
from pyiexec.protocol import ids
from pyiexec.protocol.primitives import NULL_ADDRESS, Address, DealId, TaskId, to_hex
from pyiexec.protocol.tasks import TaskStatus
from pyiexec.storage.client import ContentClient

KEEPER, STRANGER = roles.account(roles.DATASET_PROVIDER), roles.account(roles.ADMINISTRATOR)
PYIEXEC = Path(sys.executable).with_name("pyiexec")
Story = Callable[["Market"], Awaitable[None]]


class Market(Net):
    """A chain on which deals are made and forgotten."""

    def keeping(self, **changes: Any) -> KeeperSettings:
        key = self.path / "keeper.key"
        key.write_text(to_hex(KEEPER.secret))
        key.chmod(0o600)
        values: dict[str, Any] = {
            "rpc_url": self.url,
            "hub": self.hub.address,
            "key_file": key,
            "database_url": self.database_url,
            "patience_seconds": 0,
        }
        return KeeperSettings(**values | changes)

    @asynccontextmanager
    async def keeper(self, **changes: Any) -> AsyncIterator[str]:
        async with served(serve, self.keeping(**changes)) as url:
            yield url

    async def open(self, deal: DealId, *indexes: int) -> None:
        await send_all(self.rpc, STRANGER, [Call(self.hub.address, calls.initialize(deal, n)) for n in indexes])

    async def vote(self, task_id: TaskId, number: int = 0) -> Address:
        """One worker puts its stake on a result."""
        worker, manager = self.workers[number], roles.account(roles.POOL_MANAGER)
        allowed = manager.sign_message_hash(ids.authorization_hash(worker.address, task_id, NULL_ADDRESS))
        seal = ids.result_seal(worker.address, task_id, worker.digest)
        assert await worker.transact(calls.contribute(task_id, ids.result_hash(task_id, worker.digest), seal, allowed))
        return worker.address

    async def let_time_pass(self, seconds: int = 60) -> None:
        await self.rpc.call("evm_increaseTime", seconds)
        await self.rpc.call("evm_mine")

    async def stop_mining(self) -> None:
        await self.rpc.call("evm_setAutomine", False)
        await self.rpc.call("evm_setIntervalMining", 0)

    async def mine_again(self) -> None:
        await self.rpc.call("evm_mine")
        await self.rpc.call("evm_setAutomine", True)

    async def waiting(self) -> int:
        """Transactions that no block holds."""
        return int((await self.rpc.call("txpool_status"))["pending"], 16)

    async def until_waiting(self, count: int) -> None:
        with anyio.fail_after(20):
            while await self.waiting() != count:  # noqa: ASYNC110 - the node does not tell
                await anyio.sleep(0.02)

    async def sent(self) -> int:
        """Transactions of the keeper in blocks."""
        return int(await self.rpc.call("eth_getTransactionCount", KEEPER.address, "latest"), 16)

    async def statuses(self, deal: DealId, tasks: int) -> list[TaskStatus]:
        return [task.status for task in await self.hub.tasks([ids.task_id(deal, n) for n in range(tasks)])]


@pytest.fixture
def play(database_url: str, tmp_path: Path) -> Callable[[Story], None]:
    """Runs a story on a chain of its own, with a database of each kind."""

    async def whole(story: Story) -> None:
        async with (
            Anvil(AnvilOptions()) as anvil,
            JsonRpc(anvil.url) as rpc,
            ContentClient("http://127.0.0.1:9") as nothing,
        ):
            signers = [roles.worker_account(number) for number in range(1, WORKERS + 1)]
            provisioned = await provision(rpc, signers, category_seconds=2)
            market = Market(rpc, anvil.url, provisioned, nothing, tmp_path, database_url)
            await market.open_market()
            await story(market)

    return lambda story: asyncio.run(whole(story))


def test_whatever_is_forgotten_is_claimed_together_and_all_the_money_comes_back(
    play: Callable[[Story], None],
) -> None:
    async def story(market: Market) -> None:
        requester, manager = (roles.account(role).address for role in (roles.REQUESTER, roles.POOL_MANAGER))
        before = await market.hub.account(requester)
        bag = await market.buy(volume=4, trust=5, category=SHORT)
        single = await market.buy(category=SHORT)
        boost = await market.buy(volume=2, category=SHORT, boost=True)
        await market.open(bag, 0, 1, 2)
        worker = await market.vote(ids.task_id(bag, 1))
        assert (await market.hub.account(worker)).locked > 0
        await market.let_time_pass()
        async with market.keeper() as url:
            health = await until_shown(url, "/health", lambda health: health["claimed"] == 7)
            assert await market.statuses(bag, 4) == [TaskStatus.FAILED] * 4
            assert await market.statuses(single, 1) == [TaskStatus.FAILED]
            assert await market.statuses(boost, 2) == [TaskStatus.FAILED] * 2
            health = await until_shown(url, "/health", lambda health: health["openDeals"] == 0)
            assert health["ok"]
            assert (health["account"], health["leading"], health["trouble"]) == (KEEPER.address, True, None)
            assert health["block"] > 0
            # What was opened goes out together, so does what was not; a Boost deal's tasks cannot.
            assert await market.sent() == 1 + 1 + 2
            after = await market.hub.account(requester)
            assert (after.stake, after.locked) == (before.stake, 0)
            assert (await market.hub.account(worker)).locked == 0
            assert (await market.hub.account(manager)).locked == 0
            # A deal that is made and forgotten while the keeper runs, and one that is not late.
            late, early = await market.buy(category=SHORT), await market.buy(category=LONG)
            await until_shown(url, "/health", lambda health: health["openDeals"] == 2)
            await market.let_time_pass()
            await until_shown(url, "/health", lambda health: health["openDeals"] == 1)
            assert await market.statuses(late, 1) == [TaskStatus.FAILED]
            assert await market.statuses(early, 1) == [TaskStatus.UNSET]

    play(story)


def test_a_task_that_somebody_else_claims_first_does_not_keep_the_others(play: Callable[[Story], None]) -> None:
    async def story(market: Market) -> None:
        bag = await market.buy(volume=3, category=SHORT)
        await market.open(bag, 0, 1, 2)
        await market.let_time_pass()
        await market.stop_mining()
        # It is in no block yet when the keeper looks, and will be in the same one as the keeper's batch.
        claim = to_hex(calls.claim(ids.task_id(bag, 1)))
        first = {"from": STRANGER.address, "to": market.hub.address, "data": claim, "gas": hex(500_000)}
        await market.rpc.call("eth_sendTransaction", first)
        async with market.keeper() as url:
            await market.until_waiting(2)
            await market.mine_again()
            await until_shown(url, "/health", lambda health: health["claimed"] == 2)
            assert await market.statuses(bag, 3) == [TaskStatus.FAILED] * 3
            # The batch that was spoiled, and two alone; the third shows before it is sent that it is over.
            assert await market.sent() == 3

    play(story)


def test_a_keeper_that_is_killed_sends_nothing_twice(play: Callable[[Story], None], tmp_path: Path) -> None:
    async def story(market: Market) -> None:
        bag = await market.buy(volume=2, category=SHORT)
        await market.open(bag, 0, 1)
        await market.let_time_pass()
        await market.stop_mining()
        config = tmp_path / "keeper.json"
        config.write_bytes(to_json(market.keeping()))
        command = [PYIEXEC, "keeper", "start", "--config", config]
        async with await anyio.open_process(command, stderr=subprocess.DEVNULL) as process:
            await market.until_waiting(1)
            process.kill()
            await process.wait()
        async with market.keeper() as url:
            await until_shown(url, "/health", lambda health: health["leading"])
            await market.mine_again()
            await until_shown(url, "/health", lambda health: health["openDeals"] == 0)
            assert await market.statuses(bag, 2) == [TaskStatus.FAILED] * 2
            assert await market.sent() == 1
            assert await market.waiting() == 0
            told = await anyio.run_process([PYIEXEC, "keeper", "status", url, "--json"])
            assert json.loads(told.stdout)["openDeals"] == 0

    play(story)


def test_what_a_reorganisation_takes_back_is_claimed_again(play: Callable[[Story], None]) -> None:
    async def story(market: Market) -> None:
        bag = await market.buy(volume=2, category=SHORT)
        await market.open(bag, 0)
        await market.let_time_pass()
        snapshot = await market.rpc.call("evm_snapshot")
        async with market.keeper() as url:
            await until_shown(url, "/health", lambda health: health["openDeals"] == 0)
            await market.rpc.call("evm_revert", snapshot)
            assert await market.statuses(bag, 2) == [TaskStatus.ACTIVE, TaskStatus.UNSET]
            with anyio.fail_after(20):
                while await market.statuses(bag, 2) != [TaskStatus.FAILED] * 2:  # noqa: ASYNC110 - nothing tells it
                    await anyio.sleep(0.05)
            await until_shown(url, "/health", lambda health: health["openDeals"] == 0)

    play(story)


def test_of_two_keepers_on_one_database_the_other_carries_on(play: Callable[[Story], None]) -> None:
    async def story(market: Market) -> None:
        deal = await market.buy(category=SHORT)
        enough = anyio.Event()

        async def lead(*, task_status: anyio.abc.TaskStatus[str]) -> None:
            async with market.keeper() as url:
                await until_shown(url, "/health", lambda health: health["leading"])
                task_status.started(url)
                await enough.wait()

        async with anyio.create_task_group() as group:
            await group.start(lead)
            async with market.keeper() as second:
                assert not (await shown(second, "/health"))["leading"]
                enough.set()
                await until_shown(second, "/health", lambda health: health["leading"])
                await market.let_time_pass()
                await until_shown(second, "/health", lambda health: health["claimed"] == 1)
        assert await market.statuses(deal, 1) == [TaskStatus.FAILED]

    play(story)


def test_a_keeper_without_coin_says_so(play: Callable[[Story], None]) -> None:
    async def story(market: Market) -> None:
        await market.buy(category=SHORT)
        await market.let_time_pass()
        await market.rpc.call("anvil_setBalance", KEEPER.address, "0x0")
        async with market.keeper() as url:
            health = await until_shown(url, "/health", lambda health: not health["ok"])
            assert health["trouble"]["code"] == "INSUFFICIENT_FUNDS"
            assert health["trouble"]["remedy"]
            assert health["stuckDeals"] == 1

    play(story)
