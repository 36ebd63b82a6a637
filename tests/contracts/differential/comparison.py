"""What counts as the same, and the short list of what is meant to differ.

The published contracts are PoCo 6.1.0, ours follow 6.2. Histories keep away from differences that change what happens;
those have tests of their own. What remains are differences in how a refusal is put.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from pyiexec.chain.abi import decode_revert

from .worlds import Call, Outcome

MATCHES = ("matchOrders", "sponsorMatchOrders")
MANAGES = tuple(f"manage{kind}Order" for kind in ("App", "Dataset", "Workerpool", "Request"))
ANY: tuple[str, ...] = ()


@dataclass(frozen=True)
class Reason:
    """Refusals that differ in their reason alone.

    Attributes:
        published: the reason, empty when there is none.
        ours: how the reason may start; empty when there is none.
    """

    why: str
    functions: Collection[str]
    published: str
    ours: Collection[str]

    def covers(self, call: Call, published: str, ours: str) -> bool:
        named = not self.functions or call.function.name in self.functions
        return named and published == self.published and any(_starts(ours, start) for start in self.ours)


def _starts(reason: str, start: str) -> bool:
    return reason.startswith(start) if start else not reason


REASONS = (
    Reason("arithmetic errors carry no panic", ANY, "panic 0x11", ("",)),
    Reason(
        "an asset without code is not registered",
        MATCHES,
        "",
        ("iExecV5-matchOrders-0x20", "iExecV5-matchOrders-0x30", "iExecV5-matchOrders-0x40"),
    ),
    Reason("a resource without code is not registered", MANAGES, "", ("resource not registered",)),
    Reason(
        "a malformed signature is a wrong one",
        ("assertDatasetDealCompatibility",),
        "invalid-signature-format",
        ("IncompatibleDatasetOrder(Invalid dataset order signature)",),
    ),
    Reason(
        "a dataset without code is not registered",
        ("assertDatasetDealCompatibility",),
        "",
        ("IncompatibleDatasetOrder(Dataset not registered)",),
    ),
    Reason(
        "registries of 6.2 refuse with the errors of ERC-6093",
        ("transferFrom",),
        "ERC721: transfer caller is not owner nor approved",
        ("ERC721InsufficientApproval(",),
    ),
)


def _without_cleared_approvals(call: Call, outcome: Outcome) -> Outcome:
    """Registries of 6.1 announce that a transfer ended an approval, those of 6.2 do not."""
    if not call.to.endswith("_registry"):
        return outcome
    kept = tuple(event for event in outcome.events if event[1] != "Approval")
    return replace(outcome, events=kept)


def same(call: Call, published: Outcome, ours: Outcome) -> bool:
    """Whether ours did what the published hub did, but for a difference listed above."""
    if _without_cleared_approvals(call, published) == ours:
        return True
    if published.succeeded or ours.succeeded:
        return False
    reasons = decode_revert(published.refusal).reason, decode_revert(ours.refusal).reason
    return any(reason.covers(call, *reasons) for reason in REASONS)
