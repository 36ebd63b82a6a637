# pragma version 0.4.3
"""
@title The hub
@license Apache-2.0
@notice One address for all of PoCo: an ERC-2535 diamond that holds the state and the money, and hands every call to the
        facet that knows it.
@dev    A call without a facet goes to the one registered for 0xffffffff, if any; a call of fewer than four bytes counts
        as padded with zeros. Refusals of facets are passed on whole; answers up to the window of the function (see
        windows). The narrow branch comes first and all three are written out: an internal function in between would
        place its frame above the widest window and make every call pay for it.
"""
from hub.modules import bounds
from hub.modules import cuts
from hub.modules import ownership
from hub.modules import routes
from hub.modules import rules
from hub.modules import store
from hub.modules import windows

initializes: store
initializes: ownership[store := store]
initializes: routes[store := store]
initializes: cuts[store := store, ownership := ownership, routes := routes]

struct DiamondArgs:
    owner: address
    # published as `init`
    initializer: address
    initCalldata: Bytes[bounds.INIT_DATA]

FALLBACK: constant(bytes4) = 0xffffffff
SELECTOR_SIZE: constant(uint256) = 4


@deploy
@payable
def __init__(_diamondCut: DynArray[cuts.FacetCut, bounds.CUTS], _args: DiamondArgs):
    ownership._set_owner(_args.owner)
    cuts._cut(_diamondCut, _args.initializer, _args.initCalldata)


@external
@view
@raw_return
def blob() -> Bytes[bounds.BLOB]:
    """
    @notice The code of the contract being created: asked for by its init code (see blobs). Empty in a transaction that
            has not created any yet; nobody but init code acts on it.
    """
    return store.blob


@internal
@view
def _short_selector() -> bytes4:
    """@return The selector of a call of fewer than four bytes."""
    if len(msg.data) == 0:
        return empty(bytes4)
    padded: uint256 = convert(slice(msg.data, 0, 1), uint256) << 24
    if len(msg.data) > 1:
        padded |= convert(slice(msg.data, 1, 1), uint256) << 16
    if len(msg.data) > 2:
        padded |= convert(slice(msg.data, 2, 1), uint256) << 8
    return convert(convert(padded << 224, bytes32), bytes4)


@external
@payable
@raw_return
def __default__() -> Bytes[bounds.ANSWER_WIDE]:
    selector: bytes4 = empty(bytes4)
    if len(msg.data) < SELECTOR_SIZE:
        selector = self._short_selector()
    else:
        selector = convert(slice(msg.data, 0, SELECTOR_SIZE), bytes4)
    route: uint256 = store.routes[selector]
    if route == 0:
        route = store.routes[FALLBACK]
        if route == 0:
            raw_revert(abi_encode(selector, method_id=method_id("FunctionNotFound(bytes4)")))
    facet: address = convert(route & rules.ADDRESS_MASK, address)
    window: uint256 = route >> routes.WINDOW_AT
    if window == windows.NARROW:
        return raw_call(facet, msg.data, max_outsize=bounds.ANSWER_NARROW, is_delegate_call=True)
    if window == windows.MEDIUM:
        return raw_call(facet, msg.data, max_outsize=bounds.ANSWER_MEDIUM, is_delegate_call=True)
    return raw_call(facet, msg.data, max_outsize=bounds.ANSWER_WIDE, is_delegate_call=True)
