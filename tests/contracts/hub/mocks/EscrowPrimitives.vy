# pragma version 0.4.3
# The hub's bookkeeping alone, open to everybody: what PoCo's tests call IexecEscrowTestContract.

from hub.modules import accounts
from hub.modules import store

initializes: store
initializes: accounts[store := store]


@external
def setBalance(account: address, amount: uint256):
    """Make `amount` all that the account has free; of the contract itself, what stands for everything frozen."""
    if account == self:
        store.pot = store.pot & accounts.LOW | amount << accounts.HIGH
    else:
        store.accounts[account] = accounts._frozen(account) << accounts.HIGH | amount


@external
@view
def balanceOf(account: address) -> uint256:
    return accounts._free(account)


@external
@view
def frozenOf(account: address) -> uint256:
    return accounts._frozen(account)


@external
def lock_(account: address, value_: uint256):
    accounts._lock(account, value_)


@external
def unlock_(account: address, value_: uint256):
    accounts._unlock(account, value_)


@external
def reward_(account: address, value_: uint256, ref: bytes32):
    accounts._reward(account, value_, ref)


@external
def seize_(account: address, value_: uint256, ref: bytes32):
    accounts._seize(account, value_, ref)
