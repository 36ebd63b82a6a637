# pragma version 0.4.3
"""
@title Who is told of approvals
@license Apache-2.0
@notice Accepts every approval, and every asset that is sent with a notice.
"""

ERC721_RECEIVED: constant(bytes4) = 0x150b7a02


@external
def receiveApproval(sender: address, amount: uint256, token: address, data: Bytes[1024]) -> bool:
    return True


@external
def onERC721Received(operator: address, sender: address, id: uint256, data: Bytes[1024]) -> bytes4:
    return ERC721_RECEIVED


@external
@view
def viewScore(worker: address) -> uint256:
    """@notice A hub of old, with a score for everyone."""
    return 22
