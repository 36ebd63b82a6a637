"""Whether the pool works on a deal, pure.

A deal is made by whoever holds the pool's signed order, and cannot be refused on chain: what a pool does not admit it
leaves alone. Nobody opens the task, no worker is asked, and after the final deadline the requester has the price back
and the pool's stake is lost to the kitty. Therefore whatever an order can say is said in the order.
"""

from __future__ import annotations

from msgspec.structs import replace

from pyiexec.protocol.deals import Deal
from pyiexec.protocol.primitives import NULL_ADDRESS
from pyiexec.protocol.units import format_rlc
from pyiexec.scheduler.pool_policy import Admission
from pyiexec.scheduler.state import TaskState

#: Cause of the tasks of a deal that is not admitted.
DEAL_NOT_ADMITTED = "DEAL_NOT_ADMITTED"


def objection(deal: Deal, admission: Admission) -> str | None:
    """What the pool has against a deal, in words; None when it is admitted."""
    parties = (
        ("app", deal.app.pointer, admission.apps, admission.denied_apps),
        ("dataset", deal.dataset.pointer, admission.datasets, admission.denied_datasets),
        ("requester", deal.requester, admission.requesters, admission.denied_requesters),
    )
    for role, address, allowed, denied in parties:
        if address in denied:
            return f"the pool refuses the {role} {address}"
        if allowed and address not in allowed:
            none = role == "dataset" and address == NULL_ADDRESS
            return f"the pool works only on {role}s of its list, and " + (
                "the deal has none" if none else f"{address} is not on it"
            )
    if admission.categories and deal.category not in admission.categories:
        return f"the pool does not work on category {deal.category}"
    if deal.workerpool.price < admission.price_floor:
        floor = format_rlc(admission.price_floor)
        return f"the pool does not work for {format_rlc(deal.workerpool.price)} a task, but for {floor} at least"
    if admission.max_trust is not None and max(deal.trust, 1) > max(admission.max_trust, 1):
        return f"the pool does not go beyond trust {admission.max_trust}, and the deal asks for {deal.trust}"
    return None


def turned_away(state: TaskState, why: str) -> TaskState:
    """A task of a deal just noticed, given up before anything is done for it."""
    return replace(state, given_up=True, cause=DEAL_NOT_ADMITTED, explanation=why)
