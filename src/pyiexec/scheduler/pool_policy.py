"""What a pool's manager chooses to sell, and to whom: settings, and the terms of orders that follow from them."""

from __future__ import annotations

from itertools import product
from typing import Annotated

import msgspec
from msgspec import Meta
from msgspec.structs import force_setattr

from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import NULL_ADDRESS, Address, Bytes32, checksum
from pyiexec.protocol.tags import parse_tag
from pyiexec.scheduler.sales_plan import Terms

#: Orders that differ in what they are restricted to; the capacity is divided among them.
MOST_TERMS = 32

_Count = Annotated[int, Meta(ge=0)]


class Offer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that a pool sells.

    Attributes:
        category: of the tasks.
        price: of a task, nRLC.
        trust: highest level on offer.
        tag: what the workers have, by name, such as ``gpu``.
    """

    category: _Count
    price: _Count
    trust: _Count = 1
    tag: str = ""

    def __post_init__(self) -> None:
        try:
            parse_tag(self.tag)
        except IexecError as error:
            raise ValueError(error.what) from None


class Sales(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """That the scheduler sells the pool's free capacity by itself.

    Attributes:
        market_url: origin of the order book.
        offers: what is sold; tasks of all of them share the slots.
        enabled: with false everything on offer is withdrawn.
        margin: per cent of the pool's slots by which more, or less, than is free is sold.
        cancel_on_chain: close withdrawn orders on chain, which costs gas; otherwise copies can still be matched.
    """

    market_url: str
    offers: tuple[Offer, ...]
    enabled: bool = True
    margin: Annotated[int, Meta(ge=-100, le=10_000)] = 0
    cancel_on_chain: bool = False


class Admission(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which deals the pool works on; an empty list of what is allowed allows everything.

    Attributes:
        apps, datasets, requesters: those allowed. With datasets named, a deal without one is not admitted.
        denied_apps, denied_datasets, denied_requesters: those that are not, though they can match an open order.
        categories: those allowed.
        price_floor: least price of a task, nRLC.
        max_trust: highest trust.
        max_waiting: tasks that wait for a worker, beyond which nothing more is put on offer.
        max_waiting_per_requester: the same for the tasks of one requester.
    """

    apps: tuple[Address, ...] = ()
    denied_apps: tuple[Address, ...] = ()
    datasets: tuple[Address, ...] = ()
    denied_datasets: tuple[Address, ...] = ()
    requesters: tuple[Address, ...] = ()
    denied_requesters: tuple[Address, ...] = ()
    categories: tuple[int, ...] = ()
    price_floor: _Count = 0
    max_trust: _Count | None = None
    max_waiting: _Count | None = None
    max_waiting_per_requester: _Count | None = None

    def __post_init__(self) -> None:
        for party in ("apps", "datasets", "requesters"):
            for name in (party, f"denied_{party}"):
                try:
                    force_setattr(self, name, tuple(checksum(address.lower()) for address in getattr(self, name)))
                except IexecError as error:
                    raise ValueError(f"{name}: {error.what}") from None


def terms_of(sales: Sales, admission: Admission) -> list[Terms]:
    """The terms of every order that is to be on offer, in the order of the settings.

    What the pool admits and the chain can enforce is part of them: an order names one app, dataset and requester at
    most, so there is one for each combination of those allowed.

    Raises:
        IexecError: ``BAD_SETTINGS`` when an offer is one that the pool would not admit, or there are too many.
    """
    for offer in sales.offers:
        if admission.categories and offer.category not in admission.categories:
            raise IexecError("BAD_SETTINGS", f"category {offer.category} is on offer, and not among those admitted")
        if offer.price < admission.price_floor:
            raise IexecError("BAD_SETTINGS", f"an offer at {offer.price} nRLC is below the pool's price floor")
        if admission.max_trust is not None and max(offer.trust, 1) > max(admission.max_trust, 1):
            raise IexecError("BAD_SETTINGS", f"trust {offer.trust} is on offer, and more than is admitted")
    parties = product(
        _allowed(admission.apps, admission.denied_apps),
        _allowed(admission.datasets, admission.denied_datasets),
        _allowed(admission.requesters, admission.denied_requesters),
    )
    found = [
        Terms(
            category=offer.category,
            price=offer.price,
            trust=offer.trust,
            tag=Bytes32(parse_tag(offer.tag)),
            app=app,
            dataset=dataset,
            requester=requester,
        )
        for app, dataset, requester in parties
        for offer in sales.offers
    ]
    if len(found) > MOST_TERMS:
        what = f"offers and lists of who is allowed make {len(found)} different orders, more than {MOST_TERMS}"
        raise IexecError("BAD_SETTINGS", what)
    return list(dict.fromkeys(found))


def _allowed(allowed: tuple[Address, ...], denied: tuple[Address, ...]) -> list[Address]:
    """What orders are restricted to; null alone where everything is allowed."""
    return [address for address in allowed if address not in denied] if allowed else [NULL_ADDRESS]
