# pragma version 0.4.3
# Everybody at once, and hostile: a wallet whose word is always yes, which carries out its plan whenever it is called, as
# a callback, as a spender, as the receiver of a token or of coins.

ERC1271_MAGIC: constant(bytes32) = 0x1626ba7e00000000000000000000000000000000000000000000000000000000
ERC721_RECEIVED: constant(bytes4) = 0x150b7a02
STEP: constant(uint256) = 6144

struct Step:
    target: address
    coins: uint256
    data: Bytes[STEP]

steps: HashMap[uint256, Step]
count: uint256
armed: bool
busy: bool
calls: public(uint256)
# of each step of the plan: 0 never tried, 1 refused, 2 done
outcomes: public(HashMap[uint256, uint256])


@external
def plan(target: address, coins: uint256, data: Bytes[STEP]):
    """Add a step."""
    self.steps[self.count] = Step(target=target, coins=coins, data=data)
    self.count += 1


@external
def arm(armed: bool):
    """Whether to carry the plan out when called."""
    self.armed = armed


@internal
def _carry_out():
    if self.busy:
        return
    self.busy = True
    for i: uint256 in range(self.count, bound=16):
        step: Step = self.steps[i]
        if raw_call(step.target, step.data, value=step.coins, revert_on_failure=False):
            self.outcomes[i] = 2
        else:
            self.outcomes[i] = 1
    self.busy = False


@external
def carry_out():
    self._carry_out()


@external
@payable
@raw_return
def perform(target: address, data: Bytes[STEP]) -> Bytes[STEP]:
    """One call of no plan; its refusal is passed on."""
    return raw_call(target, data, value=msg.value, max_outsize=STEP)


@external
@view
def isValidSignature(hash: bytes32, signature: Bytes[1024]) -> bytes32:
    return ERC1271_MAGIC


@external
@view
def keyHasPurpose(key: bytes32, purpose: uint256) -> bool:
    return True


@external
@payable
@raw_return
def __default__() -> Bytes[32]:
    self.calls += 1
    if self.armed:
        self._carry_out()
    if len(msg.data) >= 4 and convert(slice(msg.data, 0, 4), bytes4) == ERC721_RECEIVED:
        return concat(ERC721_RECEIVED, empty(bytes28))
    return concat(convert(1, bytes32), b"")
