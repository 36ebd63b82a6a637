"""What the scheduler tells of the orders by which it sells the pool's capacity, and why there are not more."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from pyiexec.protocol.primitives import Address, Bytes32, OrderHash
from pyiexec.scheduler.own_orders import OwnOrder, terms_of_order
from pyiexec.scheduler.sales_desk import SalesDesk
from pyiexec.scheduler.sales_plan import COMMITTED, Hindrance, Standing, Terms
from pyiexec.scheduler.views import Cause, cause_of

#: What each hindrance says.
MEANINGS = {
    Hindrance.SALES_OFF: "the scheduler is told not to sell",
    Hindrance.TERMS_CHANGED: "these terms are not among the pool's offers any more",
    Hindrance.CATEGORY_UNKNOWN: "the hub has no such category",
    Hindrance.CHAIN_BEHIND: "what was sold is still to be read from the chain",
    Hindrance.NO_WORKER: "no worker is in reach",
    Hindrance.TOO_FEW_WORKERS: "fewer workers are in reach than must agree for this trust",
    Hindrance.TOO_MANY_WAITING: "as many tasks wait for a worker as may",
    Hindrance.REQUESTER_WAITING: "a requester who could buy has as many tasks waiting as one may",
    Hindrance.NO_FREE_SLOT: "every slot is taken by tasks bought",
    Hindrance.ALL_OFFERED: "the free slots are on offer",
    Hindrance.STAKE_TOO_LOW: "the owner's free stake covers no more",
    Hindrance.LITTLE_TO_ADD: "what could be added is little beside what is on offer",
}


class Obstacle(msgspec.Struct, frozen=True, kw_only=True):
    """Why there is not more on offer: a code, and what it says."""

    code: Hindrance
    what: str


class OrderModel(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An order of the pool.

    Attributes:
        standing: how far it has come into the order book or out of it.
        reason: code of why it is on its way out; empty otherwise.
    """

    order_hash: OrderHash
    volume: int
    remaining: int
    standing: Standing
    reason: str


class OfferModel(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Terms on which the pool sells.

    Attributes:
        price: of a task, nRLC.
        app, dataset, requester: to whom and for what alone; null for all.
        workers: that must agree on a task's result, slots that it takes.
        stake: that a task locks, nRLC.
        volume: tasks on offer.
        not_more: why there are not more; null when there is no reason.
    """

    category: int
    price: int
    trust: int
    tag: Bytes32
    app: Address
    dataset: Address
    requester: Address
    workers: int
    stake: int
    volume: int
    not_more: Obstacle | None
    orders: list[OrderModel]


class OffersModel(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the pool has on offer.

    Attributes:
        selling: whether the scheduler sells by itself.
        market: the order book.
        workers, slots: in reach, the margin included in the slots; null before the first look.
        owed: of them, what tasks bought before occupy or wait for.
        free_stake: of the owner, nRLC.
        block: as of which the last two were read.
        offers: by terms; those that are not offered any more, while they have orders in the book.
        copies: tasks of orders withdrawn, which who has a copy can still buy.
        trouble: what keeps the orders from being in step; null while nothing does.
    """

    selling: bool
    market: str
    workers: int | None
    slots: int | None
    owed: int | None
    free_stake: int | None
    block: int | None
    offers: list[OfferModel]
    copies: int
    trouble: Cause | None


def offers_view(desk: SalesDesk | None) -> OffersModel:
    """What is on offer; nothing without a desk."""
    if desk is None:
        return OffersModel(
            selling=False,
            market="",
            workers=None,
            slots=None,
            owed=None,
            free_stake=None,
            block=None,
            offers=[],
            copies=0,
            trouble=None,
        )
    capacity, trouble = desk.situation.capacity, desk.situation.trouble
    by_terms: dict[Terms, list[OwnOrder]] = {terms: [] for terms in desk.terms}
    for order in desk.orders.values():
        if order.standing in COMMITTED and order.remaining:
            by_terms.setdefault(terms_of_order(order.order), []).append(order)
    former = set(by_terms) - set(desk.terms)
    hindrances = desk.situation.hindrances | dict.fromkeys(former, Hindrance.TERMS_CHANGED)
    return OffersModel(
        selling=desk.sales.enabled,
        market=desk.sales.market_url,
        workers=capacity.workers if capacity else None,
        slots=capacity.slots if capacity else None,
        owed=min(capacity.owed, capacity.slots) if capacity else None,
        free_stake=capacity.free_stake if capacity else None,
        block=desk.situation.block if capacity else None,
        offers=[_offer(terms, orders, hindrances.get(terms)) for terms, orders in by_terms.items()],
        copies=sum(order.remaining for order in desk.copies),
        trouble=cause_of(trouble.code, trouble.what) if trouble else None,
    )


def _offer(terms: Terms, orders: Iterable[OwnOrder], hindrance: Hindrance | None) -> OfferModel:
    listed = [
        OrderModel(
            order_hash=order.order_hash,
            volume=order.order.volume,
            remaining=order.remaining,
            standing=order.standing,
            reason=order.reason,
        )
        for order in orders
    ]
    return OfferModel(
        category=terms.category,
        price=terms.price,
        trust=terms.trust,
        tag=terms.tag,
        app=terms.app,
        dataset=terms.dataset,
        requester=terms.requester,
        workers=terms.workers,
        stake=terms.stake,
        volume=sum(order.remaining for order in listed if order.standing is Standing.OPEN),
        not_more=Obstacle(code=hindrance, what=MEANINGS[hindrance]) if hindrance else None,
        orders=listed,
    )
