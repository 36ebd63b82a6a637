"""Routes of what the chain did: deals, categories, trades; and how far the book has come with it."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, get
from litestar.handlers import BaseRouteHandler
from litestar.params import FromPath

from pyiexec import __version__
from pyiexec.foundation.database import Database
from pyiexec.foundation.metrics import gauge
from pyiexec.foundation.observation import ACCEPT, EXPOSITION, Observation
from pyiexec.foundation.openapi import described
from pyiexec.market import deals, descriptions, queries
from pyiexec.market.filters import read_category_filter, read_chain, read_deal_filter, read_window
from pyiexec.market.listing import Status
from pyiexec.market.messages import refusal
from pyiexec.market.progress import Progress
from pyiexec.market.queries import Counts
from pyiexec.market.reading import read_bytes32, read_integer
from pyiexec.protocol.orders import ORDER_KINDS

OPEN_ORDERS = gauge("market_open_orders", "orders that can be matched", "kind")

AnyRequest = Request[Any, Any, Any]


def chain_routes(
    database: Database, progress: Progress, chain_id: int, observation: Observation
) -> list[BaseRouteHandler]:
    """The routes over a book.

    Args:
        database: the book.
        progress: how far the chain was followed.
        chain_id: the chain served; every request must name it.
        observation: answers Prometheus.
    """
    counts = Counts()

    async def open_orders() -> dict[str, float]:
        found = await database.read(queries.statuses)
        return {kind: found.get(kind, {}).get(Status.OPEN, 0) for kind in ORDER_KINDS}

    observation.metrics.ask(OPEN_ORDERS, open_orders)

    @get("/version", **described(answer=descriptions.Version, refusals=()))
    async def version() -> dict[str, Any]:
        """Which version answers."""
        return {"ok": True, "version": __version__}

    @get("/health", **described(answer=descriptions.Health, refusals=()))
    async def health() -> dict[str, Any]:
        """That the service answers."""
        return {"ok": True, "service": "market", "version": __version__}

    @get("/metrics", **described(*descriptions.CHAIN_FOR_JSON, ACCEPT, answer=descriptions.Metrics, also=EXPOSITION))
    async def metrics(request: AnyRequest) -> dict[str, Any] | Response[bytes]:
        """How many orders there are, and how far the chain was followed; to Prometheus, all metrics."""
        if (exposition := await observation.exposition_if_wanted(request)) is not None:
            return exposition
        read_chain(request.query_params, chain_id)
        numbers, stored = await database.read(lambda db: (queries.statuses(db), queries.cursor_block(db)))
        numbers = {f"{kind}s": numbers.get(kind, {}) for kind in ORDER_KINDS}
        return {
            "ok": True,
            **progress.report(stored),
            **{name: found.get(Status.OPEN, 0) for name, found in numbers.items()},
            "statuses": {name: {status: found.get(status, 0) for status in Status} for name, found in numbers.items()},
        }

    @get("/categories", **described(*descriptions.CATEGORY_FILTERS, answer=descriptions.CategoryPage))
    async def categories(request: AnyRequest) -> dict[str, Any]:
        """Categories of tasks, shortest first."""
        query = request.query_params
        read_chain(query, chain_id)
        wanted, window = read_category_filter(query), read_window(query)
        rows, count = await database.read(lambda db: deals.page_of_categories(db, wanted, window))
        answer = {"ok": True, "count": count, "categories": [deals.category_to_json(row, chain_id) for row in rows]}
        if len(rows) == window.limit:
            answer["nextPage"] = window.offset + window.limit
        return answer

    @get(
        "/categories/{catid:str}",
        **described(*descriptions.CATEGORY_ID, answer=descriptions.SingleCategory, refusals=(400, 404)),
    )
    async def category(request: AnyRequest, catid: FromPath[str]) -> dict[str, Any]:
        """One category."""
        asked_chain = read_chain(request.query_params, chain_id)
        wanted = read_integer(catid, "catid")
        row = await database.read(lambda db: deals.find_category(db, wanted))
        if row is None:
            raise refusal("no category")
        return {"ok": True, **deals.category_to_json(row, chain_id), "chainId": asked_chain}

    @get("/deals", **described(*descriptions.DEAL_FILTERS, answer=descriptions.DealPage))
    async def all_deals(request: AnyRequest) -> dict[str, Any]:
        """Deals, newest first."""
        query = request.query_params
        read_chain(query, chain_id)
        wanted, window = read_deal_filter(query), read_window(query)
        found, count = await database.read(lambda db: queries.page_of_deals(db, wanted, window, counts))
        answer = {"ok": True, "count": count, "deals": found}
        if len(found) == window.limit:
            answer["nextPage"] = window.offset + window.limit
        return answer

    @get(
        "/deals/{dealid:str}",
        **described(*descriptions.DEAL_ID, answer=descriptions.SingleDeal, refusals=(400, 404)),
    )
    async def deal(request: AnyRequest, dealid: FromPath[str]) -> dict[str, Any]:
        """One deal."""
        asked_chain = read_chain(request.query_params, chain_id)
        wanted = read_bytes32(dealid, "dealid")
        found = await database.read(lambda db: deals.find_deal(db, wanted))
        if found is None:
            raise refusal("no deal")
        return {"ok": True, **found, "chainId": asked_chain}

    @get("/ohlc", **described(*descriptions.TRADES, answer=descriptions.Trades))
    async def ohlc(request: AnyRequest) -> dict[str, Any]:
        """The newest trades of a category: time, price of computing (nRLC), tasks."""
        query = request.query_params
        read_chain(query, chain_id)
        if "category" not in query:
            raise refusal("required", path="category")
        wanted = read_integer(query["category"], "category")
        return {"ok": True, "ohlc": await database.read(lambda db: deals.trades(db, wanted))}

    return [version, health, metrics, categories, category, all_deals, deal, ohlc]
