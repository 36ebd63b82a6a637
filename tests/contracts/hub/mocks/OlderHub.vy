# pragma version 0.4.3
# A hub of old, with a score for everyone.


@external
def viewScore(worker: address) -> uint256:
    return 22
