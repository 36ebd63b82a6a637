# pragma version 0.4.3
# A callback's receiver (ERC-1154) with a purse in the hub: takes a result, spends on it, regrets that, or wastes its gas.

interface Hub:
    def transfer(recipient: address, amount: uint256) -> bool: nonpayable

event GotResult:
    id: indexed(bytes32)
    result: Bytes[4096]

SPEND: constant(uint256) = 1
REGRET: constant(uint256) = 2
WASTE: constant(uint256) = 3
CLAIM: constant(uint256) = 4

mode: uint256


@deploy
def __init__(mode: uint256):
    self.mode = mode


@external
def receiveResult(id: bytes32, result: Bytes[4096]):
    if self.mode == WASTE:
        raise UNREACHABLE
    if self.mode == SPEND or self.mode == REGRET:
        extcall Hub(msg.sender).transfer(self, 1)
    if self.mode == CLAIM:
        claimed: bool = raw_call(
            msg.sender, abi_encode(id, method_id=method_id("claim(bytes32)")), revert_on_failure=False
        )
        assert not claimed
    log GotResult(id=id, result=result)
    assert self.mode != REGRET, "on second thoughts"
