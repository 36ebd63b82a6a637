"""Where orders stand after what happened: pure functions of what is known of them and of their signers.

Orders of one signer share one stake. They spend it in the order in which they are listed, best price first and the
older of equals first, and what is left for each is its fillable part; only an order that is left nothing is suspended.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from pyiexec.market.listing import Reason, Status


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an order in the book, its signer's stake left aside.

    Attributes:
        volume: tasks it was signed for.
        consumed: tasks the chain used up.
        closed: whether its owner closed it on chain.
        owned: whether its signer still owns what it sells.
        signed: whether its signature still counts.
        app_served: of a request, whether an open app order serves it; True for offers.
        dataset_served: likewise of its dataset.
    """

    volume: int
    consumed: int = 0
    closed: bool = False
    owned: bool = True
    signed: bool = True
    app_served: bool = True
    dataset_served: bool = True


class Footing(NamedTuple):
    """Where an order stands before its signer's stake is looked at: `obstacle` is what suspends it, None nothing."""

    status: Status
    remaining: int
    obstacle: Reason | None = None


class Claim(NamedTuple):
    """What an order wants of its signer's stake.

    Attributes:
        place: where it stands among the signer's orders; smaller ones are served first.
        tasks: tasks it still sells or buys.
        task_stake: nRLC that each takes.
    """

    order_hash: str
    place: tuple[int, int, int, str]
    tasks: int
    task_stake: int


def footing(known: Known) -> Footing:
    """Where an order stands by itself; of several obstacles the first in the order of `Reason` counts."""
    if known.closed:
        return Footing(Status.CANCELED, 0)
    remaining = max(0, known.volume - known.consumed)
    if remaining == 0:
        return Footing(Status.FILLED, 0)
    for fine, reason in (
        (known.owned, Reason.OWNER_CHANGED),
        (known.signed, Reason.SIGNATURE_MISSING),
        (known.app_served, Reason.NO_APPORDER),
        (known.dataset_served, Reason.NO_DATASETORDER),
    ):
        if not fine:
            return Footing(Status.SUSPENDED, remaining, reason)
    return Footing(Status.OPEN, remaining)


def spend(claims: Iterable[Claim], stake: int) -> dict[str, int]:
    """How many tasks of each order the stake suffices for, when each takes what those before it left.

    An order too dear for what is left takes as many tasks of it as there are; the next one may still be served.
    """
    fillable = {}
    for claim in sorted(claims, key=lambda claim: claim.place):
        tasks = claim.tasks if claim.task_stake == 0 else min(claim.tasks, stake // claim.task_stake)
        fillable[claim.order_hash] = tasks
        stake -= tasks * claim.task_stake
    return fillable
