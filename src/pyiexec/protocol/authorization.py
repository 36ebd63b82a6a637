"""A workerpool's permission for one worker to contribute to one task.

Source: PoCo `contribute`, check of ``authorizationSign``; EIP-191.
"""

from __future__ import annotations

import msgspec

from pyiexec.protocol import ids
from pyiexec.protocol.eip712 import ethereum_message_digest
from pyiexec.protocol.primitives import NULL_ADDRESS, Address, DealId, TaskId


class WorkerpoolAuthorization(msgspec.Struct, frozen=True, kw_only=True):
    """What the scheduler hands to a worker with a task.

    `signature` is hexadecimal text, made over `authorization_digest` by the owner of the workerpool; `deal_id` and
    `index` let the worker read the deal without asking anybody which task it is.
    """

    worker: Address
    task_id: TaskId
    deal_id: DealId
    index: int
    enclave_challenge: Address = NULL_ADDRESS
    signature: str = "0x"

    @property
    def names_its_task(self) -> bool:
        """Whether `task_id` is the task that `deal_id` and `index` make; never act on one of which it is not."""
        return self.task_id == ids.task_id(self.deal_id, self.index)


def authorization_digest(authorization: WorkerpoolAuthorization) -> bytes:
    """The 32 bytes that the owner of the workerpool signs."""
    return ethereum_message_digest(
        ids.authorization_hash(authorization.worker, authorization.task_id, authorization.enclave_challenge)
    )
