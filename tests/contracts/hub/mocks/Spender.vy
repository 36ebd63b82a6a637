# pragma version 0.4.3
# Told of approvals; refuses the empty ones.


@external
def receiveApproval(sender: address, amount: uint256, token: address, data: Bytes[1024]) -> bool:
    return amount != 0
