# pragma version 0.4.3
"""
@title Arrays read in call data
@license Apache-2.0
@notice Vyper's decoder puts an array into memory of the array's capacity: 7,000 gas for 1,024 items, however few there
        are. Where that outweighs the work for each item, items are read one by one from where they are.
@dev    Solidity's ABI: an array's argument says how far behind the selector its length is, and its items follow the length.
        What lies beyond the end of the call data is refused without a reason, not read as zeros.
"""

SELECTOR_SIZE: constant(uint256) = 4
WORD: constant(uint256) = 32
TWO_WORDS: constant(uint256) = 64


@internal
@view
def _selector() -> bytes4:
    """@return Zero when the call data is shorter than a selector."""
    if len(msg.data) < SELECTOR_SIZE:
        return empty(bytes4)
    return convert(slice(msg.data, 0, SELECTOR_SIZE), bytes4)


@internal
@view
def _two_arrays() -> (uint256, uint256, uint256):
    """
    @return Of a function with two arrays of the same length: where the items of each begin, and how many there are.
    @custom:reverts `invalid-array-length` when the lengths differ.
    """
    first: uint256 = 0
    second: uint256 = 0
    first, second = abi_decode(slice(msg.data, SELECTOR_SIZE, TWO_WORDS), (uint256, uint256))
    first += SELECTOR_SIZE
    second += SELECTOR_SIZE
    count: uint256 = convert(slice(msg.data, first, WORD), uint256)
    assert count == convert(slice(msg.data, second, WORD), uint256), "invalid-array-length"
    return first + WORD, second + WORD, count
