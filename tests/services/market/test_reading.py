"""Lists, pages and refusals over HTTP; garbage never breaks the service."""

from __future__ import annotations

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pyiexec.chain.orderbook import OrderBook
from pyiexec.foundation.http import http_session
from pyiexec.protocol.errors import IexecError

from .conftest import POOL_OWNER, Chain, Market

pytestmark = pytest.mark.anyio


async def test_orders_come_cheapest_first_in_pages(market: Market, chain: Chain) -> None:
    prices = [5, 3, 9, 1, 7, 3, 8, 2, 6, 4, 0, 11]
    for price in prices:
        await market.book.publish(chain.pool_order(workerpoolprice=price), POOL_OWNER)
        market.clock.offset += 0.001
    offers = await market.book.orders("workerpoolorder")
    assert [offer.order.workerpoolprice for offer in offers] == sorted(prices)  # type: ignore[union-attr]
    first, second = offers[3:5]
    assert first.published < second.published
    _, page = await market.get("/workerpoolorders", pageSize="10")
    assert (page["count"], len(page["orders"]), page["nextPage"]) == (12, 10, 10)
    _, page = await market.get("/workerpoolorders", pageIndex="1", pageSize="10")
    assert (page["count"], len(page["orders"]), "nextPage" in page) == (12, 2, False)
    _, page = await market.get("/workerpoolorders", page="11")
    assert [item["order"]["workerpoolprice"] for item in page["orders"]] == [11]
    assert [offer.order_hash for offer in await market.book.orders("workerpoolorder", limit=4)] == [
        offer.order_hash for offer in offers[:4]
    ]


async def test_pools_are_found_by_what_a_task_needs(market: Market, chain: Chain) -> None:
    gpu = "0x" + "0" * 61 + "100"
    for order in (
        chain.pool_order(category=0, trust=0),
        chain.pool_order(category=1, trust=10),
        chain.pool_order(category=1, trust=5, tag=gpu, volume=1),
    ):
        await market.book.publish(order, POOL_OWNER)

    async def found(**query: object) -> int:
        return len(await market.book.orders("workerpoolorder", **query))

    assert await found(category=1) == 2
    assert await found(category=1, minTrust=6) == 1
    assert await found(minTag=gpu) == 1
    assert await found(maxTag="0x" + "0" * 64) == 2
    assert await found(minVolume=2) == 2
    assert await found(workerpoolOwner=POOL_OWNER.address, workerpool="any") == 3
    assert await found(workerpool=chain.app) == 0
    assert await found(app=chain.app, isAppStrict=True) == 0


@pytest.mark.parametrize(
    ("path", "query", "status", "message"),
    [
        ("/apporders", {}, 400, "app or appOwner is required"),
        ("/apporders/0x12", {}, 400, "orderHash must be a bytes32 hexstring"),
        ("/requestorders/0x" + "00" * 32, {}, 404, "requestorder not found"),
        ("/workerpoolorders", {"chainId": "1"}, 400, "chainId 1 is not supported"),
        ("/challenge", {}, 400, "address is a required field"),
        ("/challenge", {"address": "me"}, 400, "address is not a valid ethereum address"),
        ("/nothing", {}, 404, "Not Found"),
    ],
)
async def test_refusals_are_json_with_their_status(
    market: Market, path: str, query: dict[str, str], status: int, message: str
) -> None:
    assert (await market.get(path, **query))[0] == status
    assert (await market.get(path, **query))[1]["error"] == message


async def test_what_a_browser_needs_is_allowed(market: Market) -> None:
    headers = {"Origin": "https://somewhere.example", "Access-Control-Request-Method": "PUT"}
    headers["Access-Control-Request-Headers"] = "authorization,content-type,accept"
    async with market.session.options(f"{market.url}/apporders", headers=headers) as response:
        assert response.status < 300
        assert "PUT" in response.headers["access-control-allow-methods"]
    async with market.session.get(f"{market.url}/apporders", headers={"Origin": "https://a.example"}) as response:
        assert response.status == 400
        assert response.headers["access-control-allow-origin"] == "*"


async def test_version_and_health_need_no_chain(market: Market) -> None:
    for path in ("/version", "/health"):
        async with market.session.get(market.url + path) as response:
            assert (await response.json())["ok"] is True


async def test_a_book_that_is_gone_is_reported(chain: Chain) -> None:
    async with OrderBook("http://127.0.0.1:9", chain.manifest.chain_id) as book:
        with pytest.raises(IexecError) as failure:
            await book.orders("workerpoolorder")
    assert failure.value.code == "MARKET_UNREACHABLE"


_PATHS = ["/apporders", "/datasetorders", "/workerpoolorders", "/requestorders", "/challenge", "/apporders/x"]
_NAMES = ["app", "appOwner", "dataset", "workerpool", "requester", "minTag", "maxTag", "minVolume", "category"]
_NAMES += ["minTrust", "maxTrust", "bulkOnly", "isAppStrict", "pageIndex", "pageSize", "page", "chainId", "address"]
_VALUES = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=50),
    st.integers(-(2**70), 2**70).map(str),
    st.sampled_from(["any", "true", "0x", "0x" + "f" * 64, "0x" + "0" * 40, "1e3", " 1", "１", "NaN", "'; --", "\0"]),
)
_REQUESTS = st.tuples(st.sampled_from(_PATHS), st.dictionaries(st.sampled_from(_NAMES), _VALUES, max_size=6))


async def test_no_query_breaks_the_service(market: Market) -> None:
    asked: list[tuple[str, dict[str, str]]] = []

    @settings(max_examples=300, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(_REQUESTS)
    def collect(request: tuple[str, dict[str, str]]) -> None:
        asked.append(request)

    collect()
    async with http_session() as session, anyio.create_task_group() as group:
        chain_id = str(market.chain.manifest.chain_id)
        limit = anyio.CapacityLimiter(8)

        async def ask(path: str, query: dict[str, str]) -> None:
            async with limit, session.get(market.url + path, params={"chainId": chain_id} | query) as response:
                assert response.status in (200, 400, 404), (path, query, await response.text())
                assert (await response.json())["ok"] is (response.status == 200)

        for path, query in asked:
            group.start_soon(ask, path, query)
