"""What a worker does next: a pure function of what it remembers of a task and of what happened.

`decide` answers an event with the record as it is from now on, the reports owed to the scheduler, and the actions to
take. Actions may be repeated without harm: the shell runs each at most once at a time, and each looks at the chain or
at the disk before it acts. `resume` gives the actions of a record found after a restart.

Two rules protect the worker's stake. A result is kept until the chain has closed the task, whoever asks to forget it,
and the digest beyond that, should a reorganisation open the task again. And a vote is revealed when, and only when, the
chain itself is seen to wait for it, as often as that takes: what a scheduler says of a consensus makes the worker look,
never speak.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from msgspec.structs import replace

from pyiexec.protocol.authorization import authorization_digest
from pyiexec.protocol.deals import Deal
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.messages import Abort, Assign, Command, Complete, Progress, Reveal, Upload
from pyiexec.protocol.primitives import NULL_ADDRESS, Address, ResultDigest, ResultHash
from pyiexec.protocol.printed import Printed
from pyiexec.protocol.replicates import PENDING, ReplicateStatus
from pyiexec.protocol.tags import requires_tee
from pyiexec.protocol.tasks import Contribution, ContributionStatus, Task, TaskStatus
from pyiexec.worker.record import TaskRecord

_S = ReplicateStatus

#: The steps in their order; a step is reported once, and none is left out.
STEPS = (
    _S.CREATED,
    _S.STARTED,
    _S.APP_DOWNLOADED,
    _S.DATA_DOWNLOADED,
    _S.COMPUTED,
    _S.CONTRIBUTED,
    _S.REVEALED,
    _S.RESULT_UPLOADED,
)
_TERMINAL = (TaskStatus.COMPLETED, TaskStatus.FAILED)


class Action(StrEnum):
    """Something to be done for a task outside of this module."""

    COMPUTE = "compute"
    CONTRIBUTE = "contribute"
    FINALIZE = "contribute and finalize"
    REVEAL = "reveal"
    UPLOAD = "upload"
    OBSERVE = "observe"
    STOP = "stop"
    PURGE = "purge"


@dataclass(frozen=True, slots=True)
class Advanced:
    """The run came one step further: STARTED, APP_DOWNLOADED or DATA_DOWNLOADED."""

    status: ReplicateStatus


@dataclass(frozen=True, slots=True)
class Computed:
    """The result is on disk; `digest` is None when the vote was not computed."""

    digest: ResultDigest | None
    result_hash: ResultHash
    exit_code: int | None = None
    printed: Printed | None = None


@dataclass(frozen=True, slots=True)
class Confirmed:
    """A transaction that took the step `status` is in the chain."""

    status: ReplicateStatus
    transaction: str
    final_deadline: int = 0


@dataclass(frozen=True, slots=True)
class Uploaded:
    """The archive is where others can fetch it."""

    location: str


@dataclass(frozen=True, slots=True)
class Broke:
    """The work cannot go on; nothing of it is on chain."""

    cause: str
    message: str
    exit_code: int | None = None
    printed: Printed | None = None


@dataclass(frozen=True, slots=True)
class Stopped:
    """The work was given up before a transaction was sent."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What the chain says of the task and of this worker's contribution."""

    task: Task
    contribution: Contribution


Event: TypeAlias = Command | Advanced | Computed | Confirmed | Uploaded | Broke | Stopped | Seen


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to an event: the record from now on (None when there is none), reports and actions in their order."""

    record: TaskRecord | None
    reports: tuple[Progress, ...] = ()
    actions: tuple[Action, ...] = ()


# --- what happens -------------------------------------------------------------------------------------------------


def decide(record: TaskRecord | None, event: Event) -> Decision:
    """What follows from `event` for a task of which `record` is known."""
    if isinstance(event, Assign):
        return _assigned(record, event)
    if record is None:
        return _unknown(event)
    if record.closed and isinstance(event, Seen) and _is_open_again(record, event):
        # Only what the chain said ended the task, and a reorganisation took that back: the stake is at risk again.
        reopened = replace(record, status=_S.CONTRIBUTED, must_reveal=False, cause=None, message="")
        return _seen(reopened, event.task, event.contribution)
    if record.closed:
        # A scheduler that still wants something of it has lost what it was told.
        return Decision(record, (_last(record),)) if isinstance(event, Reveal | Upload) else Decision(record)
    match event:
        case Reveal(consensus=consensus):
            return _announced(record, consensus)
        case Upload():
            return _upload_asked(record)
        case Complete():
            # Only the chain's word ends the keeping of a result.
            return Decision(record, actions=(Action.OBSERVE,))
        case Abort(reason=reason):
            return _aborted(record, reason)
        case Advanced(status=status):
            return _advanced(record, status)
        case Computed():
            return _computed(record, event)
        case Confirmed(status=status, transaction=transaction, final_deadline=final):
            final = final or record.final_deadline
            decision = _confirmed(replace(record, transaction=transaction, final_deadline=final), status)
            # The block that holds a vote which finalizes has closed the task: nothing is left to look at.
            return _completed(decision) if status is _S.CONTRIBUTE_AND_FINALIZE_DONE else decision
        case Uploaded(location=location):
            return _uploaded(replace(record, location=location))
        case Broke():
            return _broke(record, event)
        case Stopped():
            return _close(record, _S.ABORTED, "TASK_ABORTED", record.stopping or "the work was given up")
        case Seen(task=task, contribution=contribution):
            return _seen(record, task, contribution)


def resume(record: TaskRecord) -> tuple[Action, ...]:
    """What to do about a record found after a restart; look at the chain first."""
    match record.status:
        case _ if record.closed:
            return (Action.PURGE,)
        case _ if record.stopping is not None:
            return (Action.STOP,)
        case _S.COMPUTED if record.mode == "contribute_and_finalize":
            return (Action.FINALIZE if record.location else Action.UPLOAD,)
        case _S.COMPUTED:
            return (Action.CONTRIBUTE,)
        case _S.CONTRIBUTED if record.must_reveal:
            return (Action.REVEAL,) if record.location else (Action.REVEAL, Action.UPLOAD)
        case _S.REVEALED:
            return (Action.UPLOAD,)
        case status if status in PENDING:
            return (Action.COMPUTE,)
    return ()


def _assigned(record: TaskRecord | None, event: Assign) -> Decision:
    if record is not None and (not record.closed or record.transaction is not None):
        return Decision(record, () if record.status is _S.CREATED else (_last(record),))
    return Decision(
        TaskRecord(
            authorization=event.authorization, mode=event.mode, contribution_deadline=event.contribution_deadline
        ),
        actions=(Action.COMPUTE,),
    )


def _unknown(event: Event) -> Decision:
    if isinstance(event, Abort):
        return Decision(None, (Progress(task_id=event.task_id, status=_S.ABORTED, cause="TASK_ABORTED"),))
    if isinstance(event, Command) and not isinstance(event, Complete):
        message = "this worker holds nothing of the task"
        return Decision(
            None, (Progress(task_id=event.task_id, status=_S.FAILED, cause="RESULT_LOST", message=message),)
        )
    return Decision(None)


def _walk(record: TaskRecord, status: ReplicateStatus) -> tuple[TaskRecord, list[Progress]]:
    """The record after the steps up to `status`, and a report of each: the scheduler is told of every one."""
    reports = []
    while record.status in STEPS and STEPS.index(record.status) < STEPS.index(status):
        record = replace(record, status=STEPS[STEPS.index(record.status) + 1])
        reports.append(_progress(record))
    return record, reports


def _advanced(record: TaskRecord, status: ReplicateStatus) -> Decision:
    after, reports = _walk(record, status)
    return Decision(after, tuple(reports))


def _computed(record: TaskRecord, event: Computed) -> Decision:
    if record.status not in PENDING or record.status is _S.COMPUTED:
        return Decision(record)
    before, reports = _walk(record, _S.DATA_DOWNLOADED)
    after = replace(
        before, status=_S.COMPUTED, digest=event.digest, result_hash=event.result_hash, exit_code=event.exit_code
    )
    reports.append(_progress(after, printed=event.printed))
    alone = record.mode == "contribute_and_finalize"
    return Decision(after, tuple(reports), (Action.UPLOAD if alone else Action.CONTRIBUTE,))


def _confirmed(record: TaskRecord, status: ReplicateStatus) -> Decision:
    """The record after the chain took it to `status`."""
    if status is _S.CONTRIBUTE_AND_FINALIZE_DONE:
        before, reports = _walk(record, _S.COMPUTED)
        after = replace(before, status=status, stopping=None)
        return Decision(after, () if record.status is status else (*reports, _progress(after)))
    record, reports = _walk(replace(record, stopping=None), status)
    actions: tuple[Action, ...] = ()
    if record.status is _S.CONTRIBUTED and record.must_reveal:
        actions = (Action.REVEAL, Action.UPLOAD)
    if record.status is _S.REVEALED and not record.location:
        actions = (Action.UPLOAD,)
    elif record.status is _S.REVEALED:
        record, last = _walk(record, _S.RESULT_UPLOADED)
        reports += last
    return Decision(record, tuple(reports), actions)


def _announced(record: TaskRecord, consensus: ResultHash) -> Decision:
    if record.status in (_S.REVEALED, _S.RESULT_UPLOADED):
        return Decision(record, (_last(record),), (Action.OBSERVE,))
    if record.must_reveal or record.result_hash != consensus or record.mode != "contribute":
        return Decision(record)
    # A digest revealed before the consensus could be copied by whoever has not voted.
    return Decision(record, actions=(Action.OBSERVE,))


def _agreed(record: TaskRecord, consensus: ResultHash) -> Decision:
    """The record once the chain waits for reveals of `consensus`."""
    if record.result_hash != consensus or record.mode != "contribute":
        return Decision(record)
    return Decision(replace(record, must_reveal=True), actions=(Action.REVEAL, Action.UPLOAD))


def _upload_asked(record: TaskRecord) -> Decision:
    if record.status is _S.RESULT_UPLOADED:
        # Asked for although it was told: what was stored may be gone, so it is stored again.
        again = replace(record, status=_S.REVEALED, location=None)
        return Decision(again, (_last(record),), (Action.UPLOAD,))
    # Before the consensus a published result could be copied by workers that have not voted.
    return Decision(record, actions=(Action.UPLOAD,) if record.status is _S.REVEALED or record.must_reveal else ())


def _uploaded(record: TaskRecord) -> Decision:
    if record.status is _S.REVEALED:
        after = replace(record, status=_S.RESULT_UPLOADED)
        return Decision(after, (_progress(after),))
    if record.status is _S.COMPUTED and record.mode == "contribute_and_finalize":
        return Decision(record, actions=(Action.FINALIZE,))
    return Decision(record)


def _aborted(record: TaskRecord, reason: str) -> Decision:
    if record.status in PENDING:
        return Decision(replace(record, stopping=reason), actions=(Action.STOP,))
    # The vote is cast and the stake locked: the result stays until the chain has closed the task.
    return Decision(record, (_last(record),), (Action.OBSERVE,))


def _broke(record: TaskRecord, event: Broke) -> Decision:
    after = replace(record, exit_code=event.exit_code if event.exit_code is not None else record.exit_code)
    return _close(after, _S.FAILED, event.cause, event.message, printed=event.printed)


def _seen(record: TaskRecord, task: Task, contribution: Contribution) -> Decision:
    if contribution.status is ContributionStatus.UNSET:
        if task.status not in _TERMINAL or record.stopping is not None:
            return Decision(record)
        reason = f"the task is {task.status.name} on chain"
        if record.status in PENDING:
            return Decision(replace(record, stopping=reason), actions=(Action.STOP,))
        # A reorganisation took the vote out of the chain for good.
        return _close(record, _S.ABORTED, "TASK_NOT_ACTIVE", reason)
    if record.result_hash != contribution.result_hash:
        # Not (yet) what this record stands for: the vote was cast by an earlier life of this worker, and is being
        # computed again.
        return Decision(record)
    record = replace(record, final_deadline=task.final_deadline or record.final_deadline)
    if record.mode == "contribute_and_finalize":
        decision = _confirmed(record, _S.CONTRIBUTE_AND_FINALIZE_DONE)
    else:
        proved = contribution.status is ContributionStatus.PROVED
        decision = _confirmed(_taken_back(record, task, proved=proved), _S.REVEALED if proved else _S.CONTRIBUTED)
    assert decision.record is not None
    if task.status is TaskStatus.REVEALING and decision.record.status is _S.CONTRIBUTED:
        return _then(decision, _agreed(decision.record, task.consensus_value))
    if task.status in _TERMINAL or contribution.status is ContributionStatus.REJECTED:
        return _then(decision, _ended(decision.record, task, contribution))
    return decision


def _taken_back(record: TaskRecord, task: Task, *, proved: bool) -> TaskRecord:
    """The record without what a reorganisation of the chain undid: the reveal, or the consensus itself."""
    if not proved and record.status in (_S.REVEALED, _S.RESULT_UPLOADED):
        record = replace(record, status=_S.CONTRIBUTED)
    return replace(record, must_reveal=False) if task.status is TaskStatus.ACTIVE and record.must_reveal else record


def _is_open_again(record: TaskRecord, event: Seen) -> bool:
    """Whether the vote of a closed record is still to be proved."""
    cast = event.contribution.status is ContributionStatus.CONTRIBUTED
    mine = record.digest is not None and event.contribution.result_hash == record.result_hash
    return record.mode == "contribute" and cast and mine and event.task.status not in _TERMINAL


def _ended(record: TaskRecord, task: Task, contribution: Contribution) -> Decision:
    if task.status is TaskStatus.FAILED:
        return _close(record, _S.ABORTED, "TASK_CLAIMED", "the task was claimed and the stakes were given back")
    if contribution.status is ContributionStatus.PROVED:
        return _completed(Decision(record))
    if record.must_reveal:
        return _close(record, _S.FAILED, "REVEAL_TIMEOUT", "the vote won and was not revealed in time")
    return _close(record, _S.FAILED, "CONTRIBUTION_REJECTED", "another result stood: the stake is lost")


def _completed(decision: Decision) -> Decision:
    """The chain has paid for the vote."""
    assert decision.record is not None, "only known tasks end"
    after = replace(decision.record, status=_S.COMPLETED)
    return Decision(after, (*decision.reports, _progress(after)), (Action.PURGE,))


def _then(first: Decision, second: Decision) -> Decision:
    # What the second decision repeats replaces the first one's actions: an end leaves nothing to reveal.
    return Decision(second.record, first.reports + second.reports, second.actions or first.actions)


def _close(
    record: TaskRecord, status: ReplicateStatus, cause: str, message: str, *, printed: Printed | None = None
) -> Decision:
    after = replace(record, status=status, cause=cause, message=message)
    return Decision(after, (_progress(after, printed=printed),), (Action.PURGE,))


def _last(record: TaskRecord) -> Progress:
    """The last report once more."""
    return _progress(record)


def _progress(record: TaskRecord, *, printed: Printed | None = None) -> Progress:
    return Progress(
        task_id=record.task_id,
        status=record.status,
        cause=record.cause,
        message=record.message,
        transaction=record.transaction,
        location=record.location,
        exit_code=record.exit_code,
        printed=printed,
    )


# --- what is refused ----------------------------------------------------------------------------------------------


def check_assignment(record: TaskRecord, deal: Deal, *, worker: Address, workerpool: Address, signer: Address) -> None:
    """Refuse an assignment that the hub would refuse, or that another pool made.

    Args:
        signer: who signed the authorization, recovered from it.

    Raises:
        IexecError: ``AUTHORIZATION_INVALID``, ``TEE_NOT_SUPPORTED``.
    """
    authorization = record.authorization
    reasons = {
        "it is for another worker": authorization.worker == worker,
        "its task id is not that of its deal and index": authorization.names_its_task,
        "the deal has no task of this index": authorization.index in deal.indexes,
        "the deal is with another workerpool": deal.workerpool.pointer == workerpool,
        "it is not signed by the owner of the workerpool": signer == deal.workerpool.owner,
    }
    for reason, holds in reasons.items():
        if not holds:
            raise IexecError("AUTHORIZATION_INVALID", f"the authorization is not good: {reason}")
    if requires_tee(deal.tag) or authorization.enclave_challenge != NULL_ADDRESS:
        raise IexecError("TEE_NOT_SUPPORTED", "the deal asks for an enclave, which this worker does not have")


def authorized_digest(record: TaskRecord) -> bytes:
    """What the owner of the workerpool must have signed."""
    return authorization_digest(record.authorization)


def check_gate(record: TaskRecord, deal: Deal, task: Task, contribution: Contribution, *, stake: int, now: int) -> None:
    """Refuse a task to which this worker cannot contribute (any more). A task that is not yet initialized passes.

    Args:
        stake: free nRLC of the worker in the hub.
        now: seconds of chain time, of the newest block seen.

    Raises:
        IexecError: ``TASK_NOT_ACTIVE``, ``CONTRIBUTION_TIMEOUT``, ``CONTRIBUTION_ALREADY_SET``, ``STAKE_TOO_LOW``.
    """
    cast = contribution.status in (ContributionStatus.CONTRIBUTED, ContributionStatus.PROVED)
    if cast and task.status not in _TERMINAL:
        # Cast before this worker lost its memory: computed again, it can still be revealed and uploaded.
        return
    if contribution.status is not ContributionStatus.UNSET:
        raise IexecError("CONTRIBUTION_ALREADY_SET", "this worker has contributed to the task already")
    if task.status not in (TaskStatus.UNSET, TaskStatus.ACTIVE):
        raise IexecError("TASK_NOT_ACTIVE", f"the task takes no contribution: it is {task.status.name} on chain")
    deadline = task.contribution_deadline or record.contribution_deadline
    if now >= deadline:
        raise IexecError("CONTRIBUTION_TIMEOUT", f"contributions ended at {deadline}, it is {now} on chain")
    if record.mode == "contribute" and stake < deal.worker_stake:
        raise IexecError(
            "STAKE_TOO_LOW", f"a contribution locks {deal.worker_stake} nRLC, the account has {stake} free"
        )
    if record.mode == "contribute_and_finalize":
        if deal.trust > 1:
            raise IexecError("TASK_NOT_ACTIVE", f"a single worker does not suffice at trust {deal.trust}")
        if task.contributors:
            raise IexecError("CONSENSUS_REACHED", "another worker contributed to the task first")


def explain_refused_vote(task: Task) -> tuple[str, str]:
    """Cause and message for a contribution that reverted, from what the task is now."""
    if task.status in (TaskStatus.REVEALING, TaskStatus.COMPLETED):
        return "CONSENSUS_REACHED", "the other workers agreed before this contribution arrived"
    if task.status is TaskStatus.FAILED:
        return "TASK_NOT_ACTIVE", "the task was claimed before this contribution arrived"
    return "CONTRIBUTION_TIMEOUT", "the contribution arrived too late or was refused"


def check_category(seconds: int, longest: int) -> None:
    """Refuse tasks whose category lasts longer than `longest` seconds, which is 0 for any.

    Raises:
        IexecError: ``CATEGORY_REFUSED``.
    """
    if longest and seconds > longest:
        raise IexecError("CATEGORY_REFUSED", f"tasks of {seconds} s are not run here, only up to {longest} s")


def is_news(record: TaskRecord, events: frozenset[str]) -> bool:
    """Whether a block with these events of the task may call for something: else the chain need not be asked."""
    if events & {"TaskFinalize", "TaskClaimed"}:
        return True
    voted = record.status not in PENDING or record.status is _S.COMPUTED
    return voted and not (record.must_reveal and events == {"TaskConsensus"})
