"""What a full run has to reach on hubs of each kind, and what it need not and why."""

from __future__ import annotations

from pyiexec.chain.anvil import CHAIN_ID
from pyiexec.chain.deployment import Variant

from .coverage import EDGES, Requirement, published_events, published_functions
from .scenes import administration, assets, boost, escrow, matching, tasks

#: What no call can bring about.
UNREACHABLE = {
    "IexecEscrow: Transfer from empty address": "a request of the zero address cannot be signed here (fixed 01)",
    "IexecEscrow: Transfer to empty address": "nobody with money at stake has the zero address",
    "MathOverflowedMulDiv()": "rewards are far below 2**256",
    "CannotReplaceImmutableFunction, CannotRemoveImmutableFunction": "no function belongs to the diamond itself",
    "Create2FailedDeployment() and its like": "a creation that fails was refused before",
}
#: What the published package does not hold, so that nothing can be compared.
UNPUBLISHED = {
    "diamondCut, transferOwnership, NotContractOwner()": "DiamondCutFacet and OwnershipFacet; cuts are compared in the"
    " constructor of Diamond, which is there",
    "facets, facetAddress, facetAddresses, facetFunctionSelectors, supportsInterface": "DiamondLoupeFacet",
}
#: What 6.1 does not have; test_differences.py shows each.
LATER = {
    "receiveApproval with data": "6.1 ignores the data, 6.2 matches the orders in it",
    "UnsupportedOperation, OperationFailed, CallerIsNotTheRequester": "refusals of the same",
}

TOKEN = Requirement(
    functions=tuple(published_functions("token", CHAIN_ID)),
    events=tuple(published_events()),
    refusals=(
        *matching.REFUSALS,
        *matching.BOOST_REFUSALS,
        *matching.MANAGE_REFUSALS,
        *matching.SIGNATURE_REFUSALS,
        *matching.COMPATIBILITY_REFUSALS,
        *matching.LIMITS,
        *tasks.REFUSALS,
        *boost.REFUSALS,
        *escrow.REFUSALS,
        *administration.REFUSALS,
        *administration.CUT_REFUSALS,
        *assets.REFUSALS,
    ),
    edges=EDGES,
)
#: Of a native hub what its escrow has; the rest is the same code.
NATIVE = Requirement(
    functions=tuple(
        f"hub.{name}"
        for name in (
            *("deposit", "depositFor", "depositForArray", "withdraw", "withdrawTo", "recover"),
            *("transfer", "approve", "transferFrom", "matchOrders", "initialize", "contribute", "reveal", "finalize"),
        )
    ),
    events=("hub.Transfer", "hub.Approval", "hub.Lock", "hub.Unlock", "hub.Reward", "hub.Seize"),
    refusals=escrow.NATIVE_REFUSALS,
    edges=(),
)
REQUIREMENTS: dict[Variant, Requirement] = {"token": TOKEN, "native": NATIVE}
