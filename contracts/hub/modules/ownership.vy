# pragma version 0.4.3
"""
@title The owner of the hub
@license Apache-2.0
@notice One account may change the code and the parameters of the hub, and is trusted with that entirely.
@dev    ERC-173. Two errors for the same refusal: PoCo's functions answer with a string, the diamond's with
        NotContractOwner.
"""
from hub.modules import store

uses: store

event OwnershipTransferred:
    previousOwner: indexed(address)
    newOwner: indexed(address)


@internal
@view
def _check_owner():
    """@custom:reverts `Ownable: caller is not the owner`."""
    assert msg.sender == store.owner, "Ownable: caller is not the owner"


@internal
@view
def _check_contract_owner():
    """@custom:reverts NotContractOwner(address,address) with the caller and the owner."""
    if msg.sender != store.owner:
        raw_revert(abi_encode(msg.sender, store.owner, method_id=method_id("NotContractOwner(address,address)")))


@internal
def _set_owner(new_owner: address):
    log OwnershipTransferred(previousOwner=store.owner, newOwner=new_owner)
    store.owner = new_owner


@external
@view
def owner() -> address:
    return store.owner


@external
def transferOwnership(_newOwner: address):
    """@notice Hand the hub over in one step; to zero, for ever."""
    self._check_contract_owner()
    self._set_owner(_newOwner)
