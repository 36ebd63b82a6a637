# pragma version 0.4.3
"""
@title A spender that is told of its allowance
@notice Takes what it was allowed at once; refuses an amount of zero, and answers `False` when the data says so.
"""

interface Token:
    def transferFrom(sender: address, receiver: address, amount: uint256) -> bool: nonpayable


event GotApproval:
    sender: address
    amount: uint256
    token: address
    extraData: Bytes[16384]


@external
def receiveApproval(sender: address, amount: uint256, token: address, extraData: Bytes[16384]) -> bool:
    assert amount > 0, "nothing approved"
    extcall Token(token).transferFrom(sender, self, amount)
    log GotApproval(sender=sender, amount=amount, token=token, extraData=extraData)
    return extraData != b"answer false"
