"""Which orders of the pool should be on offer, pure.

Every task on offer must find a free slot for each worker that its trust takes, and free stake of the pool's owner. An
order counts until nobody can match it through the order book any more, so room is made before it is sold again. Orders
stay as they are while they fit: what is matched comes off them, and slots that become free are offered by further ones.

Volumes are tasks, amounts nRLC.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from enum import StrEnum
from functools import lru_cache

import msgspec

from pyiexec.protocol import trust
from pyiexec.protocol.money import scheduler_stake
from pyiexec.protocol.primitives import NULL_ADDRESS, NULL_BYTES32, Address, Bytes32, OrderHash

#: An order is added when it adds one part in so many, or more, to what its terms have on offer: so they stay few.
WORTH_ADDING = 4
#: Largest volume that order books take in JSON.
MOST_VOLUME = (1 << 53) - 1


class Hindrance(StrEnum):
    """Why nothing, or nothing more, is put on offer; what an order book says against it has the book's own code."""

    #: The manager has switched it off.
    SALES_OFF = "SALES_OFF"
    #: The settings do not have these terms any more.
    TERMS_CHANGED = "TERMS_CHANGED"
    #: The hub does not have the category.
    CATEGORY_UNKNOWN = "CATEGORY_UNKNOWN"
    #: What was sold is not known yet, because the chain or a deal is still to be read.
    CHAIN_BEHIND = "CHAIN_BEHIND"
    #: No worker is in reach.
    NO_WORKER = "NO_WORKER"
    #: Fewer workers are in reach than have to agree for the trust on offer.
    TOO_FEW_WORKERS = "TOO_FEW_WORKERS"
    #: As many tasks wait as may.
    TOO_MANY_WAITING = "TOO_MANY_WAITING"
    #: Somebody who can match the order has as many tasks waiting as one requester may.
    REQUESTER_WAITING = "REQUESTER_WAITING"
    #: The slots are taken by tasks bought.
    NO_FREE_SLOT = "NO_FREE_SLOT"
    #: The free slots are on offer.
    ALL_OFFERED = "ALL_OFFERED"
    #: The owner's free stake covers no more.
    STAKE_TOO_LOW = "STAKE_TOO_LOW"
    #: What could be added is little beside what is on offer.
    LITTLE_TO_ADD = "LITTLE_TO_ADD"


class Standing(StrEnum):
    """How far an order has come on its way into the order book or out of it."""

    #: Signed and written down, perhaps published already.
    SIGNED = "SIGNED"
    #: In the order book.
    OPEN = "OPEN"
    #: To be taken out of the order book.
    WITHDRAWING = "WITHDRAWING"
    #: To be closed on chain.
    CLOSING = "CLOSING"
    #: Out of the order book; who has a copy can still match it.
    WITHDRAWN = "WITHDRAWN"


#: Anybody who reads the order book may still match these.
COMMITTED = (Standing.SIGNED, Standing.OPEN, Standing.WITHDRAWING, Standing.CLOSING)
_ON_OFFER = (Standing.SIGNED, Standing.OPEN)


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What orders of one kind say; see `protocol.orders.WorkerpoolOrder`."""

    category: int
    price: int
    trust: int = 1
    tag: Bytes32 = NULL_BYTES32
    app: Address = NULL_ADDRESS
    dataset: Address = NULL_ADDRESS
    requester: Address = NULL_ADDRESS

    @property
    def workers(self) -> int:
        """Workers without reputation that must agree for the trust on offer: slots that a task takes."""
        return workers_for(self.trust)

    @property
    def stake(self) -> int:
        """What a task locks of the owner's stake."""
        return scheduler_stake(self.price)


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """An order that the pool has signed, as planning sees it."""

    order_hash: OrderHash
    terms: Terms
    remaining: int
    standing: Standing

    @property
    def slots(self) -> int:
        """That its tasks take."""
        return self.remaining * self.terms.workers

    @property
    def stake(self) -> int:
        """That its tasks lock."""
        return self.remaining * self.terms.stake


class Capacity(msgspec.Struct, frozen=True, kw_only=True):
    """What the pool has to sell.

    Attributes:
        slots: of the workers in reach, the margin included.
        owed: slots that tasks bought before occupy or wait for; more than `slots` need not be counted.
        workers: in reach.
        free_stake: of the pool's owner.
        full: as many tasks wait as may.
        crowding: requesters of whom as many tasks wait as may.
        categories: that the hub has.
    """

    slots: int
    owed: int
    workers: int
    free_stake: int
    full: bool = False
    crowding: frozenset[Address] = frozenset()
    categories: int = 1 << 256

    @property
    def sellable(self) -> int:
        """Slots for tasks not yet bought."""
        return max(self.slots - self.owed, 0)


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to do, in this order; slots that a withdrawal makes free are for the next plan.

    Attributes:
        withdraw: orders to take out of the book, and why.
        publish: orders withdrawn before that fit again.
        sign: volumes of orders to be made.
        hindrances: of each of the terms, why there is not more on offer.
    """

    withdraw: dict[OrderHash, Hindrance]
    publish: list[OrderHash]
    sign: list[tuple[Terms, int]]
    hindrances: dict[Terms, Hindrance]


@lru_cache(maxsize=1024)
def workers_for(level: int) -> int:
    """Workers without reputation whose agreement reaches a trust level."""
    return trust.replicas_missing({}, (), max(level, 1))


def plan(terms: Sequence[Terms], capacity: Capacity, orders: Collection[Listed], *, enabled: bool = True) -> Plan:
    """What to do so that the capacity is on offer, and no more than that.

    Args:
        terms: of the orders wanted.
        capacity: at the block as of which the volumes remaining of `orders` are known, or later.
        orders: all that are not used up or closed.
        enabled: whether to sell at all.
    """
    barred = {each: why for each in terms if (why := _bar(each, capacity, enabled=enabled)) is not None}
    wanted = set(terms)
    slots, stake = capacity.sellable, capacity.free_stake
    withdraw: dict[OrderHash, Hindrance] = {}
    kept: list[Listed] = []
    leaving_slots = leaving_stake = 0
    for order in orders:
        if order.standing not in COMMITTED:
            continue
        slots, stake = slots - order.slots, stake - order.stake
        why = barred.get(order.terms) if order.terms in wanted else Hindrance.TERMS_CHANGED
        if not enabled:
            why = Hindrance.SALES_OFF
        if order.standing in _ON_OFFER and why is None:
            kept.append(order)
            continue
        leaving_slots, leaving_stake = leaving_slots + order.slots, leaving_stake + order.stake
        if order.standing in _ON_OFFER and why is not None:
            withdraw[order.order_hash] = why
    short = Hindrance.NO_WORKER if capacity.workers == 0 else Hindrance.NO_FREE_SLOT
    withdraw |= _excess(kept, -(slots + leaving_slots), lambda order: order.slots, short)
    kept = [order for order in kept if order.order_hash not in withdraw]
    free = capacity.free_stake - sum(order.stake for order in kept)
    withdraw |= _excess(kept, -free, lambda order: order.stake, Hindrance.STAKE_TOO_LOW)
    open_volume = dict.fromkeys(terms, 0)
    for order in kept:
        if order.order_hash not in withdraw:
            open_volume[order.terms] += order.remaining
    paused = barred | {each: why for each in terms if (why := _pressure(each, capacity)) and each not in barred}
    added, stopped = _share_out([each for each in terms if each not in paused], open_volume, slots, stake)
    if capacity.sellable == 0:
        stopped = {
            each: Hindrance.NO_FREE_SLOT if why is Hindrance.ALL_OFFERED else why for each, why in stopped.items()
        }
    hindrances = stopped | paused
    sign: list[tuple[Terms, int]] = []
    publish: list[OrderHash] = []
    for each, volume in added.items():
        if volume * WORTH_ADDING < open_volume[each]:
            hindrances[each] = Hindrance.LITTLE_TO_ADD
            continue
        again, rest = _taken_up_again(each, volume, orders)
        publish += again
        if rest:
            sign.append((each, rest))
    return Plan(withdraw=withdraw, publish=publish, sign=sign, hindrances=hindrances)


def _bar(terms: Terms, capacity: Capacity, *, enabled: bool) -> Hindrance | None:
    """Why nothing may be on offer on these terms."""
    if not enabled:
        return Hindrance.SALES_OFF
    if terms.category >= capacity.categories:
        return Hindrance.CATEGORY_UNKNOWN
    if capacity.workers == 0:
        return Hindrance.NO_WORKER
    return Hindrance.TOO_FEW_WORKERS if capacity.workers < terms.workers else None


def _pressure(terms: Terms, capacity: Capacity) -> Hindrance | None:
    """Why nothing may be added to what is on offer on these terms."""
    if capacity.full:
        return Hindrance.TOO_MANY_WAITING
    buyers = capacity.crowding if terms.requester == NULL_ADDRESS else capacity.crowding & {terms.requester}
    return Hindrance.REQUESTER_WAITING if buyers else None


def _excess(
    kept: Iterable[Listed], too_much: int, size: Callable[[Listed], int], why: Hindrance
) -> dict[OrderHash, Hindrance]:
    """The orders to withdraw so that `too_much` less is on offer: as few as can be, and of those the smallest."""
    left = sorted((order for order in kept if size(order)), key=lambda order: (size(order), order.order_hash))
    found: dict[OrderHash, Hindrance] = {}
    while too_much > 0 and left:
        chosen = next((order for order in left if size(order) >= too_much), left[-1])
        left.remove(chosen)
        found[chosen.order_hash] = why
        too_much -= size(chosen)
    return found


def _share_out(
    terms: Sequence[Terms], open_volume: Mapping[Terms, int], slots: int, stake: int
) -> tuple[dict[Terms, int], dict[Terms, Hindrance]]:
    """Volumes to add, where there is least on offer first, and what kept each from getting more."""
    added = dict.fromkeys(terms, 0)
    stopped: dict[Terms, Hindrance] = {}
    queue = [(open_volume[each], number) for number, each in enumerate(terms)]
    heapq.heapify(queue)
    while queue:
        volume, number = heapq.heappop(queue)
        each = terms[number]
        room = min(slots // each.workers, MOST_VOLUME - volume)
        covered = stake // each.stake if each.stake else room
        if room <= 0 or covered <= 0:
            stopped[each] = Hindrance.ALL_OFFERED if room <= 0 else Hindrance.STAKE_TOO_LOW
            continue
        # In portions, smaller towards the end: as even as one by one, and quick for a large pool.
        portion = max(1, min(room, covered) // (4 * len(terms)))
        added[each] += portion
        slots, stake = slots - portion * each.workers, stake - portion * each.stake
        heapq.heappush(queue, (volume + portion, number))
    return {each: volume for each, volume in added.items() if volume}, stopped


def _taken_up_again(terms: Terms, volume: int, orders: Iterable[Listed]) -> tuple[list[OrderHash], int]:
    """Withdrawn orders on the same terms that fit into a volume, and what is left of it."""
    same = (order for order in orders if order.standing is Standing.WITHDRAWN and order.terms == terms)
    again: list[OrderHash] = []
    for order in sorted(same, key=lambda order: (-order.remaining, order.order_hash)):
        if 0 < order.remaining <= volume:
            again.append(order.order_hash)
            volume -= order.remaining
    return again, volume
