# pragma version 0.4.3
"""
@title A name service (EIP-137) that knows one node, `addr.reverse`
"""

# namehash of `addr.reverse`
REVERSE_NODE: constant(bytes32) = 0x91d1777781884d03a6757a803996e38de2a42967fb37eeaca72729271025a9e2

reverse_owner: uint256


@deploy
def __init__(reverse_owner: uint256):
    self.reverse_owner = reverse_owner


@external
@view
def owner(node: bytes32) -> uint256:
    """@dev A word instead of an address: what is no address can be answered too."""
    return self.reverse_owner if node == REVERSE_NODE else 0
