# pragma version 0.4.3
"""
@title Leave to work on a task
@license Apache-2.0
@notice A scheduler chooses who works for it, by signing; for workers that run in an enclave the broker of enclaves may
        do so in its place.
"""
from hub.modules import bounds
from hub.modules import signatures
from hub.modules import store

uses: store


@internal
@view
def _granted(task_id: bytes32, scheduler: address, enclave: address, authorization: Bytes[bounds.SIGNATURE]) -> bool:
    """
    @return Whether the caller was given this task by the scheduler; or, when it runs in an enclave and there is a
            broker for these, by the broker.
    @custom:reverts `invalid-signature-format` as signatures._signed.
    """
    signer: address = scheduler
    if enclave != empty(address):
        broker: address = store.tee_broker
        if broker != empty(address):
            signer = broker
    digest: bytes32 = signatures._ethereum_message(
        keccak256(concat(convert(msg.sender, bytes20), task_id, convert(enclave, bytes20)))
    )
    return signatures._signed(signer, digest, authorization)
