"""Which facets a hub is made of, and which functions each of them answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from pyiexec.chain.abi import Function
from pyiexec.chain.artifacts import Artifact, load
from pyiexec.protocol.primitives import Address

#: What the hub holds: an ERC-20, or the chain's own coin at 10**9 wei for one nRLC.
Variant = Literal["token", "native"]

DIAMOND_FACETS = ("DiamondCutFacet", "DiamondLoupeFacet", "OwnershipFacet")
#: Facets of a hub with a token, in the order in which they are linked.
HUB_FACETS = (
    "IexecAccessorsABILegacyFacet",
    "IexecCategoryManagerFacet",
    "IexecConfigurationExtraFacet",
    "IexecConfigurationFacet",
    "IexecEscrowTokenFacet",
    "IexecOrderManagementFacet",
    "IexecPoco1Facet",
    "IexecPoco2Facet",
    "IexecPocoAccessorsFacet",
    "IexecPocoBoostFacet",
    "IexecPocoBoostAccessorsFacet",
    "IexecRelayFacet",
)
#: Arbitrum One and Arbitrum Sepolia: the hubs of PoCo 6.2 there have no Boost, and a hub that takes their place should
#: offer neither more nor less.
CHAINS_WITHOUT_BOOST = frozenset({42161, 421614})
ESCROW_FACETS: Mapping[Variant, str] = {"token": "IexecEscrowTokenFacet", "native": "IexecEscrowNativeFacet"}

#: Selectors under which the hub keeps the facet that answers plain transfers and unknown functions.
RECEIVE, FALLBACK = bytes(4), b"\xff" * 4

_ADD = 0

#: ERC-2535's `FacetCut`: facet, action, selectors.
Cut = tuple[Address, int, list[bytes]]


def hub_facets(variant: Variant, chain_id: int) -> tuple[str, ...]:
    """The facets of a hub besides those of the diamond itself, in the order in which they are linked."""
    facets = (ESCROW_FACETS[variant] if name in ESCROW_FACETS.values() else name for name in HUB_FACETS)
    return tuple(name for name in facets if "Boost" not in name or chain_id not in CHAINS_WITHOUT_BOOST)


def selectors(artifact: Artifact) -> tuple[bytes, ...]:
    """What the hub has to route to a facet: its functions, and both pseudo-selectors if it has a fallback."""
    found = [
        Function.parse(f"{entry['name']}({','.join(_type(argument) for argument in entry['inputs'])})").selector
        for entry in artifact.abi
        if entry["type"] == "function"
    ]
    if any(entry["type"] == "fallback" for entry in artifact.abi):
        found += [RECEIVE, FALLBACK]
    return tuple(found)


def _type(argument: dict[str, object]) -> str:
    name = str(argument["type"])
    components = argument.get("components")
    if not isinstance(components, list):
        return name
    return f"({','.join(map(_type, components))}){name.removeprefix('tuple')}"


def facet_cuts(facets: Sequence[tuple[str, Address]]) -> list[Cut]:
    """One addition for each facet; a selector that two facets have goes to the first."""
    seen: set[bytes] = set()
    cuts = []
    for name, address in facets:
        new = [selector for selector in selectors(load(name)) if selector not in seen]
        seen.update(new)
        cuts.append((address, _ADD, new))
    return cuts
