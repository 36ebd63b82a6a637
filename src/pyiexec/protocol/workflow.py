"""The life of a task as its scheduler drives it, off chain.

The scheduler's phases are finer than the chain's statuses, and the chain outranks them: what was seen there may be
delivered twice, and even a task given up as failed goes on when the chain says that it does.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.tasks import Task, TaskStatus


class Phase(StrEnum):
    """Where a task stands."""

    RECEIVED = "RECEIVED"
    INITIALIZING = "INITIALIZING"
    RUNNING = "RUNNING"
    CONSENSUS = "CONSENSUS"
    REVEALED = "REVEALED"
    UPLOADING = "UPLOADING"
    FINALIZING = "FINALIZING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


class TaskEvent(StrEnum):
    """What moves a task on."""

    INITIALIZE_SENT = "INITIALIZE_SENT"
    #: Seen on chain.
    INITIALIZED = "INITIALIZED"
    #: Seen on chain.
    CONSENSUS_REACHED = "CONSENSUS_REACHED"
    #: Seen on chain: nobody of the consensus revealed in time.
    REOPENED = "REOPENED"
    #: Seen on chain: every winner revealed, or one did and the others are too late.
    ENOUGH_REVEALED = "ENOUGH_REVEALED"
    UPLOAD_REQUESTED = "UPLOAD_REQUESTED"
    #: The worker asked to upload could not; another one may.
    UPLOAD_FAILED = "UPLOAD_FAILED"
    RESULT_UPLOADED = "RESULT_UPLOADED"
    #: Seen on chain.
    FINALIZED = "FINALIZED"
    #: Seen on chain: the requester has its money back.
    CLAIMED = "CLAIMED"


class FailureCause(StrEnum):
    """Why a task failed."""

    INITIALIZE_REFUSED = "INITIALIZE_REFUSED"
    #: Nobody contributed before the deadline.
    CONTRIBUTION_TIMEOUT = "CONTRIBUTION_TIMEOUT"
    #: Workers contributed, and no result gathered enough weight before the deadline.
    NO_CONSENSUS = "NO_CONSENSUS"
    #: Nobody of the consensus revealed, and it was too late to start over.
    REVEAL_TIMEOUT = "REVEAL_TIMEOUT"
    #: None of the workers that revealed could upload the result.
    RESULT_LOST = "RESULT_LOST"
    #: Revealed but not finalized before the deadline.
    FINAL_DEADLINE_REACHED = "FINAL_DEADLINE_REACHED"
    CLAIMED = "CLAIMED"


class Workflow(msgspec.Struct, frozen=True):
    """A task's phase; `cause` is set when it is FAILED."""

    phase: Phase = Phase.RECEIVED
    cause: FailureCause | None = None


#: Phases that ask nothing more of the scheduler.
FINAL_PHASES = frozenset({Phase.COMPLETED, Phase.FAILED})

_P, _E = Phase, TaskEvent
_ORDER = list(Phase)
_TRANSITIONS: Mapping[TaskEvent, Mapping[Phase, Phase]] = {
    _E.INITIALIZE_SENT: {_P.RECEIVED: _P.INITIALIZING},
    _E.INITIALIZED: {_P.RECEIVED: _P.RUNNING, _P.INITIALIZING: _P.RUNNING},
    _E.CONSENSUS_REACHED: {_P.RUNNING: _P.CONSENSUS},
    _E.REOPENED: {_P.CONSENSUS: _P.RUNNING},
    _E.ENOUGH_REVEALED: {_P.CONSENSUS: _P.REVEALED},
    _E.UPLOAD_REQUESTED: {_P.REVEALED: _P.UPLOADING},
    _E.UPLOAD_FAILED: {_P.UPLOADING: _P.REVEALED},
    _E.RESULT_UPLOADED: {_P.REVEALED: _P.FINALIZING, _P.UPLOADING: _P.FINALIZING},
    _E.FINALIZED: {phase: _P.COMPLETED for phase in _P if phase is not _P.COMPLETED},
    _E.CLAIMED: {phase: _P.FAILED for phase in _P if phase is not _P.COMPLETED},
}
#: What the chain may still bring back after the task was given up for these causes.
_REVIVALS: Mapping[TaskEvent, Mapping[FailureCause, Phase]] = {
    _E.INITIALIZED: {FailureCause.INITIALIZE_REFUSED: _P.RUNNING},
    _E.CONSENSUS_REACHED: {
        FailureCause.CONTRIBUTION_TIMEOUT: _P.CONSENSUS,
        FailureCause.NO_CONSENSUS: _P.CONSENSUS,
    },
    _E.REOPENED: {FailureCause.REVEAL_TIMEOUT: _P.RUNNING},
}
#: Where an event has had its effect: arriving there again it changes nothing.
_BEHIND: Mapping[TaskEvent, frozenset[Phase]] = {
    _E.REOPENED: frozenset({_P.RUNNING, _P.FAILED}),
    _E.UPLOAD_FAILED: frozenset({_P.REVEALED, _P.FINALIZING, _P.COMPLETED, _P.FAILED}),
    _E.CLAIMED: frozenset({_P.FAILED}),
    **{
        event: frozenset(_ORDER[min(_ORDER.index(target) for target in _TRANSITIONS[event].values()) :])
        for event in (
            _E.INITIALIZE_SENT,
            _E.INITIALIZED,
            _E.CONSENSUS_REACHED,
            _E.ENOUGH_REVEALED,
            _E.UPLOAD_REQUESTED,
            _E.RESULT_UPLOADED,
            _E.FINALIZED,
        )
    },
}


def advance(workflow: Workflow, event: TaskEvent) -> Workflow:
    """The workflow after `event`; unchanged when the event's effect is already there.

    Raises:
        IexecError: ``BAD_TRANSITION`` when the event cannot happen in this phase.
    """
    phase = _TRANSITIONS[event].get(workflow.phase)
    if workflow.cause is not None and event in _REVIVALS:
        phase = _REVIVALS[event].get(workflow.cause)
    if phase is None:
        if workflow.phase in _BEHIND[event]:
            return workflow
        raise IexecError(
            "BAD_TRANSITION", f"{event} cannot happen to a task that is {workflow.phase}", phase=str(workflow.phase)
        )
    if phase is Phase.FAILED:
        return Workflow(phase, workflow.cause or FailureCause.CLAIMED)
    return Workflow(phase)


def fail(workflow: Workflow, cause: FailureCause) -> Workflow:
    """The workflow given up for `cause`; what is completed or failed stays so."""
    return workflow if workflow.phase in FINAL_PHASES else Workflow(Phase.FAILED, cause)


def failure_due(task: Task, now: int) -> FailureCause | None:
    """Why the task as the chain records it can no longer succeed at chain time `now`; None while it can."""
    if task.status is TaskStatus.FAILED:
        return FailureCause.CLAIMED
    if task.status is TaskStatus.ACTIVE and now >= task.contribution_deadline:
        return FailureCause.NO_CONSENSUS if task.contributors else FailureCause.CONTRIBUTION_TIMEOUT
    if task.status is TaskStatus.REVEALING and now >= task.final_deadline:
        return FailureCause.FINAL_DEADLINE_REACHED if task.reveal_counter else FailureCause.REVEAL_TIMEOUT
    return None


def from_chain(task: Task, now: int, *, uploaded: bool = False) -> Workflow:
    """The workflow of a task about which only the chain's record is known, as after a restart.

    `uploaded` says whether the scheduler holds the location of the result.
    """
    if cause := failure_due(task, now):
        return Workflow(Phase.FAILED, cause)
    if task.status is TaskStatus.REVEALING:
        if not task.may_finalize(now):
            return Workflow(Phase.CONSENSUS)
        return Workflow(Phase.FINALIZING if uploaded else Phase.REVEALED)
    return Workflow(
        {TaskStatus.UNSET: Phase.RECEIVED, TaskStatus.ACTIVE: Phase.RUNNING, TaskStatus.COMPLETED: Phase.COMPLETED}[
            task.status
        ]
    )
