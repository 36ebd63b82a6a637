"""Logs are told once each and in order; what the chain takes back is told as well; a crash changes nothing of that."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from pathlib import Path

import anyio
import pytest
import sqlalchemy as sa

from pyiexec.chain.anvil import Anvil, AnvilOptions
from pyiexec.chain.follower import Batch, Cursor, LogFilter, LogFollower, Mark, load_cursor, save_cursor
from pyiexec.chain.follower import following as module
from pyiexec.chain.follower.cursor import WINDOW, trimmed
from pyiexec.chain.heads import HeadFeed
from pyiexec.chain.rpc import JsonRpc
from pyiexec.foundation.database import Database

from . import bell

pytestmark = pytest.mark.anyio

effects = sa.Table(
    "effects",
    sa.MetaData(),
    sa.Column("number", sa.Integer),
    sa.Column("block", sa.String),
    sa.Column("at", sa.Integer),
)


@pytest.fixture
def options() -> AnvilOptions:
    return AnvilOptions(block_time=600)


async def ring(rpc: JsonRpc, *numbers: int, topic: str = bell.TOPIC, sender: str | None = None) -> None:
    account = sender or (await rpc.call("eth_accounts"))[0]
    for number in numbers:
        data = "0x" + bell.ring(number, topic).hex()
        transaction = {"from": account, "to": bell.ADDRESS, "data": data, "gas": hex(bell.GAS)}
        answer = await rpc.call("eth_sendTransaction", transaction)
        while await rpc.call("eth_getTransactionReceipt", answer) is None:
            pass


class Reader:
    """A consumer that stores what it is told together with its cursor, as services do."""

    def __init__(self, database: Database, batches: AsyncIterator[Batch]) -> None:
        self.database = database
        self.batches = batches
        self.told: list[Batch] = []

    async def take(self) -> Batch:
        with anyio.fail_after(20):
            batch = await anext(self.batches)
        self.told.append(batch)

        def store(connection: sa.Connection) -> None:
            for log in batch.removed:
                gone = effects.c.number == bell.number_of(log), effects.c.block == log["blockHash"]
                assert connection.execute(sa.delete(effects).where(*gone)).rowcount == 1
            rows = [
                {"number": bell.number_of(log), "block": log["blockHash"], "at": int(log["blockNumber"], 16)}
                for log in batch.logs
            ]
            if rows:
                connection.execute(sa.insert(effects), rows)
            save_cursor(connection, "reader", batch.cursor)

        await self.database.write(store)
        return batch

    async def until(self, numbers: Sequence[int]) -> None:
        while await self.stored() != list(numbers):
            await self.take()

    async def stored(self) -> list[int]:
        return await self.database.read(lambda c: [row.number for row in c.execute(sa.select(effects))])


Follow = Callable[..., AbstractAsyncContextManager[Reader]]


@pytest.fixture
def follow(rpc: JsonRpc, feed: HeadFeed, database: Database) -> Follow:
    """Opens a reader that goes on where the last one stopped."""

    @asynccontextmanager
    async def open_it(**given: object) -> AsyncIterator[Reader]:
        await database.write(lambda connection: effects.create(connection, checkfirst=True))
        cursor = await database.read(lambda connection: load_cursor(connection, "reader"))
        arguments = {"addresses": [bell.ADDRESS], "topics": [[bell.TOPIC]], "cursor": cursor} | given
        follower = LogFollower(rpc, given.pop("feed", feed), **arguments)
        async with aclosing(follower.batches()) as batches:
            yield Reader(database, batches)

    return open_it


async def test_logs_are_told_as_they_come(follow: Follow, rpc: JsonRpc) -> None:
    async with follow() as reader:
        for number in range(5):
            await ring(rpc, number)
            batch = await reader.take()
            assert [bell.number_of(log) for log in batch.logs] == [number]
            assert batch.removed == ()
    assert await reader.stored() == [0, 1, 2, 3, 4]


async def test_logs_of_other_contracts_and_topics_are_passed_over(follow: Follow, rpc: JsonRpc) -> None:
    other = await bell.hang(rpc, "0x" + "be" * 19 + "ff")
    async with follow() as reader:
        await ring(rpc, 1, topic=bell.OTHER_TOPIC)
        account = (await rpc.call("eth_accounts"))[0]
        await rpc.call("eth_sendTransaction", {"from": account, "to": other, "data": "0x" + bell.ring(2).hex()})
        await ring(rpc, 3)
        await reader.until([3])


async def test_a_restarted_reader_goes_on_where_it_stored_its_cursor(follow: Follow, rpc: JsonRpc) -> None:
    async with follow() as reader:
        await ring(rpc, 1)
        await reader.until([1])
    await ring(rpc, 2, 3)
    async with follow() as reader:
        await reader.until([1, 2, 3])
    async with follow() as reader:
        await ring(rpc, 4)
        await reader.until([1, 2, 3, 4])
        assert [len(batch.logs) for batch in reader.told] == [1]


async def test_effects_that_were_not_stored_are_told_again(follow: Follow, rpc: JsonRpc) -> None:
    await ring(rpc, 1, 2)
    async with follow() as reader:
        with anyio.fail_after(10):
            lost = await anext(reader.batches)
        assert len(lost.logs) == 2
    async with follow() as reader:
        await reader.until([1, 2])


async def test_a_reorganisation_is_undone_before_the_new_branch_is_told(follow: Follow, rpc: JsonRpc) -> None:
    async with follow() as reader:
        await ring(rpc, 1)
        await reader.until([1])
        snapshot = await rpc.call("evm_snapshot")
        await ring(rpc, 2, 3)
        await reader.until([1, 2, 3])
        await rpc.call("evm_revert", snapshot)
        await ring(rpc, 4)
        await reader.until([1, 4])
    undone = [batch for batch in reader.told if batch.removed]
    assert [[bell.number_of(log) for log in batch.removed] for batch in undone] == [[3, 2]]
    assert undone[0].rewound_to == int(reader.told[0].logs[0]["blockNumber"], 16)


@pytest.mark.parametrize("depth", [1, 3, 10])
async def test_blocks_mined_anew_by_the_node_are_followed(follow: Follow, rpc: JsonRpc, depth: int) -> None:
    async with follow() as reader:
        for number in range(12):
            await ring(rpc, number)
        await reader.until(range(12))
        await rpc.call("anvil_reorg", depth, [])
        await ring(rpc, 99)
        while 99 not in await reader.stored():
            await reader.take()
        logs = await rpc.call("eth_getLogs", {"address": bell.ADDRESS, "fromBlock": "0x0"})
        assert await reader.stored() == [bell.number_of(log) for log in logs]


async def test_a_rolled_back_chain_is_followed_back(follow: Follow, rpc: JsonRpc) -> None:
    async with follow() as reader:
        await ring(rpc, 1, 2, 3, 4)
        await reader.until([1, 2, 3, 4])
        await rpc.call("anvil_rollback", 3)
        await rpc.call("anvil_mine", "0x1")
        await reader.until([1])


async def test_a_reorganisation_while_the_reader_was_down_is_noticed(follow: Follow, rpc: JsonRpc) -> None:
    snapshot = await rpc.call("evm_snapshot")
    async with follow() as reader:
        await ring(rpc, 1, 2)
        await reader.until([1, 2])
    await rpc.call("evm_revert", snapshot)
    await ring(rpc, 3)
    async with follow() as reader:
        await reader.until([3])
    assert reader.told[0].removed


async def test_thousands_of_logs_are_caught_up_with_in_ranges(
    follow, rpc: JsonRpc, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SPAN_FIRST", 8)
    account = (await rpc.call("eth_accounts"))[0]
    await rpc.call("anvil_setIntervalMining", 0)
    await rpc.call("evm_setAutomine", False)
    for start in range(0, 3000, 100):
        requests = [
            (
                "eth_sendTransaction",
                [
                    {
                        "from": account,
                        "to": bell.ADDRESS,
                        "gas": hex(bell.GAS),
                        "nonce": hex(number),
                        "data": "0x" + bell.ring(number).hex(),
                    }
                ],
            )
            for number in range(start, start + 100)
        ]
        await rpc.batch(requests)
        await rpc.call("anvil_mine", "0x1")
    before = rpc.count
    async with follow() as reader:
        with anyio.fail_after(60):
            await reader.until(range(3000))
    assert rpc.count - before < 20


async def test_a_node_that_refuses_large_ranges_is_asked_for_smaller_ones(
    follow, anvil: Anvil, rpc: JsonRpc, feed: HeadFeed, database: Database
) -> None:
    await ring(rpc, *range(9))

    class Narrow(JsonRpc):
        """Takes four blocks at most, as public nodes do with their own limits."""

        async def call(self, method: str, *params: object) -> object:
            if method == "eth_getLogs":
                query = params[0]
                assert isinstance(query, dict)
                if int(query["toBlock"], 16) - int(query["fromBlock"], 16) > 3:
                    return await super().call("eth_unsupported")
            return await super().call(method, *params)

    async with Narrow(anvil.url) as narrow:
        follower = LogFollower(narrow, feed, [bell.ADDRESS])
        seen: list[int] = []
        with anyio.fail_after(20):
            async with aclosing(follower.batches()) as batches:
                async for batch in batches:
                    seen += [bell.number_of(log) for log in batch.logs]
                    if len(seen) == 9:
                        break
    assert seen == list(range(9))


async def test_confirmed_logs_wait_for_their_blocks(follow: Follow, rpc: JsonRpc) -> None:
    async with follow(confirmations=2) as reader:
        await rpc.call("anvil_mine", "0x2")
        await ring(rpc, 1)
        with anyio.move_on_after(0.5):
            await anext(reader.batches)
            pytest.fail("told too early")
    async with follow(confirmations=2) as reader:
        for number in (1, 2):
            await rpc.call("anvil_mine", "0x2")
            await reader.until(range(1, number + 1))
            await ring(rpc, number + 1)
        requests = rpc.count
        await rpc.call("anvil_mine", "0x1")
        await rpc.call("anvil_mine", "0x1")
        await reader.until([1, 2, 3])
        assert rpc.count - requests == 3  # two of the test, one for the logs


async def test_without_a_start_only_what_comes_is_told(follow: Follow, rpc: JsonRpc, feed: HeadFeed) -> None:
    await ring(rpc, 1)
    async with feed.subscribe() as heads:
        with anyio.fail_after(10):
            while (await anext(heads)).number < 1:
                pass
    async with follow(start_block=None) as reader, anyio.create_task_group() as group:
        group.start_soon(reader.take)
        await anyio.wait_all_tasks_blocked()
        await ring(rpc, 2)
    assert await reader.stored() == [2]


async def test_an_idle_follower_asks_nothing(follow: Follow, rpc: JsonRpc) -> None:
    async with follow(every_block=True) as reader:
        await reader.take()
        before = rpc.count
        for _ in range(20):
            await rpc.call("anvil_mine", "0x1")
        while reader.told[-1].cursor.number < 20:
            await reader.take()
        assert rpc.count - before == 20  # those of the test


class TestNodes:
    @pytest.fixture
    def options(self, tmp_path: Path) -> AnvilOptions:
        return AnvilOptions(block_time=600, state=tmp_path / "state.json")

    async def test_a_restarted_node_is_followed_on(self, follow: Follow, anvil: Anvil, rpc: JsonRpc) -> None:
        async with follow() as reader:
            await ring(rpc, 1)
            await reader.until([1])
            await anvil.stop()
            await anvil.start()
            await ring(rpc, 2)
            await reader.until([1, 2])
        assert not any(batch.removed for batch in reader.told)

    async def test_a_node_that_comes_back_shorter_is_followed_back(
        self, follow: Follow, anvil: Anvil, rpc: JsonRpc
    ) -> None:
        async with follow() as reader:
            await ring(rpc, 1)
            await reader.until([1])
            await anvil.stop()
            await anvil.start()
            await ring(rpc, *range(2, 10))
            await reader.until(range(1, 10))
            anvil._process.kill()
            anvil._process.wait()
            await anvil.start()
            await reader.until([1])
            await ring(rpc, 20)
            await reader.until([1, 20])

    async def test_a_chain_that_was_reset_begins_anew(
        self, follow: Follow, anvil: Anvil, rpc: JsonRpc, tmp_path: Path
    ) -> None:
        async with follow() as reader:
            await ring(rpc, 1, 2)
            await reader.until([1, 2])
            await anvil.stop()
            (tmp_path / "state.json").unlink()
            await anyio.sleep(1.1)  # another genesis has another second
            await anvil.start()
            await bell.hang(rpc)
            await ring(rpc, 5)
            await reader.until([5])


def test_old_marks_thin_out_but_reach_back() -> None:
    marks: list[Mark] = []
    for number in range(100_000):
        marks.append(Mark(number, hex(number)))
        if number % 16 == 0:
            marks = trimmed(marks, number)
    marks = trimmed(marks, 99_999)
    assert [mark.number for mark in marks[-WINDOW:]] == list(range(100_000 - WINDOW, 100_000))
    assert len(marks) < WINDOW + 60
    assert marks[0].number < 50_000


async def test_a_cursor_is_stored_as_it_was(database: Database) -> None:
    log = {"data": "0x01", "topics": [bell.TOPIC]}
    cursor = Cursor(9, "0x9", (Mark(1, "0x1"), Mark(8, "0x8", (log,)), Mark(9, "0x9")))
    await database.write(lambda connection: save_cursor(connection, "reader", cursor))
    assert await database.read(lambda connection: load_cursor(connection, "reader")) == cursor
    later = Cursor(9, "0xf", (Mark(1, "0x1"), Mark(8, "0x8"), Mark(9, "0xf", (log, log))))
    await database.write(lambda connection: save_cursor(connection, "reader", later))
    assert await database.read(lambda connection: load_cursor(connection, "reader")) == later
    assert await database.read(lambda connection: load_cursor(connection, "another")) is None


@pytest.mark.parametrize("topics", [[[bell.TOPIC]], []])
async def test_several_filters_make_one_stream(follow: Follow, rpc: JsonRpc, topics: list[list[str]]) -> None:
    """Logs of both are told in the order of the chain, and one that both want is told once."""
    also = [LogFilter([], [bell.OTHER_TOPIC])]
    for number in range(3):
        await ring(rpc, number, topic=bell.OTHER_TOPIC if number % 2 else bell.TOPIC)
    async with follow(topics=topics, also=also) as reader:
        await reader.until([0, 1, 2])
        for number in range(3, 7):
            await ring(rpc, number, topic=bell.OTHER_TOPIC if number % 2 else bell.TOPIC)
        await reader.until(range(7))
        snapshot = await rpc.call("evm_snapshot")
        await ring(rpc, 7, topic=bell.OTHER_TOPIC)
        await reader.until(range(8))
        await rpc.call("evm_revert", snapshot)
        await ring(rpc, 8)
        await reader.until([*range(7), 8])
