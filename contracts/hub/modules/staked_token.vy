# pragma version 0.4.3
"""
@title Staked RLC as an ERC-20 token
@license Apache-2.0
@notice Free balances can be passed on like any token.
@dev    There is no infinite allowance, and `transferFrom` wants one even from the sender itself. Balances are checked
        before the allowance.
"""
from hub.modules import accounts
from hub.modules import bounds
from hub.modules import store

uses: store
uses: accounts

interface Spender:
    def receiveApproval(
        sender: address, amount: uint256, token: address, data: Bytes[bounds.SPENDER_DATA]
    ) -> bool: nonpayable

event Approval:
    owner: indexed(address)
    spender: indexed(address)
    amount: uint256


@internal
def _allow(owner: address, spender: address, amount: uint256):
    assert owner != empty(address), "ERC20: approve from the zero address"
    assert spender != empty(address), "ERC20: approve to the zero address"
    store.allowances[owner][spender] = amount
    log Approval(owner=owner, spender=spender, amount=amount)


@internal
def _transfer(sender: address, recipient: address, amount: uint256):
    assert sender != empty(address), "ERC20: transfer from the zero address"
    assert recipient != empty(address), "ERC20: transfer to the zero address"
    accounts._move(sender, recipient, amount)


@external
def transfer(recipient: address, amount: uint256) -> bool:
    """@notice Pass free nRLC on; not to the hub itself, which could never return them."""
    self._transfer(msg.sender, recipient, amount)
    return True


@external
def approve(spender: address, amount: uint256) -> bool:
    """@notice Let `spender` move up to `amount` nRLC of the caller."""
    self._allow(msg.sender, spender, amount)
    return True


@external
def approveAndCall(spender: address, amount: uint256, extraData: Bytes[bounds.SPENDER_DATA]) -> bool:
    """
    @notice Approve, and tell the spender at once.
    @custom:reverts `approval-refused` when it does not answer true; its own reason when it reverts.
    """
    self._allow(msg.sender, spender, amount)
    assert extcall Spender(spender).receiveApproval(msg.sender, amount, self, extraData), "approval-refused"
    return True


@external
def transferFrom(sender: address, recipient: address, amount: uint256) -> bool:
    """@notice Move free nRLC that the caller was allowed to move."""
    self._transfer(sender, recipient, amount)
    allowed: uint256 = store.allowances[sender][msg.sender]
    assert allowed >= amount
    self._allow(sender, msg.sender, allowed - amount)
    return True


@external
def increaseAllowance(spender: address, addedValue: uint256) -> bool:
    self._allow(msg.sender, spender, store.allowances[msg.sender][spender] + addedValue)
    return True


@external
def decreaseAllowance(spender: address, subtractedValue: uint256) -> bool:
    self._allow(msg.sender, spender, store.allowances[msg.sender][spender] - subtractedValue)
    return True
