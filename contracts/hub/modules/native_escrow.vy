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
from hub.modules import ownership

uses: accounts
uses: ownership

WEI_PER_NRLC: constant(uint256) = 10**9

SELECTOR_SIZE: constant(uint256) = 4
# Call data of depositForArray: selector, two offsets, two lengths; and two words for each deposit.
DEPOSITS_HEAD: constant(uint256) = 132
DEPOSIT_SIZE: constant(uint256) = 64

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
@payable
def depositForArray(amounts: DynArray[uint256, bounds.ITEMS], targets: DynArray[address, bounds.ITEMS]) -> bool:
    """
    @notice Deposit for several accounts, all or none; what the value exceeds the sum by goes back to the caller.
    @param amounts In nRLC.
    @dev The decoder reads zeros behind the end of call data, so that a call cut short would pay another address.
    """
    assert len(amounts) == len(targets), "invalid-array-length"
    assert len(msg.data) >= DEPOSITS_HEAD + DEPOSIT_SIZE * len(amounts)
    remaining: uint256 = msg.value
    for i: uint256 in range(len(amounts), bound=bounds.ITEMS):
        accounts._mint(targets[i], amounts[i])
        remaining -= amounts[i] * WEI_PER_NRLC
    self._send(msg.sender, remaining)
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
def __default__():
    """
    @notice Plain transfers and calls of unknown functions deposit their value.
    @dev But for two functions that the published ABI has and no facet: who calls them means something else.
    """
    if len(msg.data) >= SELECTOR_SIZE:
        selector: bytes4 = convert(slice(msg.data, 0, SELECTOR_SIZE), bytes4)
        assert selector not in [RENOUNCE_OWNERSHIP, RECEIVE_APPROVAL], "fallback-disabled"
    self._deposit(msg.sender)
