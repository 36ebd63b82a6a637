"""What the scheduler knows of one task: the chain's record of it, and how far each worker has come.

Times are seconds of chain time. The chain's part can be read again at any moment; the rest is what workers reported and
what they were told.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Literal

import msgspec

from pyiexec.protocol import trust
from pyiexec.protocol.deadlines import deadlines
from pyiexec.protocol.deals import Deal
from pyiexec.protocol.primitives import NULL_BYTES32, Address, DealId, ResultHash, TaskId
from pyiexec.protocol.reasons import Reason
from pyiexec.protocol.replicates import ReplicateStatus
from pyiexec.protocol.tags import requires_tee
from pyiexec.protocol.tasks import ContributionStatus, Task, TaskStatus
from pyiexec.protocol.traces import TraceId, trace_of
from pyiexec.protocol.workflow import Phase
from pyiexec.scheduler.requirements import Needs

Mode = Literal["contribute", "contribute_and_finalize"]


class StatusChange(msgspec.Struct, frozen=True, gc=False):
    """A line in the history of a task or replicate.

    Attributes:
        cause: code of the failure that was known then.
        reason: code of why the status changed; empty in what versions stored that did not note it.
    """

    status: str
    date: int
    cause: str | None = None
    reason: str = ""


class Upload(StrEnum):
    """How far the upload of a replicate's result has come."""

    NONE = "NONE"
    #: The worker was told to upload.
    ASKED = "ASKED"
    #: The worker named a location that is still to be verified.
    OFFERED = "OFFERED"
    #: What lies at the location is the result the chain agreed on.
    VERIFIED = "VERIFIED"
    #: What lies at the location is something else, or nothing.
    REFUSED = "REFUSED"


class Replicate(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One worker's run of the task.

    Attributes:
        weight: of the worker's vote, as known when it was assigned or contributed.
        reported_at: when the worker last made progress.
        lost: the worker is out of reach.
        result: what the worker voted for on chain; None before that.
        contribution: what the chain says of the vote.
        told_consensus: the consensus for which the worker was told to reveal.
        told_end: the worker was told to complete or abort.
        hedge: asked because another took long, while nobody was missing.
        uploads: how often the worker was asked to upload, the last time at `asked_at`.
    """

    worker: Address
    weight: int
    assigned_at: int
    reported_at: int
    status: ReplicateStatus = ReplicateStatus.CREATED
    lost: bool = False
    hedge: bool = False
    cause: str | None = None
    message: str = ""
    exit_code: int | None = None
    result: ResultHash | None = None
    contribution: ContributionStatus = ContributionStatus.UNSET
    told_consensus: ResultHash | None = None
    told_end: bool = False
    location: str | None = None
    upload: Upload = Upload.NONE
    uploads: int = 0
    asked_at: int = 0
    history: tuple[StatusChange, ...] = ()

    @property
    def voted(self) -> bool:
        """Whether the chain holds a vote of this worker, rejected or not."""
        return self.contribution is not ContributionStatus.UNSET

    @property
    def shown_status(self) -> ReplicateStatus:
        """The status to show: a worker out of reach may come back to where it was."""
        given_up = self.status in (ReplicateStatus.FAILED, ReplicateStatus.ABORTED, ReplicateStatus.COMPLETED)
        return ReplicateStatus.WORKER_LOST if self.lost and not given_up else self.status


class TaskState(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Everything the rules decide from.

    Attributes:
        app_checksum: tells which workers hold the application already.
        dataset_checksum: likewise of the dataset; empty when there is none.
        needs: what a worker must have to be given the task.
        callback: the deal's contract is told of the result.
        tee: the deal's tag asks for enclaves.
        enclave_challenge: account of the task's enclaves, once the SMS has named it; nobody is given a task that needs
            enclaves before.
        opened_block: block in which the task was opened; None when that was not seen.
        chain: the chain's record, kept up by its logs.
        read_at: chain time of the last direct reading of that record.
        location: where the verified result lies.
        callback_data: of the verified result, when the deal has a callback.
        cause: code of why the task failed, or of what holds it up while it has not.
        given_up: failed for a reason of its own before the chain says so.
        dates: history of the phase.
    """

    task_id: TaskId
    deal_id: DealId
    index: int
    requester: Address
    app_checksum: str
    trust: int
    callback: bool
    single: bool
    chain: Task
    dataset_checksum: str = ""
    needs: Needs = Needs()
    tee: bool = False
    enclave_challenge: Address | None = None
    opened_block: int | None = None
    read_at: int = 0
    replicates: tuple[Replicate, ...] = ()
    location: str | None = None
    callback_data: bytes = b""
    phase: Phase = Phase.RECEIVED
    cause: str | None = None
    explanation: str = ""
    given_up: bool = False
    dates: tuple[StatusChange, ...] = ()

    @property
    def trace(self) -> TraceId:
        """Of its deal."""
        return trace_of(self.deal_id)

    @property
    def mode(self) -> Mode:
        """How workers bring their result on chain."""
        return "contribute_and_finalize" if self.single else "contribute"

    @property
    def awaits_enclave(self) -> bool:
        """Whether the task cannot be given to anybody before the SMS has answered."""
        return self.tee and self.enclave_challenge is None

    @property
    def settled(self) -> bool:
        """Whether the chain asks nothing more about the task."""
        return self.chain.status in (TaskStatus.COMPLETED, TaskStatus.FAILED)

    @property
    def consensus(self) -> ResultHash | None:
        """What the chain agreed on, once it did."""
        value = self.chain.consensus_value
        return None if value == NULL_BYTES32 else value

    @property
    def winners(self) -> Iterator[Replicate]:
        """Replicates whose vote is the consensus and was not rejected."""
        consensus = self.consensus
        for replicate in self.replicates:
            if consensus and replicate.result == consensus and replicate.contribution in _STANDING:
                yield replicate

    @property
    def groups(self) -> dict[ResultHash, int]:
        """Weights of the votes that count, by result."""
        groups: dict[ResultHash, int] = {}
        for replicate in self.replicates:
            if replicate.result is not None and replicate.contribution in _STANDING:
                groups = trust.vote(groups, replicate.result, replicate.weight)
        return groups

    def find(self, worker: Address) -> Replicate | None:
        """The replicate of a worker."""
        return next((replicate for replicate in self.replicates if replicate.worker == worker), None)

    def put(self, replicate: Replicate) -> TaskState:
        """The state with `replicate` in place of the one of its worker, or added."""
        others = [r if r.worker != replicate.worker else replicate for r in self.replicates]
        if self.find(replicate.worker) is None:
            others.append(replicate)
        return msgspec.structs.replace(self, replicates=tuple(others))


_STANDING = (ContributionStatus.CONTRIBUTED, ContributionStatus.PROVED)


def new_task(
    deal_id: DealId,
    deal: Deal,
    index: int,
    task_id: TaskId,
    *,
    timeref: int,
    app_checksum: str,
    dataset_checksum: str = "",
    needs: Needs | None = None,
) -> TaskState:
    """A task of a deal just noticed, in a category of `timeref` seconds."""
    limits = deadlines(deal.start_time, timeref)
    tee = requires_tee(deal.tag)
    return TaskState(
        task_id=task_id,
        deal_id=deal_id,
        index=index,
        requester=deal.requester,
        app_checksum=app_checksum,
        dataset_checksum=dataset_checksum,
        needs=needs or Needs(),
        trust=max(deal.trust, 1),
        callback=deal.has_callback,
        single=deal.trust <= 1 and not deal.has_callback and not tee,
        tee=tee,
        chain=Task(
            deal_id=deal_id,
            index=index,
            timeref=timeref,
            contribution_deadline=limits.contribution,
            final_deadline=limits.final,
        ),
        dates=(StatusChange(Phase.RECEIVED, deal.start_time, reason=Reason.DEAL_MADE),),
    )
