"""Who may upload the result of a task, and when: pure functions of what the chain says.

Source: the result proxy's authorisations; PoCo contribution and reveal.
"""

from __future__ import annotations

import msgspec

from pyiexec.protocol import ids
from pyiexec.protocol.deals import Deal
from pyiexec.protocol.eip712 import ethereum_message_digest
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import NULL_ADDRESS, Address, ResultDigest, TaskId
from pyiexec.protocol.tags import requires_tee
from pyiexec.protocol.tasks import Contribution, ContributionStatus, Task, TaskStatus


class Facts(msgspec.Struct, frozen=True):
    """What the chain says of a task.

    Attributes:
        task: as it stands.
        deal: to which it belongs.
        contribution: of the account that asks.
        now: time of the newest block, seconds.
    """

    task: Task
    deal: Deal
    contribution: Contribution
    now: int

    @property
    def in_enclave(self) -> bool:
        """Whether the task runs in an enclave, which vouches for its result."""
        return requires_tee(self.deal.tag)


def check_permission(facts: Facts, enclave_challenge: Address) -> None:
    """Whether a pool's authorization, whose signatures were verified, lets its worker log in.

    Raises:
        IexecError: ``UPLOAD_REFUSED``.
    """
    if facts.task.status is TaskStatus.UNSET or not facts.deal.exists:
        raise _refused("chainTaskId names no task of this chain")
    if facts.now >= facts.task.final_deadline:
        raise _refused("the task's final deadline is over")
    if (enclave_challenge != NULL_ADDRESS) != facts.in_enclave:
        raise _refused("enclaveChallenge must be given for tasks in enclaves, and for no others")


def check_moment(facts: Facts, wallet: Address) -> None:
    """Whether the task waits for an upload by this account; looked at before anything is received.

    Raises:
        IexecError: ``UPLOAD_REFUSED``.
    """
    if facts.task.status is TaskStatus.UNSET or not facts.deal.exists:
        raise _refused("chainTaskId names no task of this chain")
    if facts.in_enclave:
        if facts.task.status is not TaskStatus.ACTIVE:
            raise _refused("the task is not active, and its result comes from an enclave")
        return
    if facts.task.status is not TaskStatus.REVEALING:
        raise _refused("the workers of the task are not revealing")
    if facts.contribution.status is not ContributionStatus.PROVED:
        raise _refused(f"{wallet} has not revealed a contribution to the task")


def check_result(facts: Facts, task_id: TaskId, digest: ResultDigest) -> None:
    """Whether an archive with that digest is what the account contributed.

    Raises:
        IexecError: ``UPLOAD_REFUSED``.
    """
    if ids.result_hash(task_id, digest) != facts.contribution.result_hash:
        raise _refused("the archive is not the result that was contributed")


def enclave_message(task_id: TaskId, worker: Address, digest: ResultDigest) -> bytes:
    """The 32 bytes under the signature by which an enclave vouches for a result of `worker`."""
    result, seal = ids.result_hash(task_id, digest), ids.result_seal(worker, task_id, digest)
    return ethereum_message_digest(ids.enclave_hash(result, seal))


def _refused(what: str) -> IexecError:
    return IexecError("UPLOAD_REFUSED", what)
