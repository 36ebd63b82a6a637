"""Deals, categories, trades and metrics: what the chain did, as clients of the network read it."""

from __future__ import annotations

import anyio
import pytest

from pyiexec.chain import calls
from pyiexec.chain.anvil import free_port
from pyiexec.chain.rpc import JsonRpc
from pyiexec.chain.sending import Call
from pyiexec.protocol.orders import NO_DATASET
from pyiexec.protocol.primitives import NULL_ADDRESS, bytes32

from .conftest import ADMIN, APP_OWNER, POOL_OWNER, REQUESTER, STRANGER, Chain, Market, running

pytestmark = pytest.mark.anyio

PARAMS = '{"iexec_args":"<script>alert(1)</script>"}'


async def test_deals_are_listed_newest_first_and_found_by_every_filter(market: Market, chain: Chain) -> None:
    app, pool = chain.app_order(), chain.pool_order(category=1)
    first = chain.request_order(volume=4, category=1, params=PARAMS, beneficiary=STRANGER.address)
    second = chain.request_order(volume=1, category=1, workerpoolmaxprice=200)
    await chain.match(app, pool, first)
    async with JsonRpc(chain.url) as rpc:
        snapshot = await rpc.call("evm_snapshot")
        await chain.match(app, pool, second)

        async def listed(number: int) -> bool:
            return (await market.get("/deals"))[1]["count"] == number

        await market.until(lambda: listed(2))
        _, page = await market.get("/deals")
        assert [deal["requestHash"] for deal in page["deals"]] == [chain.hash(second), chain.hash(first)]
        newest, deal = page["deals"]
        block = await rpc.call("eth_getBlockByNumber", hex(deal["blockNumber"]), False)
    assert deal | {"dealid": "", "blockTimestamp": "", "startTime": 0, "transactionHash": ""} == {
        "dealid": "",
        "chainId": chain.manifest.chain_id,
        "app": {"pointer": chain.app, "owner": APP_OWNER.address, "price": 3},
        "dataset": {"pointer": NULL_ADDRESS, "owner": NULL_ADDRESS, "price": 0},
        "workerpool": {"pointer": chain.workerpool, "owner": POOL_OWNER.address, "price": 100},
        "appHash": chain.hash(app),
        "datasetHash": deal["datasetHash"],
        "workerpoolHash": chain.hash(pool),
        "requestHash": chain.hash(first),
        "requester": REQUESTER.address,
        "beneficiary": STRANGER.address,
        "callback": NULL_ADDRESS,
        "params": PARAMS,
        "volume": 4,
        "category": 1,
        "tag": bytes32(0),
        "trust": 1,
        "startTime": 0,
        "botFirst": 0,
        "botSize": 4,
        "workerStake": 30,
        "schedulerRewardRatio": deal["schedulerRewardRatio"],
        "sponsor": REQUESTER.address,
        "blockNumber": int(block["number"], 16),
        "blockTimestamp": "",
        "transactionHash": "",
    }
    assert deal["startTime"] == int(block["timestamp"], 16)
    assert deal["transactionHash"] in block["transactions"]
    alone = {"ok": True, **deal, "chainId": str(chain.manifest.chain_id)}
    assert await market.get(f"/deals/{deal['dealid']}") == (200, alone)
    assert (await market.get(f"/deals/{bytes32(1)}"))[1]["error"] == "deal not found"
    for name, value in {
        "category": "1",
        "requester": REQUESTER.address.lower(),
        "beneficiary": STRANGER.address,
        "app": chain.app,
        "dataset": NULL_ADDRESS,
        "workerpool": chain.workerpool,
        "appOwner": APP_OWNER.address,
        "datasetOwner": NULL_ADDRESS,
        "workerpoolOwner": POOL_OWNER.address,
        "apporderHash": chain.hash(app),
        "workerpoolorderHash": chain.hash(pool),
        "requestorderHash": chain.hash(first),
    }.items():
        _, found = await market.get("/deals", **{name: value})
        assert deal in found["deals"], name
        other = {"category": "2"}.get(name, bytes32(7) if name.endswith("Hash") else chain.manifest.hub)
        assert (await market.get("/deals", **{name: other}))[1] == {"ok": True, "deals": [], "count": 0}
    _, trades = await market.get("/ohlc", category="1")
    assert trades["ohlc"] == [[newest["blockTimestamp"], 100, 1], [deal["blockTimestamp"], 100, 4]]
    async with JsonRpc(chain.url) as rpc:
        await rpc.call("evm_revert", snapshot)
        await rpc.call("anvil_mine", "0x3")
    await market.until(lambda: listed(1))
    assert (await market.get(f"/deals/{newest['dealid']}"))[0] == 404


async def test_a_boost_deal_is_a_deal(market: Market, chain: Chain) -> None:
    app, pool = chain.app_order(), chain.pool_order(trust=0)
    request = chain.request_order(params=PARAMS)
    data = calls.match_orders(app, NO_DATASET, pool, request, boost=True)
    await chain.send(REQUESTER, Call(chain.manifest.hub, data, 1_500_000, "match"))

    async def listed() -> bool:
        return (await market.get("/deals"))[1]["count"] == 1

    await market.until(listed)
    [deal] = (await market.get("/deals", app=chain.app, requester=REQUESTER.address))[1]["deals"]
    assert (deal["params"], deal["workerpool"]["price"], deal["botSize"]) == (PARAMS, 100, 2)
    assert deal["blockTimestamp"] > "2020"


async def test_categories_are_listed_shortest_first(market: Market, chain: Chain) -> None:
    data = calls.create_category("fast", '{"<b>"}', 7)
    await chain.send(ADMIN, Call(chain.manifest.hub, data, title="create a category"))

    async def listed() -> bool:
        return (await market.get("/categories"))[1]["count"] == 7

    await market.until(listed)
    _, page = await market.get("/categories")
    assert [(it["catid"], it["name"], it["workClockTimeRef"]) for it in page["categories"]] == [
        (5, "XXS", 5),
        (6, "fast", 7),
        *[(number, name, time) for number, (name, time) in enumerate(STANDARD)],
    ]
    _, middle = await market.get("/categories", minWorkClockTimeRef="1200", maxWorkClockTimeRef="3600")
    assert [it["catid"] for it in middle["categories"]] == [1, 2]
    single = {"ok": True, **page["categories"][1], "chainId": str(chain.manifest.chain_id)}
    assert await market.get("/categories/6") == (200, single)
    assert single["description"] == '{"<b>"}'
    for path, status, error in (
        ("/categories/7", 404, "category not found"),
        ("/categories/x", 400, None),
        ("/categories/-1", 400, "catid must be greater than or equal to 0"),
    ):
        found = await market.get(path)
        assert found[0] == status
        assert error in (None, found[1]["error"])


STANDARD = (("XS", 300), ("S", 1200), ("M", 3600), ("L", 10800), ("XL", 36000))


async def test_metrics_tell_how_old_the_book_is(chain: Chain, database_url: str) -> None:
    async with running(chain, database_url) as market:
        await market.book.publish(chain.app_order(), APP_OWNER)
        withdrawn = chain.app_order()
        await market.book.publish(withdrawn, APP_OWNER)
        await market.book.unpublish("apporder", APP_OWNER, order_hash=chain.hash(withdrawn))
        async with JsonRpc(chain.url) as rpc:
            head = await rpc.block_number()

        async def caught_up() -> bool:
            return bool((await market.get("/metrics"))[1]["lastBlock"] == head)

        await market.until(caught_up)
        _, metrics = await market.get("/metrics")
        assert metrics["apporders"] == 1
        assert metrics["requestorders"] == 0
        assert metrics["statuses"]["apporders"] == {
            "open": 1,
            "filled": 0,
            "canceled": 0,
            "suspended": 0,
            "unpublished": 1,
        }
        assert metrics["node"] == {"connected": True, "head": head, "lagBlocks": 0, "lagSeconds": 0}
        assert 0 < metrics["checkpointBlock"] <= head
    # Without a node the book answers all the same, and says that it may be old.
    async with running(chain, database_url, rpc_url=f"http://127.0.0.1:{free_port()}") as market:
        with anyio.fail_after(10):
            assert (await market.get("/apporders", app=chain.app))[1]["count"] == 1
            _, metrics = await market.get("/metrics")
        assert metrics["node"] == {"connected": False, "head": None, "lagBlocks": None, "lagSeconds": None}
        assert metrics["lastBlock"] == metrics["checkpointBlock"] > 0
        status, answer = await market.request("POST", "/apporders", {}, await market.token(APP_OWNER))
        assert (status, answer["error"]) == (400, "order is a required field")
