"""What an index makes of a chain, also of one that goes back, hides its past or says strange things."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from pyiexec.chain import calls, registries
from pyiexec.chain.rpc import JsonRpc, RpcError
from pyiexec.indexer import queries
from pyiexec.protocol.primitives import Address

from .indexing import Dump, Index
from .marketplace import APP_OWNER, PRICE, REQUESTER, SCHEDULER, STRANGER, WORKER, Marketplace

pytestmark = pytest.mark.anyio

#: Blocks that the index remembers how to undo, and some more.
DEEP = 70


async def rebuilt(index: Index, folder: Path, **how: Any) -> Dump:
    """What a new index makes of the chain."""
    settings = index.settings
    async with Index.open(f"sqlite:///{folder / 'rebuilt.db'}", settings.rpc_url, settings.hub) as fresh:
        await fresh.catch_up(**how)
        return await fresh.dump()


async def test_a_task_from_order_to_result(market: Marketplace, index: Index) -> None:
    deal = await market.match('{"iexec_args":"x"}', volume=2, dataset=True)
    task = await market.begin(deal)
    await market.finish(task, b"result")
    await index.catch_up()
    row = (await index.rows("deals"))[deal]
    assert (row["app"], row["app_price"], row["dataset_price"]) == (market.app.lower(), 3, 2)
    assert (row["dataset"], row["params"], row["bulk"]) == (market.dataset.lower(), '{"iexec_args":"x"}', None)
    assert (row["bot_size"], row["completed_tasks_count"], row["claimed_tasks_count"]) == (2, 1, 0)
    assert row["beneficiary"] == STRANGER.address.lower()
    found = (await index.rows("tasks"))[task]
    assert (found["status"], found["results"], found["index"]) == ("COMPLETED", "0x" + b"result".hex(), 0)
    [contribution] = (await index.rows("contributions")).values()
    assert (contribution["worker"], contribution["status"]) == (WORKER.address.lower(), "PROVED")
    dump = await index.dump()
    kinds = [row["kind"] for row in dump["task_events"]]
    assert sorted(kinds) == ["TaskConsensus", "TaskContribute", "TaskFinalize", "TaskInitialize", "TaskReveal"]
    assert {row["kind"] for row in dump["account_events"]} == {"Lock", "Unlock", "Seize", "Reward"}
    [totals] = dump["protocols"]
    assert (totals["deals_count"], totals["tasks_count"], totals["completed_tasks_count"]) == (1, 2, 1)
    [app] = dump["apps"]
    assert (app["name"], app["usage_count"], app["last_usage_timestamp"]) == ("an app", 2, row["timestamp"])
    orders = {row["apporder"], row["datasetorder"], row["workerpoolorder"], row["requestorder"]}
    kept = {key for table in ("app", "dataset", "workerpool", "request") for key in await index.rows(f"{table}_orders")}
    assert orders == kept


async def test_every_account_that_anything_refers_to_is_there(market: Marketplace, index: Index) -> None:
    await market.finish(await market.begin(await market.match()))
    await index.catch_up()
    dump = await index.dump()
    accounts = {row["id"] for row in dump["accounts"]}
    columns = {
        "transactions": ("from", "to"),
        "transfers": ("from", "to"),
        "account_events": ("account",),
        "ressource_transfer_events": ("from", "to"),
        "deals": ("app_owner", "dataset_owner", "workerpool_owner", "requester", "beneficiary", "callback", "sponsor"),
        "apps": ("owner",),
        "contributions": ("worker",),
    }
    for table, names in columns.items():
        assert dump[table]
        for row in dump[table]:
            assert {row[name] for name in names} - {None} <= accounts, table


async def test_an_asset_that_is_sold_keeps_what_was_counted(market: Marketplace, index: Index) -> None:
    deal = await market.match()
    await market.rpc.call("evm_increaseTime", 10)
    sale = registries.transfer_asset(APP_OWNER.address, STRANGER.address, market.app)
    await market.send(APP_OWNER, market.manifest.registries.app, sale)
    await index.catch_up()
    [app] = (await index.rows("apps")).values()
    matched = (await index.rows("deals"))[deal]
    assert (app["owner"], app["usage_count"]) == (STRANGER.address.lower(), 1)
    assert app["last_usage_timestamp"] == matched["timestamp"] < app["timestamp"]
    [totals] = (await index.rows("protocols")).values()
    assert totals["apps_count"] == 1


async def test_policies_are_told_as_they_were_changed(market: Marketplace, index: Index) -> None:
    await market.send(SCHEDULER, market.workerpool, registries.change_policy(35, 5))
    await market.send(SCHEDULER, market.workerpool, registries.change_policy(40, 7))
    await index.catch_up()
    first, second = [row for row in (await index.dump())["workerpool_events"] if row["kind"] == "PolicyUpdate"]
    names = [f"{age}_{ratio}" for ratio in ("worker_stake_ratio", "scheduler_reward_ratio") for age in ("old", "new")]
    assert [first[name] for name in names] == [30, 35, 1, 5]
    assert [second[name] for name in names] == [35, 40, 5, 7]
    [pool] = (await index.rows("workerpools")).values()
    assert (pool["worker_stake_ratio"], pool["scheduler_reward_ratio"]) == (40, 7)


async def test_a_boost_deal_and_its_tasks(market: Marketplace, index: Index) -> None:
    deal = await market.match("quick", volume=3, boost=True)
    await market.push(deal, 1)
    await market.rpc.call("evm_increaseTime", 10**7)
    await market.send(STRANGER, market.hub, calls.claim_boost(deal, 2))
    await index.catch_up()
    row = (await index.rows("deals"))[deal]
    assert (row["params"], row["scheduler_reward_ratio"], row["start_time"]) == ("quick", 1, row["timestamp"])
    assert (row["completed_tasks_count"], row["claimed_tasks_count"]) == (1, 1)
    tasks = (await index.rows("tasks")).values()
    assert {(task["index"], task["status"]) for task in tasks} == {(1, "COMPLETED"), (2, "FAILLED")}


@pytest.mark.parametrize(
    "params",
    [
        "[1, 2]",
        '"bulk_cid"',
        '{"bulk_cid": 5}',
        '{"bulk_cid": null}',
        '{"bulk_cid": "../../etc/passwd"}',
        '{"bulk_cid": {"bulk_cid": []}}',
        "[" * 4000,
        '{"bulk_cid":' * 300,
        "<script>alert('bulk_cid')</script>",
        "'; DROP TABLE deals; -- bulk_cid",
        "\0\ufffe \U0001f4a9 bulk_cid",
    ],
)
async def test_whatever_is_written_into_params_stops_nothing(market: Marketplace, index: Index, params: str) -> None:
    deal = await market.match(params)
    other = await market.match("fine")
    await index.catch_up()
    deals = await index.rows("deals")
    assert deals[deal]["params"] == params.replace("\0", "\ufffd")
    assert (deals[deal]["bulk"], deals[other]["params"]) == (None, "fine")


async def test_numbers_of_256_bits(market: Marketplace, index: Index) -> None:
    # What a hub of ours bounds, a policy does not.
    await market.send(SCHEDULER, market.workerpool, registries.change_policy(100, 100))
    await index.catch_up()
    enormous = 2**256 - 1
    await index.database.write(
        lambda connection: queries.update_rows(
            connection,
            {"accounts": [{"id": REQUESTER.address.lower(), "balance": enormous, "frozen": 0, "score": -enormous}]},
        )
    )
    row = (await index.rows("accounts"))[REQUESTER.address.lower()]
    assert (row["balance"], row["score"]) == (enormous, -enormous)


# --- going back -------------------------------------------------------------------------------------------------------


async def test_ten_blocks_are_taken_back_while_they_are_followed(
    market: Marketplace, index: Index, tmp_path: Path
) -> None:
    deal = await market.match(volume=5)
    first = await market.begin(deal, 0)
    async with index.following():
        await market.finish(first)
        await index.reach_head()
        before = await index.dump()
        gone = await market.begin(deal, 1)
        for _ in range(9):
            await market.send(REQUESTER, market.hub, calls.transfer(STRANGER.address, PRICE))
        await index.reach_head()
        assert gone in await index.rows("tasks")
        await market.rpc.call("anvil_reorg", 10, [])
        await index.reach_head()
        after = await index.dump()
        assert after == before
        other = await market.begin(deal, 2)
        await index.reach_head()
        assert gone not in await index.rows("tasks")
        assert other in await index.rows("tasks")
        followed = await index.dump()
    assert followed == await rebuilt(index, tmp_path)


async def test_going_back_further_than_can_be_undone(market: Marketplace, index: Index, tmp_path: Path) -> None:
    deal = await market.match(volume=5)
    snapshot = await market.rpc.call("evm_snapshot")
    await market.begin(deal, 1)
    await market.rpc.call("anvil_mine", hex(DEEP))
    await market.begin(deal, 2)
    async with index.following():
        await index.reach_head()
        assert len(await index.rows("tasks")) == 2
        await market.rpc.call("evm_revert", snapshot)
        kept = await market.begin(deal, 3)
        await index.reach_head()
        assert set(await index.rows("tasks")) == {kept}
        followed = await index.dump()
    assert followed == await rebuilt(index, tmp_path)


async def test_what_is_final_is_not_kept_for_undoing(market: Marketplace, index: Index) -> None:
    deal = await market.match(volume=5)
    async with index.following():
        await market.begin(deal, 0)
        await index.reach_head()
        await market.rpc.call("anvil_mine", hex(DEEP))
        await market.begin(deal, 1)
        await index.reach_head()
    kept = await index.database.read(lambda connection: queries.undoable(connection))
    head = await market.rpc.block_number()
    assert kept == [head]


# --- how it is read ---------------------------------------------------------------------------------------------------


class Forgetful(JsonRpc):
    """The node, but without any state but the newest."""

    async def batch_outcomes(self, requests: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        outcomes = await super().batch_outcomes(requests)
        refusal = RpcError("eth_call", {"code": -32000, "message": "missing trie node"})
        return [
            refusal if method == "eth_call" and params[1] != "latest" else outcome
            for (method, params), outcome in zip(requests, outcomes, strict=True)
        ]


class Stingy(JsonRpc):
    """The node, but answering no more than three requests at once."""

    async def batch_outcomes(self, requests: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        if len(requests) > 3:
            raise RpcError("batch", {"code": -32005, "message": "batch too large"})
        return await super().batch_outcomes(requests)


class Busy(JsonRpc):
    """The node, but every block holds many transactions that nobody here asked for."""

    async def batch_outcomes(self, requests: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
        outcomes = await super().batch_outcomes(requests)
        for (method, params), outcome in zip(requests, outcomes, strict=True):
            if method == "eth_getBlockByHash" and params[1]:
                outcome["transactions"] = [*outcome["transactions"], *({"hash": f"0x{n:064x}"} for n in range(50))]
        return outcomes


@pytest.mark.parametrize("rpc_type", [Forgetful, Stingy, Busy])
async def test_the_index_is_the_same_however_it_is_read(
    market: Marketplace, index: Index, tmp_path: Path, rpc_type: type[JsonRpc]
) -> None:
    deal = await market.match(volume=3, dataset=True)
    for number in range(3):
        await market.finish(await market.begin(deal, number))
    await index.catch_up(rpc_type=rpc_type, part_events=5)
    assert await index.dump() == await rebuilt(index, tmp_path)


async def test_a_start_in_the_middle_of_a_batch(market: Marketplace, index: Index, tmp_path: Path) -> None:
    """Each part leaves a place from which the rest is read, whenever the process dies."""
    deal = await market.match(volume=4)
    for number in range(4):
        await market.finish(await market.begin(deal, number))
    head = await market.rpc.block_number()
    places: set[int] = set()
    with anyio.fail_after(60):
        while head not in places:
            before = await index.database.read(queries.place)
            if before is not None:
                places.add(before.number)
            async with index.following(part_events=1):
                while head not in places and await index.database.read(queries.place) == before:
                    await anyio.lowlevel.checkpoint()
    assert len(places) > 3
    assert await index.dump() == await rebuilt(index, tmp_path)


async def test_policy_updates_of_strangers_mean_nothing(market: Marketplace, index: Index) -> None:
    """Anybody may emit an event of this name."""
    topic = registries.POLICY_UPDATE.topic
    # A contract that emits the topic with 128 bytes of zeros, and one that emits it with none.
    for size in ("80", "00"):
        code = f"0x7f{topic[2:]}60{size}5fa100"
        init = f"0x{len(code) // 2 - 1:04x}"
        data = f"0x61{init[2:]}80600a5f395ff3{code[2:]}"
        receipt = await market.rpc.call(
            "eth_sendTransactionSync", {"from": STRANGER.address, "data": data, "gas": hex(10**6)}
        )
        await market.send(STRANGER, Address(receipt["contractAddress"]), b"")
    await index.catch_up()
    assert not [row for row in (await index.dump())["workerpool_events"] if row["kind"] == "PolicyUpdate"]
