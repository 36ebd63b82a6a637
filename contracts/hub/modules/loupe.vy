# pragma version 0.4.3
"""
@title The loupe
@license Apache-2.0
@notice Which functions a diamond has, and where (ERC-2535), and which interfaces (ERC-165).
@dev    Beyond 32 facets, or 128 functions of one facet, `facets` reverts rather than answer in part; nothing else does.
"""
from hub.modules import bounds
from hub.modules import routes
from hub.modules import store

uses: store
uses: routes

struct Facet:
    facetAddress: address
    functionSelectors: DynArray[bytes4, bounds.CUT_SELECTORS]


@external
@view
def facets() -> DynArray[Facet, bounds.FACETS]:
    """@return Every facet with its selectors, both in order of arrival."""
    found: DynArray[Facet, bounds.FACETS] = []
    for i: uint256 in range(store.selector_count, bound=bounds.SELECTORS):
        selector: bytes4 = routes._selector_at(i)
        facet: address = routes._facet(store.routes[selector])
        at: uint256 = len(found)
        for j: uint256 in range(len(found), bound=bounds.FACETS):
            if found[j].facetAddress == facet:
                at = j
                break
        if at == len(found):
            found.append(Facet(facetAddress=facet, functionSelectors=[]))
        found[at].functionSelectors.append(selector)
    return found


@external
@view
def facetFunctionSelectors(_facet: address) -> DynArray[bytes4, bounds.SELECTORS]:
    """@return The selectors answered by `_facet`."""
    found: DynArray[bytes4, bounds.SELECTORS] = []
    for i: uint256 in range(store.selector_count, bound=bounds.SELECTORS):
        selector: bytes4 = routes._selector_at(i)
        if routes._facet(store.routes[selector]) == _facet:
            found.append(selector)
    return found


@external
@view
def facetAddresses() -> DynArray[address, bounds.SELECTORS]:
    """@return Every facet, in order of arrival."""
    found: DynArray[address, bounds.SELECTORS] = []
    for i: uint256 in range(store.selector_count, bound=bounds.SELECTORS):
        facet: address = routes._facet(store.routes[routes._selector_at(i)])
        if facet not in found:
            found.append(facet)
    return found


@external
@view
def facetAddress(_functionSelector: bytes4) -> address:
    """@return Who answers the selector, or zero."""
    return routes._facet(store.routes[_functionSelector])


@external
@view
def supportsInterface(_interfaceId: bytes4) -> bool:
    return store.interfaces[_interfaceId]
