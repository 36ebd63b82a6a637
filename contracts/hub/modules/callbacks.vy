# pragma version 0.4.3
"""
@title Callbacks
@license Apache-2.0
@notice A deal may name a contract that receives the result (ERC-1154). What it does with it is its own affair: it can
        neither undo the task nor cost more gas than its allowance.
"""
from hub.modules import bounds
from hub.modules import store

uses: store

# EIP-150: a call is given at most all but a 64th of the gas that is left.
RETAINED: constant(uint256) = 64
# What goes by before that: the longest payload is encoded, and a callee not touched before costs 2,600.
CALL_COST: constant(uint256) = 10_000


@internal
@view
def _affords(allowance: uint256) -> bool:
    """@return Whether a call made now is given `allowance`, of any size."""
    if msg.gas <= CALL_COST:
        return False
    left: uint256 = msg.gas - CALL_COST
    return left - left // RETAINED >= allowance


@internal
def _notify(callback: address, task_id: bytes32, data: Bytes[bounds.CALLBACK]) -> bool:
    """
    @notice Hand the payload to `callback` with the configured allowance; failure, absence and answer are ignored.
    @dev The answer is not copied, whatever its size. The gas is looked at before the call: what is left afterwards
         proves little, since a callee that survives the failure of a call of its own hands gas back.
    @return Whether the callee was offered its full allowance. The caller has to revert when it was not, so that nobody
            can end a task and starve its callback.
    """
    allowance: uint256 = store.callback_gas
    if not self._affords(allowance):
        return False
    success: bool = raw_call(
        callback,
        abi_encode(task_id, data, method_id=method_id("receiveResult(bytes32,bytes)")),
        gas=allowance,
        revert_on_failure=False,
    )
    return True
