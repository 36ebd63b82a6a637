# pragma version 0.4.3
"""
@title Deposits and withdrawals of the chain's own coin
@license Apache-2.0
@notice One nRLC in the hub stands for 10**9 wei that the hub holds.
@dev    Whoever is sent wei runs code of its own, with all gas: it is sent them when everything else is done. What a
        deposit leaves below one nRLC goes back to whoever sent it, also when that is nothing.
"""
from hub.modules import accounts
from hub.modules import bounds
from hub.modules import call_data
from hub.modules import ownership

uses: accounts
uses: ownership

WEI_PER_NRLC: constant(uint256) = 10**9

DEPOSIT_FOR_ARRAY: constant(bytes4) = method_id("depositForArray(uint256[],address[])", output_type=bytes4)
# In the published ABI but of no facet.
RENOUNCE_OWNERSHIP: constant(bytes4) = 0x715018a6
RECEIVE_APPROVAL: constant(bytes4) = 0x8f4ffcb1


@internal
def _send(recipient: address, amount: uint256):
    """@param amount In wei."""
    # what the recipient answers is not copied
    assert raw_call(recipient, b"", value=amount, revert_on_failure=False), "native-transfer-failed"


@internal
@payable
def _deposit(target: address):
    accounts._mint(target, msg.value // WEI_PER_NRLC)
    self._send(msg.sender, msg.value % WEI_PER_NRLC)


@internal
@payable
def _deposit_for_array():
    """
    @notice `depositForArray(uint256[] amounts, address[] targets)`: deposit for several accounts, all or none. Amounts are
            nRLC; what the value exceeds their sum by goes back to the caller.
    @custom:reverts `invalid-array-length`.
    """
    amount_at: uint256 = 0
    target_at: uint256 = 0
    count: uint256 = 0
    amount_at, target_at, count = call_data._two_arrays()
    remaining: uint256 = msg.value
    for i: uint256 in range(count, bound=bounds.ITEMS):
        amount: uint256 = convert(slice(msg.data, amount_at, call_data.WORD), uint256)
        # refuses more than 160 bits
        target: address = convert(convert(slice(msg.data, target_at, call_data.WORD), uint256), address)
        # both are inside of the call data
        amount_at = unsafe_add(amount_at, call_data.WORD)
        target_at = unsafe_add(target_at, call_data.WORD)
        accounts._mint(target, amount)
        remaining -= amount * WEI_PER_NRLC
    self._send(msg.sender, remaining)


@external
@payable
def deposit() -> bool:
    """@notice Deposit the value sent."""
    self._deposit(msg.sender)
    return True


@external
@payable
def depositFor(target: address) -> bool:
    """@notice Deposit the value sent for another account; the remainder goes back to the caller."""
    self._deposit(target)
    return True


@external
def withdraw(amount: uint256) -> bool:
    """@notice Take free nRLC out, as wei."""
    accounts._burn(msg.sender, amount)
    self._send(msg.sender, amount * WEI_PER_NRLC)
    return True


@external
def withdrawTo(amount: uint256, target: address) -> bool:
    """@notice Take free nRLC out to another account, as wei."""
    accounts._burn(msg.sender, amount)
    self._send(target, amount * WEI_PER_NRLC)
    return True


@external
def recover() -> uint256:
    """
    @notice Credit the owner with coins that came to the hub without a deposit, as by a contract's self-destruction.
    @return nRLC recovered.
    """
    ownership._check_owner()
    surplus: uint256 = self.balance // WEI_PER_NRLC - accounts._supply()
    accounts._mint(msg.sender, surplus)
    return surplus


@external
@payable
@raw_return
def __default__() -> Bytes[call_data.WORD]:
    """
    @notice `depositForArray`, whose arrays are read in call data. Plain transfers and calls of unknown functions deposit
            their value.
    @dev But for two functions that the published ABI has and no facet: who calls them means something else.
    """
    selector: bytes4 = call_data._selector()
    if selector == DEPOSIT_FOR_ARRAY:
        self._deposit_for_array()
        return abi_encode(True)
    assert selector not in [RENOUNCE_OWNERSHIP, RECEIVE_APPROVAL], "fallback-disabled"
    self._deposit(msg.sender)
    return b""
