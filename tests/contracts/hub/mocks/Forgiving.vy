# pragma version 0.4.3
# A callback's receiver that does its work in a call of its own and does not mind when that fails.

worked: public(uint256)
slots: HashMap[uint256, uint256]
# of each call: gas it began with
gas_offered: public(uint256)


@external
def work():
    for i: uint256 in range(6):
        self.slots[i] = 1
    self.worked += 1


@external
def receiveResult(id: bytes32, result: Bytes[4096]):
    offered: uint256 = msg.gas
    if raw_call(self, method_id("work()"), revert_on_failure=False):
        self.gas_offered = offered
