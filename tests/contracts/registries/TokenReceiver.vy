# pragma version 0.4.3
"""
@title A contract that is sent tokens
@notice Does what it was told at its creation, and remembers whether it owned the token when it was asked.
"""

interface Collection:
    def ownerOf(tokenId: uint256) -> address: view


ACCEPT: constant(uint256) = 0
ANSWER_WRONG: constant(uint256) = 1
REFUSE_WITH_REASON: constant(uint256) = 2
REFUSE: constant(uint256) = 3
REFUSE_AT_LENGTH: constant(uint256) = 4

behaviour: uint256
owned_when_asked: public(bool)
data: public(Bytes[1024])


@deploy
def __init__(behaviour: uint256):
    self.behaviour = behaviour


@external
def onERC721Received(_operator: address, _from: address, _tokenId: uint256, _data: Bytes[1024]) -> bytes4:
    assert self.behaviour != REFUSE
    assert self.behaviour != REFUSE_WITH_REASON, "no tokens please"
    if self.behaviour == REFUSE_AT_LENGTH:
        raw_revert(concat(empty(bytes32), slice(msg.data, 0, 4), _data, _data))
    self.owned_when_asked = staticcall Collection(msg.sender).ownerOf(_tokenId) == self
    self.data = _data
    if self.behaviour == ANSWER_WRONG:
        return 0x00000000
    return method_id("onERC721Received(address,address,uint256,bytes)", output_type=bytes4)
