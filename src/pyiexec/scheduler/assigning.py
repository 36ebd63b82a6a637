"""The pool's word that a worker may contribute to a task."""

from __future__ import annotations

from pyiexec.chain.signer import Signer
from pyiexec.protocol.authorization import WorkerpoolAuthorization
from pyiexec.protocol.ids import authorization_hash
from pyiexec.protocol.messages import Assign
from pyiexec.protocol.primitives import NULL_ADDRESS, Address, to_hex
from pyiexec.scheduler.state import TaskState


def assignment(owner: Signer, state: TaskState, worker: Address) -> Assign:
    """The command by which `worker` gets the task, signed by the pool's `owner`."""
    enclave = state.enclave_challenge or NULL_ADDRESS
    signature = owner.sign_message_hash(authorization_hash(worker, state.task_id, enclave))
    authorization = WorkerpoolAuthorization(
        worker=worker,
        task_id=state.task_id,
        deal_id=state.deal_id,
        index=state.index,
        enclave_challenge=enclave,
        signature=to_hex(signature),
    )
    deadline = state.chain.contribution_deadline
    return Assign(authorization=authorization, mode=state.mode, contribution_deadline=deadline)
