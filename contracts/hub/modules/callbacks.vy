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

# EIP-150: a call is given at most 63/64 of the gas that is left.
RETAINED: constant(uint256) = 63


@internal
def _notify(callback: address, task_id: bytes32, data: Bytes[bounds.CALLBACK]) -> bool:
    """
    @notice Hand the payload to `callback` with the configured allowance; failure, absence and answer are ignored.
    @dev The answer is not copied, whatever its size.
    @return Whether the callee was offered its full allowance, as the gas that is left proves. The caller has to revert
            when it was not, so that nobody can end a task and starve its callback.
    """
    allowance: uint256 = store.callback_gas
    success: bool = raw_call(
        callback,
        abi_encode(task_id, data, method_id=method_id("receiveResult(bytes32,bytes)")),
        gas=allowance,
        revert_on_failure=False,
    )
    return msg.gas > allowance // RETAINED
