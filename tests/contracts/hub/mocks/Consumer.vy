# pragma version 0.4.3
# A callback's receiver (ERC-1154): records, refuses, or tries to claim the task it is told about.

event GotResult:
    id: indexed(bytes32)
    result: Bytes[4096]

RECORD: constant(uint256) = 0
REFUSE: constant(uint256) = 1
REENTER: constant(uint256) = 2

mode: uint256
gas_offered: public(uint256)
calls: public(uint256)
claimed: public(bool)


@deploy
def __init__(mode: uint256):
    self.mode = mode


@external
def receiveResult(id: bytes32, result: Bytes[4096]):
    assert self.mode != REFUSE, "no"
    self.gas_offered = msg.gas
    self.calls += 1
    if self.mode == REENTER:
        data: Bytes[36] = concat(method_id("claim(bytes32)"), id)
        self.claimed = raw_call(msg.sender, data, revert_on_failure=False)
    log GotResult(id=id, result=result)
