"""Tasks and contributions as the chain records them, and what the hub lets happen to them next.

Times are seconds of chain time. Source: PoCo task and contribution state machines, boundary rules of the deadlines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Any

import msgspec

from pyiexec.protocol.primitives import (
    NULL_ADDRESS,
    NULL_BYTES32,
    Address,
    DealId,
    ResultDigest,
    ResultHash,
    ResultSeal,
)


class TaskStatus(IntEnum):
    """Where a task stands on chain."""

    UNSET = 0
    ACTIVE = 1
    REVEALING = 2
    COMPLETED = 3
    FAILED = 4


class ContributionStatus(IntEnum):
    """Where one worker's contribution to a task stands on chain."""

    UNSET = 0
    CONTRIBUTED = 1
    PROVED = 2
    REJECTED = 3


#: Which status may follow which, classic workflow.
TASK_TRANSITIONS: Mapping[TaskStatus, frozenset[TaskStatus]] = {
    TaskStatus.UNSET: frozenset({TaskStatus.ACTIVE}),
    TaskStatus.ACTIVE: frozenset({TaskStatus.REVEALING, TaskStatus.COMPLETED, TaskStatus.FAILED}),
    TaskStatus.REVEALING: frozenset({TaskStatus.ACTIVE, TaskStatus.COMPLETED, TaskStatus.FAILED}),
    TaskStatus.COMPLETED: frozenset(),
    TaskStatus.FAILED: frozenset(),
}
#: Which contribution status may follow which.
CONTRIBUTION_TRANSITIONS: Mapping[ContributionStatus, frozenset[ContributionStatus]] = {
    ContributionStatus.UNSET: frozenset({ContributionStatus.CONTRIBUTED, ContributionStatus.PROVED}),
    ContributionStatus.CONTRIBUTED: frozenset({ContributionStatus.PROVED, ContributionStatus.REJECTED}),
    ContributionStatus.PROVED: frozenset(),
    ContributionStatus.REJECTED: frozenset(),
}


class Task(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A task as `viewTask` gives it.

    `index` is the task's number (``idx``) and `timeref` the seconds of its category. `results` is the result link,
    `results_callback` what the callback contract was given.
    """

    status: TaskStatus = TaskStatus.UNSET
    deal_id: DealId = DealId(NULL_BYTES32)
    index: int = 0
    timeref: int = 0
    contribution_deadline: int = 0
    reveal_deadline: int = 0
    final_deadline: int = 0
    consensus_value: ResultHash = ResultHash(NULL_BYTES32)
    reveal_counter: int = 0
    winner_counter: int = 0
    contributors: tuple[Address, ...] = ()
    result_digest: ResultDigest = ResultDigest(NULL_BYTES32)
    results: bytes = b""
    results_timestamp: int = 0
    results_callback: bytes = b""

    @classmethod
    def from_abi(cls, values: Sequence[Any]) -> Task:
        """From the decoded tuple of `viewTask`."""
        fields = dict(zip(cls.__struct_fields__, values, strict=True))
        return cls(**fields | {"status": TaskStatus(fields["status"]), "contributors": tuple(fields["contributors"])})

    def may_contribute(self, now: int) -> bool:
        """Whether a worker that has not yet contributed still may."""
        return self.status is TaskStatus.ACTIVE and now < self.contribution_deadline

    def may_reveal(self, now: int) -> bool:
        """Whether a worker of the winning group still may reveal."""
        return self.status is TaskStatus.REVEALING and now < self.reveal_deadline

    def may_reopen(self, now: int) -> bool:
        """Whether the scheduler may start over because no winner revealed in time."""
        return (
            self.status is TaskStatus.REVEALING
            and self.reveal_deadline <= now < self.final_deadline
            and self.reveal_counter == 0
        )

    def may_finalize(self, now: int) -> bool:
        """Whether the scheduler may finalize: every winner revealed, or one did and the others are too late."""
        everyone = self.reveal_counter == self.winner_counter
        enough = self.reveal_counter > 0 and self.reveal_deadline <= now
        return self.status is TaskStatus.REVEALING and now < self.final_deadline and (everyone or enough)

    def may_claim(self, now: int) -> bool:
        """Whether anybody may claim the task, which refunds its requester."""
        return self.status in (TaskStatus.ACTIVE, TaskStatus.REVEALING) and self.final_deadline <= now


class Contribution(msgspec.Struct, frozen=True, kw_only=True):
    """One worker's contribution as `viewContribution` gives it.

    `weight` is the log-weight by which a reward is shared, not the weight of the vote.
    """

    status: ContributionStatus = ContributionStatus.UNSET
    result_hash: ResultHash = ResultHash(NULL_BYTES32)
    result_seal: ResultSeal = ResultSeal(NULL_BYTES32)
    enclave_challenge: Address = NULL_ADDRESS
    weight: int = 0

    @classmethod
    def from_abi(cls, values: Sequence[Any]) -> Contribution:
        """From the decoded tuple of `viewContribution`."""
        status, result_hash, result_seal, enclave_challenge, weight = values
        return cls(
            status=ContributionStatus(status),
            result_hash=result_hash,
            result_seal=result_seal,
            enclave_challenge=enclave_challenge,
            weight=weight,
        )
