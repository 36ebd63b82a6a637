"""Events of the market: categories, deals and the orders they are made of."""

from __future__ import annotations

from typing import Any

from pyiexec.indexer.events import Event
from pyiexec.indexer.facts import DealFact
from pyiexec.indexer.handlers.assets import make_app, make_dataset, make_workerpool
from pyiexec.indexer.handlers.context import Context, there
from pyiexec.indexer.rules import bulk_cid
from pyiexec.indexer.working_set import Row
from pyiexec.protocol.primitives import NULL_ADDRESS


def create_category(context: Context, event: Event) -> None:
    """A category was made."""
    fields = event.fields
    values = {
        "name": fields["name"],
        "description": fields["description"],
        "work_clock_time_ref": fields["workClockTimeRef"],
        "timestamp": context.now,
    }
    context.transaction(event)
    row = context.rows.change("categories", str(fields["catid"]))
    if row is None:
        context.rows.make("categories", {"id": str(fields["catid"])} | values)
        context.protocol()["categories_count"] += 1
    else:
        row.update(values)


def orders_matched(context: Context, event: Event) -> None:
    """Four orders made a deal, classic or Boost."""
    deal_id = event.fields["dealid"]
    fact = context.facts.deals.get(deal_id)
    if fact is None:
        return
    _see_assets(context, fact)
    app, pool = there(context.rows.change("apps", fact.app.pointer)), fact.workerpool.pointer
    for used in (app, there(context.rows.change("workerpools", pool))):
        used["usage_count"] += fact.bot_size
        used["last_usage_timestamp"] = context.now
    _make_deal(context, deal_id, fact, _make_orders(context, event, fact))
    totals = context.protocol()
    totals["deals_count"] += 1
    totals["tasks_count"] += fact.bot_size
    context.record("deal_events", event, event.name, deal=deal_id)


def _see_assets(context: Context, fact: DealFact) -> None:
    """Assets of older registries are met here for the first time."""
    if context.rows.find("apps", fact.app.pointer) is None:
        make_app(context, fact.app.pointer, fact.app.owner)
    if fact.dataset.pointer != NULL_ADDRESS and context.rows.find("datasets", fact.dataset.pointer) is None:
        make_dataset(context, fact.dataset.pointer, fact.dataset.owner)
    if context.rows.find("workerpools", fact.workerpool.pointer) is None:
        make_workerpool(context, fact.workerpool.pointer, fact.workerpool.owner)
    if context.rows.find("categories", str(fact.category)) is None:
        known = context.facts.categories.get(fact.category)
        context.rows.make(
            "categories",
            {
                "id": str(fact.category),
                "name": known.name if known else "",
                "description": known.description if known else "",
                "work_clock_time_ref": known.work_clock_time_ref if known else 0,
                "timestamp": context.now,
            },
        )


def _make_orders(context: Context, event: Event, fact: DealFact) -> Row:
    """The four orders, of which a match tells little; their ids as the deal refers to them."""
    hashes = event.fields
    with_dataset = fact.dataset.pointer != NULL_ADDRESS
    _make_order(context, "app_orders", hashes["appHash"], app=fact.app.pointer, appprice=fact.app.price)
    if with_dataset:
        dataset = {"dataset": fact.dataset.pointer, "datasetprice": fact.dataset.price}
        _make_order(context, "dataset_orders", hashes["datasetHash"], **dataset)
    pool = {"workerpool": fact.workerpool.pointer, "workerpoolprice": fact.workerpool.price}
    _make_order(context, "workerpool_orders", hashes["workerpoolHash"], **pool)
    _make_order(context, "request_orders", hashes["requestHash"], requester=context.id_of(fact.requester))
    return {
        "apporder": hashes["appHash"],
        "datasetorder": hashes["datasetHash"] if with_dataset else None,
        "workerpoolorder": hashes["workerpoolHash"],
        "requestorder": hashes["requestHash"],
    }


def _make_order(context: Context, table: str, order_hash: str, **columns: Any) -> None:
    if context.rows.find(table, order_hash) is None:
        context.rows.make(table, {"id": order_hash} | columns)


def _make_deal(context: Context, deal_id: str, fact: DealFact, orders: Row) -> None:
    with_dataset = fact.dataset.pointer != NULL_ADDRESS
    # A Boost deal does not record what its pool's policy says, which is known here.
    ratio = there(context.rows.find("workerpools", fact.workerpool.pointer))["scheduler_reward_ratio"]
    context.rows.make(
        "deals",
        {
            "id": deal_id,
            "app": fact.app.pointer,
            "app_owner": context.id_of(fact.app.owner),
            "app_price": fact.app.price,
            # Not the null address, as published: a filter for deals without dataset shall find them.
            "dataset": fact.dataset.pointer if with_dataset else None,
            "dataset_owner": context.id_of(fact.dataset.owner),
            "dataset_price": fact.dataset.price,
            "workerpool": fact.workerpool.pointer,
            "workerpool_owner": context.id_of(fact.workerpool.owner),
            "workerpool_price": fact.workerpool.price,
            "trust": fact.trust,
            "category": str(fact.category),
            "tag": fact.tag,
            "requester": context.id_of(fact.requester),
            "beneficiary": context.id_of(fact.beneficiary),
            "callback": context.id_of(fact.callback),
            "params": fact.params,
            "start_time": context.now if fact.start_time is None else fact.start_time,
            "bot_first": fact.bot_first,
            "bot_size": fact.bot_size,
            "completed_tasks_count": 0,
            "claimed_tasks_count": 0,
            "worker_stake": fact.worker_stake,
            "scheduler_reward_ratio": ratio if fact.scheduler_reward_ratio is None else fact.scheduler_reward_ratio,
            "sponsor": context.id_of(fact.sponsor),
            "timestamp": context.now,
            "bulk": deal_id if bulk_cid(fact.dataset.pointer, fact.params) else None,
        }
        | orders,
    )


def scheduler_notice(context: Context, event: Event) -> None:
    """A deal was brought to the attention of its workerpool."""
    context.record(
        "workerpool_events",
        event,
        "SchedulerNotice",
        workerpool=event.fields["workerpool"],
        deal=event.fields["dealid"],
    )
