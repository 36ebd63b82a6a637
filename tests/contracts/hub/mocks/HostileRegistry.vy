# pragma version 0.4.3
# A registry that says everything belongs to one account; with nobody to name it tries to write while it is asked.

favourite: uint256
asked: uint256


@deploy
def __init__(favourite: uint256):
    self.favourite = favourite


@external
def entry(id: uint256) -> uint256:
    if self.favourite == 0:
        self.asked += 1
    return self.favourite
