# pragma version 0.4.3
"""
@title RLC, the token of the marketplace
@license Apache-2.0
@notice ERC-20 with nine decimals and a fixed supply, for chains that have no RLC yet: the deployer receives all of it.
@dev Amounts are nRLC. An amount beyond a balance or an allowance reverts without a reason (checked subtraction), and the zero
     address may hold tokens, as with the RLC in circulation. So may it have an owner, which deployment scripts hand over;
     here the owner has no power at all. The first field of `Transfer` is `from` in the standard's ABI, a word Vyper keeps
     for itself.
"""

from ethereum.ercs import IERC20

implements: IERC20

event Transfer:
    sender: indexed(address)
    receiver: indexed(address)
    value: uint256


event Approval:
    owner: indexed(address)
    spender: indexed(address)
    value: uint256


name: public(constant(String[20])) = "iEx.ec Network Token"
symbol: public(constant(String[3])) = "RLC"
decimals: public(constant(uint8)) = 9
totalSupply: public(constant(uint256)) = 87_000_000 * 10**9

# A deposit that matches orders at once carries four signed orders.
MAX_EXTRA_DATA: constant(uint256) = 16_384

balanceOf: public(HashMap[address, uint256])
allowance: public(HashMap[address, HashMap[address, uint256]])
owner: public(address)


@deploy
def __init__():
    self.owner = msg.sender
    self.balanceOf[msg.sender] = totalSupply
    log Transfer(sender=empty(address), receiver=msg.sender, value=totalSupply)


@internal
def _move(sender: address, receiver: address, amount: uint256):
    self.balanceOf[sender] -= amount
    self.balanceOf[receiver] += amount
    log Transfer(sender=sender, receiver=receiver, value=amount)


@internal
def _allow(holder: address, spender: address, amount: uint256):
    self.allowance[holder][spender] = amount
    log Approval(owner=holder, spender=spender, value=amount)


@external
def transferOwnership(newOwner: address):
    """@notice Name another owner. There is nothing that an owner could do but this."""
    assert msg.sender == self.owner
    self.owner = newOwner


@external
def transfer(_to: address, _value: uint256) -> bool:
    """@notice Move `_value` nRLC of the caller to `_to`."""
    self._move(msg.sender, _to, _value)
    return True


@external
def transferFrom(_from: address, _to: address, _value: uint256) -> bool:
    """
    @notice Move `_value` nRLC of `_from` to `_to` within the caller's allowance.
    @dev The allowance sinks without an `Approval`.
    """
    self.allowance[_from][msg.sender] -= _value
    self._move(_from, _to, _value)
    return True


@external
def approve(_spender: address, _value: uint256) -> bool:
    """
    @notice Let `_spender` take up to `_value` nRLC of the caller, instead of what it could take before.
    @dev A spender that watches may take the old allowance and then the new one; set it to zero in between.
    """
    self._allow(msg.sender, _spender, _value)
    return True


@external
def approveAndCall(_spender: address, _value: uint256, _extraData: Bytes[MAX_EXTRA_DATA]) -> bool:
    """
    @notice Approve and let the spender act on it in the same transaction.
    @dev The spender's refusal is its revert, which is passed on; what it returns is not looked at. It is called with the data
         it has to get: an interface's call would be as long as the longest.
    """
    self._allow(msg.sender, _spender, _value)
    assert _spender.is_contract
    raw_call(
        _spender,
        abi_encode(
            msg.sender,
            _value,
            self,
            _extraData,
            method_id=method_id("receiveApproval(address,uint256,address,bytes)"),
        ),
    )
    return True
