"""Deals and categories as clients read them, and the SQL that finds them."""

from __future__ import annotations

from typing import Any

import msgspec
import sqlalchemy as sa

from pyiexec.market.filters import CategoryFilter, DealFilter, Window
from pyiexec.market.listing import timestamp
from pyiexec.market.tables import CATEGORIES, DEALS
from pyiexec.protocol.deals import BoostDeal, Deal, Resource
from pyiexec.protocol.primitives import Address, Bytes32

#: Trades shown for a category.
TRADES = 100


class BoostNotice(msgspec.Struct, frozen=True, kw_only=True):
    """What only the event of a Boost deal says of it."""

    workerpool: Address
    app: Address
    dataset: Address
    category: int
    tag: Bytes32
    params: str
    beneficiary: Address


def of_boost(deal: BoostDeal, notice: BoostNotice, start_time: int) -> Deal:
    """A Boost deal in the form of other deals: its tasks are trusted to a single worker, who locks nothing."""
    return Deal(
        app=Resource(notice.app, deal.app_owner, deal.app_price),
        dataset=Resource(notice.dataset, deal.dataset_owner, deal.dataset_price),
        workerpool=Resource(notice.workerpool, deal.workerpool_owner, deal.workerpool_price),
        trust=1,
        category=notice.category,
        tag=notice.tag,
        requester=deal.requester,
        beneficiary=notice.beneficiary,
        callback=deal.callback,
        params=notice.params,
        start_time=start_time,
        bot_first=deal.bot_first,
        bot_size=deal.bot_size,
        sponsor=deal.sponsor,
    )


def details(
    deal_id: str, deal: Deal, hashes: dict[str, str], *, chain_id: int, block_number: int, transaction_hash: str
) -> dict[str, Any]:
    """Columns of a deal that come from reading it, the JSON that clients get among them."""
    item = {
        "dealid": deal_id,
        "chainId": chain_id,
        "app": _resource(deal.app),
        "dataset": _resource(deal.dataset),
        "workerpool": _resource(deal.workerpool),
        "appHash": hashes["apporder_hash"],
        "datasetHash": hashes["datasetorder_hash"],
        "workerpoolHash": hashes["workerpoolorder_hash"],
        "requestHash": hashes["requestorder_hash"],
        "requester": deal.requester,
        "beneficiary": deal.beneficiary,
        "callback": deal.callback,
        "params": deal.params,
        "volume": deal.bot_size,
        "category": deal.category,
        "tag": deal.tag,
        "trust": deal.trust,
        "startTime": deal.start_time,
        "botFirst": deal.bot_first,
        "botSize": deal.bot_size,
        "workerStake": deal.worker_stake,
        "schedulerRewardRatio": deal.scheduler_reward_ratio,
        "sponsor": deal.sponsor,
        "blockNumber": block_number,
        "blockTimestamp": timestamp(deal.start_time * 1000),
        "transactionHash": transaction_hash,
    }
    return {
        "app": deal.app.pointer,
        "app_owner": deal.app.owner,
        "dataset": deal.dataset.pointer,
        "dataset_owner": deal.dataset.owner,
        "workerpool": deal.workerpool.pointer,
        "workerpool_owner": deal.workerpool.owner,
        "requester": deal.requester,
        "beneficiary": deal.beneficiary,
        "category": deal.category,
        "workerpool_price": deal.workerpool.price,
        "block_timestamp": deal.start_time,
        "document": msgspec.json.encode(item),
    }


def _resource(resource: Resource) -> dict[str, Any]:
    return {"pointer": resource.pointer, "owner": resource.owner, "price": resource.price}


def find_deal(connection: sa.Connection, deal_id: Bytes32) -> dict[str, Any] | None:
    """A deal by its id, as clients read it."""
    document = connection.execute(sa.select(DEALS.c.document).where(DEALS.c.deal_id == deal_id)).scalar_one_or_none()
    return None if document is None else msgspec.json.decode(document, type=dict[str, Any])


def page_of_deals(connection: sa.Connection, wanted: DealFilter, window: Window) -> list[msgspec.Raw]:
    """Deals that a filter lets through, newest first, as clients read them."""
    query = (
        sa.select(DEALS.c.document)
        .where(*deal_clauses(wanted))
        .order_by(DEALS.c.block_number.desc(), DEALS.c.deal_id)
        .limit(window.limit)
        .offset(window.offset)
    )
    return [msgspec.Raw(document) for document in connection.execute(query).scalars()]


def count_deals(connection: sa.Connection, wanted: DealFilter) -> int:
    """How many deals a filter lets through."""
    query = sa.select(sa.func.count()).select_from(DEALS).where(*deal_clauses(wanted))
    return int(connection.execute(query).scalar_one())


def deal_clauses(wanted: DealFilter) -> list[sa.ColumnElement[bool]]:
    """The conditions on deals; those that could not be read are left out."""
    found = [DEALS.c[name] == value for name, value in wanted.equal.items()]
    if wanted.category is not None:
        found.append(DEALS.c.category == wanted.category)
    return [*found, DEALS.c.document.is_not(None)]


def trades(connection: sa.Connection, category: int) -> list[tuple[str, int, int]]:
    """The newest deals of a category: time, price of computing in nRLC, number of tasks."""
    query = (
        sa.select(DEALS.c.block_timestamp, DEALS.c.workerpool_price, DEALS.c.volume)
        .where(DEALS.c.category == category, DEALS.c.document.is_not(None))
        .order_by(DEALS.c.block_number.desc(), DEALS.c.workerpool_price, DEALS.c.deal_id)
        .limit(TRADES)
    )
    return [
        (timestamp(row.block_timestamp * 1000), row.workerpool_price, row.volume) for row in connection.execute(query)
    ]


def category_to_json(row: Any, chain_id: int) -> dict[str, Any]:
    """A category as clients read it; seconds."""
    return {
        "catid": row.category,
        "chainId": chain_id,
        "name": row.name,
        "description": row.description,
        "workClockTimeRef": row.work_clock_time_ref,
        "transactionHash": row.transaction_hash,
        "blockNumber": row.block_number,
        "blockTimestamp": timestamp(row.block_timestamp * 1000),
    }


def find_category(connection: sa.Connection, category: int) -> Any:
    """The row of a category, None when there is none."""
    return connection.execute(sa.select(*CATEGORIES.c).where(CATEGORIES.c.category == category)).one_or_none()


def page_of_categories(connection: sa.Connection, wanted: CategoryFilter, window: Window) -> tuple[list[Any], int]:
    """Rows of categories, shortest first, and how many there are in all."""
    time = CATEGORIES.c.work_clock_time_ref
    which = [] if wanted.min_time is None else [time >= wanted.min_time]
    which += [] if wanted.max_time is None else [time <= wanted.max_time]
    query = sa.select(*CATEGORIES.c).where(*which).order_by(time, CATEGORIES.c.category)
    count = connection.execute(sa.select(sa.func.count()).select_from(CATEGORIES).where(*which)).scalar_one()
    return list(connection.execute(query.limit(window.limit).offset(window.offset))), int(count)
