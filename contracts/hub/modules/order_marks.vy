# pragma version 0.4.3
"""
@title What the hub remembers of an order
@license Apache-2.0
@dev    One word per order hash: consumed volume (95 bits) | whether a request order was matched (1) | presigner (160).

        A volume beyond 95 bits counts as 2**95 - 1, in matching and in closing alike, so that a closed order has
        nothing left whatever its volume. "Matched" says that a classic deal began the request order. It is apart from
        "consumed" because closing and Boost consume too, and neither may prove that deal (see deals).
"""

CONSUMED_MAX: constant(uint256) = 2**95 - 1
MATCHED: constant(uint256) = 2**95
VOLUME_AND_MATCHED: constant(uint256) = 2**96 - 1
PRESIGNER_AT: constant(uint256) = 96


@internal
@pure
def _consumed(mark: uint256) -> uint256:
    return mark & CONSUMED_MAX


@internal
@pure
def _presigner(mark: uint256) -> address:
    return convert(mark >> PRESIGNER_AT, address)


@internal
@pure
def _remaining(volume: uint256, mark: uint256) -> uint256:
    """@return How much of an order of `volume` is left."""
    return min(volume, CONSUMED_MAX) - (mark & CONSUMED_MAX)


@internal
@pure
def _matched(mark: uint256, volume: uint256) -> uint256:
    """
    @return The mark of a request order after a classic deal took `volume` of what is left.
    @dev Only a deal that begins the order sets the bit: one that continues it proves nothing of the first, which may
         be a Boost deal.
    """
    after: uint256 = unsafe_add(mark, volume)
    if mark & CONSUMED_MAX == 0:
        after |= MATCHED
    return after


@internal
@pure
def _presigned(mark: uint256, signer: address) -> uint256:
    """@return The mark once `signer` has signed the order on chain."""
    return mark & VOLUME_AND_MATCHED | convert(signer, uint256) << PRESIGNER_AT


@internal
@pure
def _closed(mark: uint256, volume: uint256) -> uint256:
    """@return The mark of an order with nothing left."""
    return mark & ~CONSUMED_MAX | min(volume, CONSUMED_MAX)
