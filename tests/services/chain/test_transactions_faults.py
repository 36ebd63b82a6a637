"""Crashes, reorganisations, dropped and underpriced transactions, nodes that go away: nothing is lost or doubled."""

import signal
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import anyio
import pytest

from pyiexec.chain.anvil import Anvil, AnvilOptions
from pyiexec.chain.heads import HeadFeed
from pyiexec.chain.rpc import JsonRpc
from pyiexec.chain.signer import Signer
from pyiexec.chain.transactions import MIGRATIONS, TransactionManager, TransactionRecord, TransactionStatus
from pyiexec.foundation.database import Database

from . import bell
from .conftest import CHAIN_ID, OpenManager

pytestmark = pytest.mark.anyio

CRASHING = Path(__file__).with_name("crashing.py")
BLOCKS_BY_HAND = AnvilOptions(block_time=600, mixed=False)


async def rung(rpc: JsonRpc) -> list[int]:
    logs = await rpc.call("eth_getLogs", {"address": bell.ADDRESS, "fromBlock": "0x0", "toBlock": "latest"})
    return [bell.number_of(log) for log in logs]


async def submit(manager: TransactionManager, number: int) -> TransactionRecord:
    return await manager.submit("bell", str(number), bell.ADDRESS, bell.ring(number), gas=bell.GAS)


async def run_until_killed(*arguments: object) -> int:
    command = [sys.executable, str(CRASHING), *map(str, arguments)]
    process = await anyio.run_process(command, check=False, stdout=None, stderr=None)
    return process.returncode


async def mined(rpc: JsonRpc, done: anyio.Event) -> None:
    """Mine blocks until `done`, at a pace at which everybody keeps up."""
    while not done.is_set():
        await rpc.call("anvil_mine", "0x1")
        with anyio.move_on_after(0.2):
            await done.wait()


async def eventually(question: Callable[[], Awaitable[object]], answer: object) -> None:
    """Ask until it is so; nobody is told when a node's pool or its past changes."""
    while await question() != answer:
        pass


class TestCrashes:
    @pytest.mark.parametrize("where", ["before-send", "after-send"])
    @pytest.mark.parametrize("at", [1, 7])
    async def test_killed_while_sending_nothing_is_orphaned_or_doubled(
        self, where: str, at: int, anvil: Anvil, rpc: JsonRpc, database_url: str
    ) -> None:
        assert await run_until_killed(anvil.url, database_url, where, at, 20) == -signal.SIGKILL
        assert await run_until_killed(anvil.url, database_url, "never", 0, 20) == 0
        assert await rung(rpc) == list(range(20))

    async def test_what_was_stored_is_sent_by_the_next_process_without_being_asked(
        self, anvil: Anvil, rpc: JsonRpc, database_url: str, signer: Signer, feed: HeadFeed
    ) -> None:
        assert await run_until_killed(anvil.url, database_url, "before-send", 1, 1) == -signal.SIGKILL
        assert await rung(rpc) == []
        database = await Database.open(database_url, [MIGRATIONS])
        async with TransactionManager(rpc, signer, database, feed, chain_id=CHAIN_ID) as manager:
            record = await manager.find("bell", "0")
            assert record is not None
            with anyio.fail_after(20):
                await manager.wait(record)
        await database.close()
        assert await rung(rpc) == [0]

    async def test_killed_again_and_again_it_still_gets_there(
        self, anvil: Anvil, rpc: JsonRpc, database_url: str
    ) -> None:
        for at in (3, 9, 2, 15):
            where = "after-send" if at % 2 else "before-send"
            await run_until_killed(anvil.url, database_url, where, at, 30)
        assert await run_until_killed(anvil.url, database_url, "never", 0, 30) == 0
        assert await rung(rpc) == list(range(30))


class TestReorganisations:
    @pytest.fixture
    def options(self) -> AnvilOptions:
        return AnvilOptions(block_time=600)

    async def test_an_included_transaction_that_is_taken_back_is_pending_again(
        self, rpc: JsonRpc, open_manager: OpenManager
    ) -> None:
        async with open_manager() as manager:
            snapshot = await rpc.call("evm_snapshot")
            record = await submit(manager, 1)
            with anyio.fail_after(20):
                first = await manager.wait(record)
                assert await rpc.call("evm_revert", snapshot)
                assert await rung(rpc) == []
                done = anyio.Event()
                async with anyio.create_task_group() as group:
                    group.start_soon(mined, rpc, done)
                    await eventually(partial(rung, rpc), [1])
                    # A second mined in the new branch shows that the account's nonce is right again.
                    second = await manager.wait(await submit(manager, 2))
                    done.set()
            again = await manager.wait(record)
            assert again.block_hash != first.block_hash
            assert again.transaction_hash == first.transaction_hash
            found = await manager.find("bell", "1")
            assert found is not None
            assert (found.status, found.block_hash) == (TransactionStatus.INCLUDED, again.block_hash)
            assert second.succeeded
        assert await rung(rpc) == [1, 2]

    async def test_a_block_taken_back_while_the_process_was_down_is_noticed_at_the_start(
        self, rpc: JsonRpc, open_manager: OpenManager
    ) -> None:
        snapshot = await rpc.call("evm_snapshot")
        async with open_manager() as manager:
            await manager.wait(await submit(manager, 1))
        await rpc.call("evm_revert", snapshot)
        async with open_manager() as manager:
            with anyio.fail_after(20):
                await manager.wait(await submit(manager, 2))
                await manager.wait(await submit(manager, 1))
        assert await rung(rpc) == [1, 2]


class TestStuckTransactions:
    @pytest.fixture
    def options(self) -> AnvilOptions:
        return BLOCKS_BY_HAND

    async def test_dropped_transactions_are_sent_again(self, rpc: JsonRpc, open_manager: OpenManager) -> None:
        async with open_manager() as manager:
            records = [await submit(manager, number) for number in range(3)]
            with anyio.fail_after(30):
                await eventually(partial(rpc.call, "txpool_status"), {"pending": "0x3", "queued": "0x0"})
                await rpc.call("anvil_dropAllTransactions")
                done = anyio.Event()
                async with anyio.create_task_group() as group:
                    group.start_soon(mined, rpc, done)
                    for record in records:
                        await manager.wait(record)
                    done.set()
        assert await rung(rpc) == [0, 1, 2]

    async def test_an_offer_below_the_base_fee_is_raised(self, rpc: JsonRpc, open_manager: OpenManager) -> None:
        async with open_manager() as manager:
            record = await submit(manager, 0)
            with anyio.fail_after(40):
                await eventually(partial(rpc.call, "txpool_status"), {"pending": "0x1", "queued": "0x0"})
                await rpc.call("anvil_setNextBlockBaseFeePerGas", hex(2000 * 10**9))
                done = anyio.Event()
                async with anyio.create_task_group() as group:
                    group.start_soon(mined, rpc, done)
                    receipt = await manager.wait(record)
                    done.set()
            found = await manager.find("bell", "0")
        assert found is not None
        assert found.former_hashes
        assert receipt.transaction_hash == found.hash
        assert await rung(rpc) == [0]

    async def test_what_no_block_takes_is_replaced_under_its_nonce_until_one_does(
        self, rpc: JsonRpc, open_manager: OpenManager
    ) -> None:
        async with open_manager() as manager:
            record = await submit(manager, 0)
            assert record.fees is not None
            first, nonce = record.fees.max_fee, record.nonce
            with anyio.fail_after(60):
                # Blocks that are dearer than what was offered, again and again.
                while (found := await manager.find("bell", "0")) is not None and len(found.hashes) < 3:
                    assert found.fees is not None
                    await self.mine_at(rpc, 2 * found.fees.max_fee)
                done = anyio.Event()
                async with anyio.create_task_group() as group:
                    group.start_soon(mined, rpc, done)
                    receipt = await manager.wait(record)
                    done.set()
            found = await manager.find("bell", "0")
            assert found is not None
            assert found.fees is not None
            assert (found.nonce, found.hash) == (nonce, receipt.transaction_hash)
            assert len(found.former_hashes) >= 2
            assert found.fees.max_fee * 64 >= first * 81, "each offer is an eighth above the one before at least"
        assert await rung(rpc) == [0]

    async def test_no_more_than_the_limit_is_offered_and_cheaper_blocks_are_waited_for(
        self, rpc: JsonRpc, open_manager: OpenManager
    ) -> None:
        limit = 5 * 10**9
        async with open_manager(max_gas_price=limit) as manager:
            record = await submit(manager, 0)
            with anyio.fail_after(60):
                for _ in range(16):
                    await self.mine_at(rpc, 3 * limit)
                found = await manager.find("bell", "0")
                assert found is not None
                assert found.fees is not None
                assert found.status is TransactionStatus.PENDING
                assert found.fees.max_fee <= limit
                await self.mine_at(rpc, 10**9)
                done = anyio.Event()
                async with anyio.create_task_group() as group:
                    group.start_soon(mined, rpc, done)
                    receipt = await manager.wait(record)
                    done.set()
            assert receipt.effective_gas_price <= limit
        assert await rung(rpc) == [0]

    async def mine_at(self, rpc: JsonRpc, base_fee: int) -> None:
        """A block in which gas costs this much at least; slower than the manager calls stuck."""
        await rpc.call("anvil_setNextBlockBaseFeePerGas", hex(base_fee))
        await rpc.call("anvil_mine", "0x1")
        await anyio.sleep(0.25)


class TestSlowNodes:
    @pytest.fixture
    def options(self) -> AnvilOptions:
        return BLOCKS_BY_HAND

    async def test_a_node_slow_to_take_a_transaction_is_waited_for_while_blocks_go_by(
        self, anvil: Anvil, rpc: JsonRpc, signer: Signer, database: Database, feed: HeadFeed
    ) -> None:
        asked, answering = anyio.Event(), anyio.Event()

        class SlowRpc(JsonRpc):
            async def call(self, method: str, *params: object) -> object:
                if method == "eth_sendRawTransaction":
                    asked.set()
                    await answering.wait()
                return await super().call(method, *params)

        async with (
            SlowRpc(anvil.url) as slow,
            TransactionManager(slow, signer, database, feed, chain_id=CHAIN_ID) as manager,
        ):
            record = await submit(manager, 0)
            await asked.wait()
            with anyio.fail_after(30):
                # Long enough for the manager to want it sent again, and at a better price.
                for _ in range(10):
                    await rpc.call("anvil_mine", "0x1")
                    await anyio.sleep(0.3)
                answering.set()
                done = anyio.Event()
                async with anyio.create_task_group() as group:
                    group.start_soon(mined, rpc, done)
                    await manager.wait(record)
                    done.set()
        assert await rung(rpc) == [0]


class TestNodesThatGoAway:
    @pytest.fixture
    def options(self, tmp_path: Path) -> AnvilOptions:
        return AnvilOptions(state=tmp_path / "state.json")

    async def test_submitted_while_the_node_is_down_it_is_sent_when_the_node_is_back(
        self, anvil: Anvil, rpc: JsonRpc, open_manager: OpenManager
    ) -> None:
        async with open_manager() as manager:
            await manager.wait(await submit(manager, 0))
            await anvil.stop()
            record = await submit(manager, 1)
            await anvil.start()
            with anyio.fail_after(30):
                await manager.wait(record)
        assert await rung(rpc) == [0, 1]

    async def test_a_node_that_lost_its_last_blocks_is_given_them_again(
        self, anvil: Anvil, rpc: JsonRpc, open_manager: OpenManager
    ) -> None:
        async with open_manager() as manager:
            await manager.wait(await submit(manager, 0))
            await anvil.stop()  # it keeps the first
            await anvil.start()
            records = [await submit(manager, number) for number in range(1, 101)]
            for record in records:
                await manager.wait(record)
            anvil._process.kill()  # it forgets the others
            anvil._process.wait()
            await anvil.start()
            with anyio.fail_after(60):
                await manager.wait(await submit(manager, 101))
                await eventually(partial(rung, rpc), list(range(102)))
