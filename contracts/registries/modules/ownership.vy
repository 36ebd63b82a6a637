# pragma version 0.4.3
"""
@title Single-step ownership of a registry
@license Apache-2.0
@notice The owner configures the registry; it has no power over the assets. Failures are those of the registries in
        service: a string for a stranger, a custom error for a zero owner.
"""

event OwnershipTransferred:
    previousOwner: indexed(address)
    newOwner: indexed(address)


owner: public(address)


@deploy
def __init__():
    self._hand_over(msg.sender)


@internal
def _hand_over(new_owner: address):
    log OwnershipTransferred(previousOwner=self.owner, newOwner=new_owner)
    self.owner = new_owner


@internal
@view
def _only_owner():
    assert msg.sender == self.owner, "Ownable: caller is not the owner"


@external
def transferOwnership(newOwner: address):
    """
    @notice Give the registry to `newOwner`, at once: there is no second step to catch a wrong address.
    @custom:reverts `OwnableInvalidOwner(address)` for the zero address; `renounceOwnership` is the way to that.
    """
    self._only_owner()
    if newOwner == empty(address):
        raw_revert(abi_encode(newOwner, method_id=method_id("OwnableInvalidOwner(address)")))
    self._hand_over(newOwner)


@external
def renounceOwnership():
    """@notice Leave the registry without owner, for good."""
    self._only_owner()
    self._hand_over(empty(address))
