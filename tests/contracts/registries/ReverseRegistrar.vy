# pragma version 0.4.3
"""
@title A reverse registrar (EIP-181) that remembers who is named how
"""

name_of: public(HashMap[address, String[256]])


@external
def setName(name: String[256]) -> bytes32:
    assert name != "", "a name has letters"
    self.name_of[msg.sender] = name
    return keccak256(name)
