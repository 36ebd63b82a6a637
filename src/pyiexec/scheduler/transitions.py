"""From phase to phase: every change is noted with its hour and the code of its reason."""

from __future__ import annotations

from msgspec.structs import replace

from pyiexec.protocol.reasons import Reason
from pyiexec.protocol.tasks import ContributionStatus, TaskStatus
from pyiexec.protocol.workflow import FailureCause, Phase
from pyiexec.scheduler.state import StatusChange, TaskState, Upload

_ORDER = list(Phase)
#: Why a task gets to a phase from an earlier one.
_ONWARDS = {
    Phase.RECEIVED: Reason.DEAL_MADE,
    Phase.INITIALIZING: Reason.INITIALIZE_SENT,
    Phase.RUNNING: Reason.INITIALIZED,
    Phase.CONSENSUS: Reason.VOTES_SUFFICED,
    Phase.REVEALED: Reason.ENOUGH_REVEALED,
    Phase.FINALIZING: Reason.RESULT_VERIFIED,
    Phase.COMPLETED: Reason.FINALIZED,
}


def enter(before: TaskState, state: TaskState, phase: Phase, now: int) -> TaskState:
    """The state in `phase`, which it may be in already, at chain time `now`; `before` is what led to it."""
    if state.phase is phase:
        return state
    change = StatusChange(phase, now, state.cause, reason_of(before, state, phase))
    return replace(state, phase=phase, dates=(*state.dates, change))


def reason_of(before: TaskState, state: TaskState, phase: Phase) -> str:
    """Why a task gets to `phase`, by what has changed in its state."""
    came_from = state.phase
    if phase is Phase.FAILED:
        return str(state.cause or FailureCause.CLAIMED)
    if phase is Phase.RUNNING and _rejected(state) > _rejected(before):
        return Reason.REOPENED
    if phase is Phase.REVEALED and came_from is Phase.UPLOADING:
        return Reason.UPLOAD_FAILED
    # What was given up goes on when votes come after all; only a reorganisation undoes a refund.
    revived = came_from is Phase.FAILED and before.chain.status is not TaskStatus.FAILED
    if not revived and _ORDER.index(phase) < _ORDER.index(came_from):
        return Reason.CHAIN_REORGANISED
    if phase is Phase.UPLOADING:
        offered = any(winner.upload is Upload.OFFERED for winner in state.winners)
        return Reason.UPLOAD_OFFERED if offered else Reason.UPLOAD_REQUESTED
    return _ONWARDS[phase]


def _rejected(state: TaskState) -> int:
    return sum(replicate.contribution is ContributionStatus.REJECTED for replicate in state.replicates)
