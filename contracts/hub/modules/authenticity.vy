# pragma version 0.4.3
"""
@title Who stands behind an order
@license Apache-2.0
"""
from hub.modules import bounds
from hub.modules import order_marks
from hub.modules import signatures


@internal
@view
def _authorized(signer: address, order_hash: bytes32, signature: Bytes[bounds.SIGNATURE], mark: uint256) -> bool:
    """
    @return Whether `signer` signed the order, on chain before (its `mark` says so) or by `signature`.
    @custom:reverts `invalid-signature-format` as signatures._signed, unless the order was signed on chain.
    """
    if signer != empty(address) and order_marks._presigner(mark) == signer:
        return True
    return signatures._signed(signer, order_hash, signature)
