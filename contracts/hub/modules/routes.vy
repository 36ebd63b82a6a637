# pragma version 0.4.3
"""
@title Which facet answers which selector
@license Apache-2.0
@dev    One word per selector: facet 160 | position in the list of selectors 16 | window 8. The list holds eight
        selectors per word, in order of arrival.
"""
from hub.modules import rules
from hub.modules import store
from hub.modules import windows

uses: store

POSITION_AT: constant(uint256) = 160
POSITION_MASK: constant(uint256) = 2**16 - 1
WINDOW_AT: constant(uint256) = 176

PER_WORD: constant(uint256) = 8
SELECTOR_BITS: constant(uint256) = 32
SELECTOR_MASK: constant(uint256) = 2**32 - 1
SELECTOR_SHIFT: constant(uint256) = 224


@internal
@pure
def _facet(route: uint256) -> address:
    return convert(route & rules.ADDRESS_MASK, address)


@internal
@pure
def _position(route: uint256) -> uint256:
    return route >> POSITION_AT & POSITION_MASK


@internal
@pure
def _window(route: uint256) -> uint256:
    return route >> WINDOW_AT


@internal
def _set(selector: bytes4, facet: address, position: uint256):
    store.routes[selector] = (
        convert(facet, uint256) | position << POSITION_AT | windows._of(selector) << WINDOW_AT
    )


@internal
@view
def _selector_at(position: uint256) -> bytes4:
    offset: uint256 = position % PER_WORD * SELECTOR_BITS
    word: uint256 = store.selector_words[position // PER_WORD]
    return convert(convert((word >> offset & SELECTOR_MASK) << SELECTOR_SHIFT, bytes32), bytes4)


@internal
def _put_selector(position: uint256, selector: bytes4):
    offset: uint256 = position % PER_WORD * SELECTOR_BITS
    word: uint256 = store.selector_words[position // PER_WORD] & ~(SELECTOR_MASK << offset)
    bits: uint256 = convert(convert(selector, bytes32), uint256) >> SELECTOR_SHIFT
    store.selector_words[position // PER_WORD] = word | bits << offset
