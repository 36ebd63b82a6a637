"""A workerpool's permission for one worker to contribute to one task.

Source: PoCo `contribute`, check of ``authorizationSign``; EIP-191.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from pyiexec.protocol import ids
from pyiexec.protocol.eip712 import ethereum_message_digest
from pyiexec.protocol.primitives import NULL_ADDRESS, Address, DealId, TaskId

#: Form of a 32-byte value and of a signature on the wire.
WORD_PATTERN = r"^0x[0-9a-f]{64}\Z"
SIGNATURE_PATTERN = r"^0x([0-9a-f]{2}){0,1024}\Z"


class WorkerpoolAuthorization(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the scheduler hands to a worker with a task.

    `signature` is hexadecimal text, made over `authorization_digest` by the owner of the workerpool; `deal_id` and
    `index` let the worker read the deal without asking anybody which task it is.
    """

    worker: Address
    task_id: Annotated[TaskId, Meta(pattern=WORD_PATTERN)]
    deal_id: Annotated[DealId, Meta(pattern=WORD_PATTERN)]
    index: Annotated[int, Meta(ge=0)]
    enclave_challenge: Address = NULL_ADDRESS
    signature: Annotated[str, Meta(pattern=SIGNATURE_PATTERN)] = "0x"

    @property
    def names_its_task(self) -> bool:
        """Whether `task_id` is the task that `deal_id` and `index` make; never act on one of which it is not."""
        return self.task_id == ids.task_id(self.deal_id, self.index)


def authorization_digest(authorization: WorkerpoolAuthorization) -> bytes:
    """The 32 bytes that the owner of the workerpool signs."""
    return ethereum_message_digest(
        ids.authorization_hash(authorization.worker, authorization.task_id, authorization.enclave_challenge)
    )
