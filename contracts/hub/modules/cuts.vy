# pragma version 0.4.3
"""
@title Diamond cuts
@license Apache-2.0
@notice ERC-2535: functions are added, replaced and removed by selector, all or nothing, with an optional call to set up
        what the new code needs.
"""
from hub.modules import bounds
from hub.modules import ownership
from hub.modules import routes
from hub.modules import store

uses: store
uses: ownership
uses: routes

struct FacetCut:
    facetAddress: address
    action: uint8
    functionSelectors: DynArray[bytes4, bounds.CUT_SELECTORS]

event DiamondCut:
    _diamondCut: DynArray[FacetCut, bounds.CUTS]
    _init: address
    _calldata: Bytes[bounds.INIT_DATA]

ADD: constant(uint8) = 0
REPLACE: constant(uint8) = 1
REMOVE: constant(uint8) = 2

# blob(): answered by the diamond itself, so a route for it would never be taken.
BLOB_SELECTOR: constant(bytes4) = 0xfde0e7a8


@internal
@view
def _check_code(target: address, message: String[64]):
    """@custom:reverts NoBytecodeAtAddress(address,string)."""
    if target.codesize == 0:
        raw_revert(abi_encode(target, message, method_id=method_id("NoBytecodeAtAddress(address,string)")))


@internal
def _add(cut: FacetCut):
    if cut.facetAddress == empty(address):
        raw_revert(
            abi_encode(cut.functionSelectors, method_id=method_id("CannotAddSelectorsToZeroAddress(bytes4[])"))
        )
    self._check_code(cut.facetAddress, "LibDiamondCut: Add facet has no code")
    count: uint256 = store.selector_count
    assert count + len(cut.functionSelectors) <= bounds.SELECTORS, "too many selectors"
    for selector: bytes4 in cut.functionSelectors:
        if store.routes[selector] != 0 or selector == BLOB_SELECTOR:
            raw_revert(
                abi_encode(selector, method_id=method_id("CannotAddFunctionToDiamondThatAlreadyExists(bytes4)"))
            )
        routes._set(selector, cut.facetAddress, count)
        routes._put_selector(count, selector)
        count += 1
    store.selector_count = count


@internal
def _replace(cut: FacetCut):
    if cut.facetAddress == empty(address):
        raw_revert(
            abi_encode(
                cut.functionSelectors,
                method_id=method_id("CannotReplaceFunctionsFromFacetWithZeroAddress(bytes4[])"),
            )
        )
    self._check_code(cut.facetAddress, "LibDiamondCut: Replace facet has no code")
    for selector: bytes4 in cut.functionSelectors:
        route: uint256 = store.routes[selector]
        current: address = routes._facet(route)
        if current == self:
            raw_revert(abi_encode(selector, method_id=method_id("CannotReplaceImmutableFunction(bytes4)")))
        if current == cut.facetAddress:
            raw_revert(
                abi_encode(
                    selector,
                    method_id=method_id("CannotReplaceFunctionWithTheSameFunctionFromTheSameFacet(bytes4)"),
                )
            )
        if current == empty(address):
            raw_revert(abi_encode(selector, method_id=method_id("CannotReplaceFunctionThatDoesNotExists(bytes4)")))
        routes._set(selector, cut.facetAddress, routes._position(route))


@internal
def _remove(cut: FacetCut):
    if cut.facetAddress != empty(address):
        raw_revert(
            abi_encode(cut.facetAddress, method_id=method_id("RemoveFacetAddressMustBeZeroAddress(address)"))
        )
    count: uint256 = store.selector_count
    for selector: bytes4 in cut.functionSelectors:
        route: uint256 = store.routes[selector]
        if route == 0:
            raw_revert(abi_encode(selector, method_id=method_id("CannotRemoveFunctionThatDoesNotExist(bytes4)")))
        if routes._facet(route) == self:
            raw_revert(abi_encode(selector, method_id=method_id("CannotRemoveImmutableFunction(bytes4)")))
        # the last selector fills the hole
        count -= 1
        position: uint256 = routes._position(route)
        if position != count:
            last: bytes4 = routes._selector_at(count)
            routes._put_selector(position, last)
            routes._set(last, routes._facet(store.routes[last]), position)
        routes._put_selector(count, empty(bytes4))
        store.routes[selector] = 0
    store.selector_count = count


@internal
def _set_up(target: address, data: Bytes[bounds.INIT_DATA]):
    """
    @notice Run `data` on `target` in the diamond's place.
    @custom:reverts the reason of the call; InitializationFunctionReverted(address,bytes) when it gave none.
    """
    if target == empty(address):
        return
    self._check_code(target, "LibDiamondCut: _init address has no code")
    success: bool = False
    answer: Bytes[bounds.INIT_DATA] = b""
    success, answer = raw_call(
        target, data, max_outsize=bounds.INIT_DATA, is_delegate_call=True, revert_on_failure=False
    )
    if not success:
        if len(answer) == 0:
            raw_revert(
                abi_encode(target, data, method_id=method_id("InitializationFunctionReverted(address,bytes)"))
            )
        raw_revert(answer)


@internal
def _cut(
    cuts: DynArray[FacetCut, bounds.CUTS], initializer: address, initializer_data: Bytes[bounds.INIT_DATA]
):
    for cut: FacetCut in cuts:
        assert cut.action <= REMOVE
        if len(cut.functionSelectors) == 0:
            raw_revert(
                abi_encode(
                    cut.facetAddress, method_id=method_id("NoSelectorsProvidedForFacetForCut(address)")
                )
            )
        if cut.action == ADD:
            self._add(cut)
        elif cut.action == REPLACE:
            self._replace(cut)
        else:
            self._remove(cut)
    log DiamondCut(_diamondCut=cuts, _init=initializer, _calldata=initializer_data)
    self._set_up(initializer, initializer_data)


@external
def diamondCut(
    _diamondCut: DynArray[FacetCut, bounds.CUTS], _init: address, _calldata: Bytes[bounds.INIT_DATA]
):
    """
    @notice The owner adds (0), replaces (1) and removes (2) functions, then has `_init` run `_calldata` unless it is
            zero.
    @custom:reverts NotContractOwner(address,address) and the errors of ERC-2535's reference implementation.
    """
    ownership._check_contract_owner()
    self._cut(_diamondCut, _init, _calldata)
