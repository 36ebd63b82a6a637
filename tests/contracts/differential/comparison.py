"""What counts as the same, and three short tables of what is meant to differ.

The published contracts are PoCo 6.1.0, ours follow 6.2. Stories keep away from differences that change what happens;
those have tests of their own. What remains are differences in how a refusal is put, and one in what is announced.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import NamedTuple

from .worlds import Call, Outcome

MATCHES = ("matchOrders", "sponsorMatchOrders")
MANAGES = tuple(f"manage{kind}Order" for kind in ("App", "Dataset", "Workerpool", "Request"))
SIGNATURE_VIEWS = ("verifySignature", "verifyPresignatureOrSignature")


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
        named = call.function.name in self.functions
        return named and published == self.published and any(_starts(ours, start) for start in self.ours)


def _starts(reason: str, start: str) -> bool:
    return reason.startswith(start) if start else not reason


#: Defects of the reference that are put right.
FIXED = (
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
)
TRANSFERS = ("transferFrom", "safeTransferFrom")
CREATIONS = ("createApp", "createDataset", "createWorkerpool")
ERC_6093 = "registries refuse with the errors of ERC-6093"
#: What 6.2 changed.
FROM_6_1_TO_6_2 = (
    *(
        Reason(ERC_6093, functions, f"{contract}: {published}", (f"{ours}()",))
        for functions, contract, published, ours in (
            (TRANSFERS, "ERC721", "transfer caller is not owner nor approved", "ERC721InsufficientApproval"),
            (TRANSFERS, "ERC721", "operator query for nonexistent token", "ERC721NonexistentToken"),
            (TRANSFERS, "ERC721", "transfer of token that is not own", "ERC721IncorrectOwner"),
            (TRANSFERS, "ERC721", "transfer to the zero address", "ERC721InvalidReceiver"),
            (TRANSFERS, "ERC721", "transfer to non ERC721Receiver implementer", "ERC721InvalidReceiver"),
            (("approve",), "ERC721", "approve caller is not owner nor approved for all", "ERC721InvalidApprover"),
            (("approve", "ownerOf"), "ERC721", "owner query for nonexistent token", "ERC721NonexistentToken"),
            (("getApproved",), "ERC721", "approved query for nonexistent token", "ERC721NonexistentToken"),
            (("tokenURI",), "ERC721Metadata", "URI query for nonexistent token", "ERC721NonexistentToken"),
            (("balanceOf",), "ERC721", "balance query for the zero address", "ERC721InvalidOwner"),
            (("tokenByIndex",), "EnumerableMap", "index out of bounds", "ERC721OutOfBoundsIndex"),
            (("tokenOfOwnerByIndex",), "EnumerableSet", "index out of bounds", "ERC721OutOfBoundsIndex"),
            (CREATIONS, "ERC721", "mint to the zero address", "ERC721InvalidReceiver"),
            (("transferOwnership",), "Ownable", "new owner is the zero address", "OwnableInvalidOwner"),
        )
    ),
    Reason("a misspelled reason", ("deposit",), "failled-transferFrom", ("failed-transferFrom",)),
    Reason("a category that is not there is an index out of range", ("viewCategoryABILegacy",), "", ("panic 0x32",)),
)
PRICES = ("app price too high", "dataset price too high", "workerpool price too high")
#: What comes of Vyper, which bounds byte strings and packs by hand.
LANGUAGE = (
    Reason("prices have 96 bits", MATCHES, "IexecEscrow: Transfer amount exceeds balance", PRICES),
    Reason("their sum never overflows", MATCHES, "panic 0x11", PRICES),
    Reason("signatures have 1,024 bytes", SIGNATURE_VIEWS, "invalid-signature-format", ("",)),
)

TABLES = {"fixed": FIXED, "6.1 to 6.2": FROM_6_1_TO_6_2, "language": LANGUAGE}
CLEARED_APPROVALS = "6.1 to 6.2: a transfer ends an approval without a word"


class Same(NamedTuple):
    """Whether two outcomes count as the same; `why` when they are not equal and yet do."""

    same: bool
    why: str = ""


def _without_cleared_approvals(call: Call, outcome: Outcome) -> Outcome:
    """Registries of 6.1 announce that a transfer ended an approval, those of 6.2 do not."""
    if not call.to.endswith("_registry") or "ransferFrom" not in call.function.name:
        return outcome
    return replace(outcome, events=tuple(event for event in outcome.events if event[1] != "Approval"))


def compare(call: Call, published: Outcome, ours: Outcome) -> Same:
    """Whether ours did what the published hub did, but for a difference listed above."""
    if published == ours:
        return Same(True)
    if _without_cleared_approvals(call, published) == ours:
        return Same(True, CLEARED_APPROVALS)
    if published.succeeded or ours.succeeded:
        return Same(False)
    reasons = published.reason, ours.reason
    for title, rows in TABLES.items():
        for row in rows:
            if row.covers(call, *reasons):
                return Same(True, f"{title}: {row.why}")
    return Same(False)
