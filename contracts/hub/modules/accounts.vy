# pragma version 0.4.3
"""
@title Staked RLC accounts
@license Apache-2.0
@notice Every unit of RLC in the hub belongs to one account, either free or frozen. Only this module moves it, so that
        `sum(free) + sum(frozen) == totalSupply` can be read off these lines.
@dev    One word per account: free in the low 128 bits, frozen in the high 128. One word for the whole: total supply in
        the low 128 bits, and in the high 128 the pot, that is what the hub's own balance shows as the counterpart of
        all frozen amounts. No amount exceeds the total supply, which `_mint` keeps below 2**128.
"""
from hub.modules import rules
from hub.modules import store

uses: store

# ERC-20; its first two fields are published as `from` and `to`.
event Transfer:
    sender: indexed(address)
    receiver: indexed(address)
    amount: uint256

event Lock:
    owner: address
    amount: uint256

event Unlock:
    owner: address
    amount: uint256

event Reward:
    owner: address
    amount: uint256
    ref: bytes32

event Seize:
    owner: address
    amount: uint256
    ref: bytes32

LOW: constant(uint256) = 2**128 - 1
HIGH: constant(uint256) = 128


@internal
@view
def _free(account: address) -> uint256:
    """@return nRLC that `account` may spend or withdraw; for the hub, the pot and what was paid to assets it owns."""
    free: uint256 = store.accounts[account] & LOW
    if account == self:
        free += store.pot >> HIGH
    return free


@internal
@view
def _frozen(account: address) -> uint256:
    """@return nRLC of `account` locked in deals and contributions."""
    return store.accounts[account] >> HIGH


@internal
@view
def _supply() -> uint256:
    """@return nRLC deposited and not withdrawn."""
    return store.pot & LOW


@internal
@pure
def _underflow():
    """@custom:reverts Panic(0x11), which says arithmetic underflow."""
    raw_revert(abi_encode(convert(0x11, uint256), method_id=method_id("Panic(uint256)")))


@internal
def _lock(account: address, amount: uint256):
    """
    @notice Move `amount` nRLC of `account` from free to frozen.
    @custom:reverts `IexecEscrow: Transfer amount exceeds balance` when less than that is free.
    """
    assert account != empty(address), "IexecEscrow: Transfer from empty address"
    word: uint256 = store.accounts[account]
    assert amount <= word & LOW, "IexecEscrow: Transfer amount exceeds balance"
    # amount fits 128 bits, being free in one account
    store.accounts[account] = unsafe_add(word, unsafe_sub(amount << HIGH, amount))
    store.pot = unsafe_add(store.pot, amount << HIGH)
    log Transfer(sender=account, receiver=self, amount=amount)
    log Lock(owner=account, amount=amount)


@internal
def _unlock(account: address, amount: uint256):
    """
    @notice Give `amount` frozen nRLC back to `account`.
    @dev More than is frozen is a broken invariant, not a user's error: a Panic(0x11).
    """
    assert account != empty(address), "IexecEscrow: Transfer to empty address"
    pot: uint256 = store.pot
    assert amount <= pot >> HIGH, "IexecEscrow: Transfer amount exceeds balance"
    word: uint256 = store.accounts[account]
    if amount > word >> HIGH:
        self._underflow()
    store.accounts[account] = unsafe_sub(word, unsafe_sub(amount << HIGH, amount))
    store.pot = unsafe_sub(pot, amount << HIGH)
    log Transfer(sender=self, receiver=account, amount=amount)
    log Unlock(owner=account, amount=amount)


@internal
def _reward(account: address, amount: uint256, ref: bytes32):
    """@notice Pay `amount` nRLC out of what was seized for task `ref`."""
    assert account != empty(address), "IexecEscrow: Transfer to empty address"
    pot: uint256 = store.pot
    assert amount <= pot >> HIGH, "IexecEscrow: Transfer amount exceeds balance"
    store.accounts[account] = unsafe_add(store.accounts[account], amount)
    store.pot = unsafe_sub(pot, amount << HIGH)
    log Transfer(sender=self, receiver=account, amount=amount)
    log Reward(owner=account, amount=amount, ref=ref)


@internal
def _seize(account: address, amount: uint256, ref: bytes32):
    """
    @notice Take `amount` frozen nRLC from `account`; the tokens stay in the pot until they are paid out.
    @dev More than is frozen is a Panic(0x11).
    """
    word: uint256 = store.accounts[account]
    if amount > word >> HIGH:
        self._underflow()
    store.accounts[account] = unsafe_sub(word, amount << HIGH)
    log Seize(owner=account, amount=amount, ref=ref)


@internal
def _feed_kitty(amount: uint256, ref: bytes32):
    """
    @notice Credit the kitty with `amount` nRLC just seized.
    @dev The tokens are in the pot already and stay there, so there is no Transfer; the kitty's balance is always zero.
    """
    store.accounts[rules.KITTY_ADDRESS] += amount << HIGH
    log Reward(owner=rules.KITTY_ADDRESS, amount=amount, ref=ref)
    log Lock(owner=rules.KITTY_ADDRESS, amount=amount)


@internal
def _move(sender: address, receiver: address, amount: uint256):
    """
    @notice ERC-20 transfer of free nRLC; the caller has checked that neither end is empty.
    @custom:reverts `ERC20: transfer to the hub` since nothing could ever leave it again.
    """
    assert receiver != self, "ERC20: transfer to the hub"
    word: uint256 = store.accounts[sender]
    assert amount <= word & LOW
    store.accounts[sender] = unsafe_sub(word, amount)
    store.accounts[receiver] = unsafe_add(store.accounts[receiver], amount)
    log Transfer(sender=sender, receiver=receiver, amount=amount)


@internal
def _mint(account: address, amount: uint256):
    """@notice Credit `account` with `amount` nRLC that the hub has received."""
    assert account != empty(address), "ERC20: mint to the zero address"
    assert account != self, "ERC20: mint to the hub"
    pot: uint256 = store.pot
    assert amount <= unsafe_sub(LOW, pot & LOW), "ERC20: supply exceeds 128 bits"
    store.pot = unsafe_add(pot, amount)
    store.accounts[account] = unsafe_add(store.accounts[account], amount)
    log Transfer(sender=empty(address), receiver=account, amount=amount)


@internal
def _burn(account: address, amount: uint256):
    """@notice Debit `account` by `amount` nRLC that the hub is about to send; more than is free reverts empty."""
    assert account != empty(address), "ERC20: burn from the zero address"
    word: uint256 = store.accounts[account]
    assert amount <= word & LOW
    store.accounts[account] = unsafe_sub(word, amount)
    store.pot = unsafe_sub(store.pot, amount)
    log Transfer(sender=account, receiver=empty(address), amount=amount)
