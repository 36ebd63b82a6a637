"""Bulk deals: what the lists say is in the index when they are there, and nothing waits for those that are not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import msgspec
import pytest
from aiohttp import web
from tests.services.serving import served

from pyiexec.indexer import queries
from pyiexec.indexer.bulk import BulkFetcher, wanted
from pyiexec.protocol.ids import task_id
from pyiexec.protocol.primitives import bytes32
from pyiexec.results.service import serve
from pyiexec.results.settings import ResultsSettings
from pyiexec.storage.client import ContentClient
from pyiexec.storage.unixfs import UnixFsHasher

from .indexing import Dump, Index
from .marketplace import Marketplace

pytestmark = pytest.mark.anyio

BULK_TABLES = ("bulks", "bulk_slices", "bulk_slices_datasets", "bulk_slices_dataset_orders", "dataset_orders")


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[ContentClient]:
    """A content store that is running."""
    settings = ResultsSettings(directory=str(tmp_path / "content"))
    async with served(serve, settings) as url, ContentClient(url) as client:
        yield client


def order(dataset: str, **changes: Any) -> dict[str, Any]:
    """A dataset order as the JavaScript SDK writes it into a slice."""
    nobody = "0x" + "0" * 40
    return {
        "dataset": dataset,
        "datasetprice": "0",
        "volume": "9007199254740991",
        "tag": bytes32(3),
        "apprestrict": nobody,
        "workerpoolrestrict": nobody,
        "requesterrestrict": nobody,
        "salt": bytes32(5),
        "sign": "0x" + "ab" * 65,
    } | changes


def fetcher(index: Index, gateway: ContentClient, **options: Any) -> BulkFetcher:
    values = {"seconds": 5.0, "max_bytes": 100_000, "retry_first": 0.05} | options
    return BulkFetcher(index.database, gateway, **values)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    with anyio.fail_after(20):
        while not await condition():  # noqa: ASYNC110 - the index does not push
            await anyio.sleep(0.02)


async def count(index: Index, table: str) -> int:
    return len((await index.dump())[table])


def bulk_part(dump: Dump) -> Dump:
    return {table: dump[table] for table in BULK_TABLES}


async def added(store: ContentClient, content: Any) -> str:
    return str(await store.add(content if isinstance(content, bytes) else msgspec.json.encode(content)))


async def test_slices_and_orders_of_a_deal(market: Marketplace, index: Index, store: ContentClient) -> None:
    other = "0x" + "1F" * 20
    first = await added(store, [order(market.dataset), order(other, datasetprice="10")])
    second = await added(store, [order(other)])
    listing = await added(store, [first, second, first])
    deal = await market.match(msgspec.json.encode({"bulk_cid": listing}).decode(), volume=2)
    async with index.following(fetcher(index, store)):
        await index.reach_head()
        await until(lambda: _has(index, "bulk_slices", 2))
        dump = await index.dump()
    assert (await index.rows("deals"))[deal]["bulk"] == deal
    assert dump["bulks"] == [{"id": deal, "hash": listing}]
    tasks = [task_id(deal, number) for number in range(3)]
    # The deal has two tasks: the third place of the list is not its own.
    assert dump["bulk_slices"] == [
        {"id": f"{deal}-0", "bulk": deal, "hash": first, "task": tasks[0], "index": 0},
        {"id": f"{deal}-1", "bulk": deal, "hash": second, "task": tasks[1], "index": 1},
    ]
    members = [(row["parent"], row["position"], row["child"]) for row in dump["bulk_slices_datasets"]]
    assert members == [
        (f"{deal}-0", 0, market.dataset.lower()),
        (f"{deal}-0", 1, other.lower()),
        (f"{deal}-1", 0, other.lower()),
    ]
    orders = {row["id"]: row for row in dump["dataset_orders"]}
    assert set(orders) == {f"{tasks[0]}-0", f"{tasks[0]}-1", f"{tasks[1]}-0"}
    assert (orders[f"{tasks[0]}-1"]["datasetprice"], orders[f"{tasks[0]}-0"]["volume"]) == (10, 2**53 - 1)


async def _has(index: Index, table: str, number: int) -> bool:
    return await count(index, table) >= number


@pytest.mark.parametrize(
    "malformed",
    [
        b"\xff\xfe not JSON",
        b'{"not": "a list"}',
        b"[" * 50_000,
        b"5",
        b'[{"dataset": "0x12"}, 7, null, ["x"], {"bulk_cid": {}}]',
    ],
)
async def test_one_malformed_slice_costs_no_other(
    market: Marketplace, index: Index, store: ContentClient, malformed: bytes
) -> None:
    bad, good = await added(store, malformed), await added(store, [order(market.dataset)])
    listing = await added(store, [bad, 17, "no identifier", good])
    deal = await market.match(msgspec.json.encode({"bulk_cid": listing}).decode(), volume=4)
    async with index.following(fetcher(index, store)):
        await index.reach_head()
        await until(lambda: _has(index, "dataset_orders", 1))
    assert f"{deal}-3" in await index.rows("bulk_slices")
    assert await count(index, "dataset_orders") == 1


async def test_malformed_orders_are_left_out_one_by_one(
    market: Marketplace, index: Index, store: ContentClient
) -> None:
    wrong = [
        order(market.dataset, datasetprice=0),
        order(market.dataset, datasetprice="01"),
        order(market.dataset, volume="-1"),
        order(market.dataset, volume="9" * 79),
        order(market.dataset, tag="0x" + "A" * 64),
        order(market.dataset, sign="0xabc"),
        order("dataset.eth"),
    ]
    slice_ = await added(store, [*wrong, order(market.dataset, datasetprice="9" * 78)])
    listing = await added(store, [slice_])
    deal = await market.match(msgspec.json.encode({"bulk_cid": listing}).decode())
    async with index.following(fetcher(index, store)):
        await index.reach_head()
        await until(lambda: _has(index, "dataset_orders", 1))
    [(name, row)] = (await index.rows("dataset_orders")).items()
    assert name == f"{task_id(deal, 0)}-{len(wrong)}"
    assert row["datasetprice"] == 10**78 - 1


async def test_a_list_that_comes_late_holds_nothing_up(market: Marketplace, index: Index, store: ContentClient) -> None:
    slice_ = await added(store, [order(market.dataset)])
    content = msgspec.json.encode([slice_])
    # Its name is known before anybody has it.
    hasher = UnixFsHasher()
    hasher.update(content)
    listing = str(hasher.finish().cid)
    deal = await market.match(msgspec.json.encode({"bulk_cid": listing}).decode())
    async with index.following(fetcher(index, store)):
        await market.finish(await market.begin(deal))
        await index.reach_head()
        assert (await index.rows("deals"))[deal]["completed_tasks_count"] == 1
        assert await count(index, "bulks") == 0
        assert await added(store, content) == listing
        await until(lambda: _has(index, "bulk_slices", 1))


async def test_a_gateway_that_lies_is_not_believed(market: Marketplace, index: Index, store: ContentClient) -> None:
    listing = await added(store, [await added(store, [order(market.dataset)])])
    asked: list[str] = []

    async def lie(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(body=b"[]")

    deal = await market.match(msgspec.json.encode({"bulk_cid": listing}).decode())
    async with _gateway(lie) as url, ContentClient(url) as liar, index.following(fetcher(index, liar)):
        await index.reach_head()
        await until(lambda: _asked(asked, 3))
    assert await count(index, "bulks") == 0
    async with index.following(fetcher(index, store)):
        await until(lambda: _has(index, "bulk_slices", 1))
    assert deal in await index.rows("bulks")


async def _asked(asked: list[str], times: int) -> bool:
    return len(asked) >= times


async def test_a_gateway_that_never_answers_is_left_alone(
    market: Marketplace, index: Index, store: ContentClient
) -> None:
    listing = await added(store, [])
    asked: list[str] = []
    over = asyncio.Event()

    async def hang(request: web.Request) -> web.Response:
        asked.append(request.path)
        await over.wait()
        return web.Response()

    await market.match(msgspec.json.encode({"bulk_cid": listing}).decode())
    async with _gateway(hang) as url, ContentClient(url) as slow, index.following(fetcher(index, slow, seconds=0.1)):
        await index.reach_head()
        await until(lambda: _asked(asked, 2))
        other = await market.match("goes on")
        await index.reach_head()
        assert other in await index.rows("deals")
        over.set()


@asynccontextmanager
async def _gateway(handler: Callable[[web.Request], Awaitable[web.Response]]) -> AsyncIterator[str]:
    application = web.Application()
    application.router.add_get("/ipfs/{cid}", handler)
    runner = web.AppRunner(application, shutdown_timeout=1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_a_file_that_is_too_large_is_not_asked_for_again(
    market: Marketplace, index: Index, store: ContentClient
) -> None:
    large = await added(store, b"[" + b" " * 200_000 + b"]")
    good = await added(store, [order(market.dataset)])
    listing = await added(store, [large, good])
    await market.match(msgspec.json.encode({"bulk_cid": listing}).decode(), volume=2)
    async with index.following(fetcher(index, store)):
        await index.reach_head()
        await until(lambda: _has(index, "bulk_slices", 1))
        await until(lambda: _nothing_wanted(index))


async def _nothing_wanted(index: Index) -> bool:
    return not await index.database.read(wanted)


async def test_bulks_go_with_their_deals_and_come_back_without_the_store(
    market: Marketplace, index: Index, store: ContentClient
) -> None:
    listing = await added(store, [await added(store, [order(market.dataset)])])
    params = msgspec.json.encode({"bulk_cid": listing}).decode()
    kept = await market.match(params)
    async with index.following(fetcher(index, store)):
        await index.reach_head()
        await until(lambda: _has(index, "bulk_slices", 1))
        before = bulk_part(await index.dump())
        gone = await market.match(params)
        await index.reach_head()
        assert {kept, gone} == set(await index.rows("bulks"))
        await market.rpc.call("anvil_reorg", 1, [])
        await index.reach_head()
        assert bulk_part(await index.dump()) == before
    # All of it from the chain again, and nobody has the files any more.
    await index.database.write(queries.clear)
    assert await count(index, "bulks") == 0
    await index.catch_up()
    assert bulk_part(await index.dump()) == before
