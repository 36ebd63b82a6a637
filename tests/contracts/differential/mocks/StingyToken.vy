# pragma version 0.4.3
# A token that says no, and moves nothing.


@external
def transferFrom(owner: address, to: address, amount: uint256) -> bool:
    return False


@external
def transfer(to: address, amount: uint256) -> bool:
    return False


@external
@view
def balanceOf(account: address) -> uint256:
    return 0
