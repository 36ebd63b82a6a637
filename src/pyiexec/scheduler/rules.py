"""What a task asks for next: the decisions of the scheduler, pure.

`decide` follows events and says what to do about the state they lead to. Nothing depends on which event led there, so
decisions lost in a crash are made again from the stored state.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from pyiexec.protocol import trust
from pyiexec.protocol.replicates import FINAL, ReplicateStatus, counts_as_pending
from pyiexec.protocol.tasks import ContributionStatus, TaskStatus
from pyiexec.protocol.workflow import FailureCause, Phase, failure_due
from pyiexec.scheduler import commands as c
from pyiexec.scheduler.commands import Command
from pyiexec.scheduler.events import Event, WorkerReturned
from pyiexec.scheduler.evolution import evolve, phase_of
from pyiexec.scheduler.hedging import hedge_at
from pyiexec.scheduler.requirements import describe
from pyiexec.scheduler.state import Replicate, TaskState, Upload
from pyiexec.scheduler.transitions import enter

_S = ReplicateStatus
#: Failures that lie in what was bought, not in the worker: every worker would meet them.
_TASK_CAUSES = ("APP_", "BAD_PARAMS", "BAD_RESULT", "CONTENT_", "DATASET_", "INPUT_", "TEE_")
#: Ends that nobody is to blame for.
_NOBODYS_FAULT = (
    "CONSENSUS_REACHED",
    "CONTRIBUTION_TIMEOUT",
    "TASK_ABORTED",
    "TASK_CLAIMED",
    "TASK_NOT_ACTIVE",
    "WORKER_SUSPENDED",
)
#: Reported steps whose proof on chain is still to be seen; they count as votes to come.
_UNPROVEN = (_S.CONTRIBUTED, _S.REVEALED, _S.RESULT_UPLOADED, _S.CONTRIBUTE_AND_FINALIZE_DONE, _S.COMPLETED)
#: Steps in which a replicate occupies one of its worker's slots.
_COMPUTING = (_S.CREATED, _S.STARTED, _S.APP_DOWNLOADED, _S.DATA_DOWNLOADED)

#: Nobody is there to take the task.
NO_WORKER = "NO_WORKER"
#: Workers are there, and none has what the task needs.
REQUIREMENTS_UNMET = "REQUIREMENTS_UNMET"
#: There is no enclave for a task that asks for one.
TEE_UNAVAILABLE = "TEE_UNAVAILABLE"
#: Every worker failed, each for a reason of its own.
WORKERS_FAILED = "WORKERS_FAILED"


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What the pool's manager may choose.

    Attributes:
        failures: workers that must fail with the same cause of the task's own before it is given up.
        patience: seconds beyond the category's time in which a replicate must make progress, or an upload arrive,
            before another worker is asked.
        auto_claim: refund the pool's own tasks after their final deadline, which frees every stake.
        assign_early: give a task out as soon as the transaction that opens it is sent, so that workers fetch and
            compute while it is mined. Gains where blocks are seconds apart; where they follow each transaction the
            workers only compete with the node for the processor.
        hedge_factor: when a task only waits for replicates that take so many times as long as those that have voted,
            one more worker is asked, if one is idle; 0 for never.
        hedge_floor: seconds that they must have taken at least.
    """

    failures: int = 2
    patience: int = 5
    auto_claim: bool = True
    assign_early: bool = False
    hedge_factor: float = 3.0
    hedge_floor: int = 5


class Decision(NamedTuple):
    """The state to store and what to do with it."""

    state: TaskState
    commands: list[Command]


def decide(
    state: TaskState,
    events: Iterable[Event],
    *,
    now: int,
    candidates: int,
    unsuited: int = 0,
    policy: Policy | None = None,
) -> Decision:
    """Follow `events` and say what the task asks for.

    Args:
        state: before the events.
        events: in order; all that is known together is to be given together.
        now: chain time in seconds.
        candidates: workers in reach, busy or not, that have what the task needs, and no replicate of it.
        unsuited: workers in reach that do not have what it needs.
        policy: the pool's choices.
    """
    policy = policy or Policy()
    decider = _Decider(state, now, candidates, unsuited, policy)
    for event in events:
        decider.state = evolve(decider.state, event, now)
        if isinstance(event, WorkerReturned):
            decider.dismiss_if_replaced(event.worker)
    decider.run()
    return Decision(decider.state, decider.commands)


def replicas_missing(state: TaskState, now: int, policy: Policy, weight: int = trust.NEWCOMER_WEIGHT) -> int:
    """How many more workers whose votes have `weight` must be given the task.

    All that have it are expected to vote for the leading result, and so are those to come.
    """
    task = state.chain
    opening = task.status is TaskStatus.UNSET and state.phase is Phase.INITIALIZING and policy.assign_early
    open_to_votes = task.status is TaskStatus.ACTIVE or opening
    if not open_to_votes or now >= task.contribution_deadline or state.given_up or state.awaits_enclave:
        return 0
    groups = state.groups
    expected = [replicate.weight for replicate in state.replicates if is_pending(replicate, state, now, policy)]
    if state.single:
        return 0 if groups or expected else 1
    missing = trust.replicas_missing(groups, expected, state.trust, weight)
    # The chain weighs votes by scores we may have missed: as long as it does not agree, one more is needed.
    return max(missing, 0 if expected else 1)


def is_pending(replicate: Replicate, state: TaskState, now: int, policy: Policy) -> bool:
    """Whether a first vote of the replicate is still expected."""
    if replicate.voted or replicate.lost or replicate.told_end:
        return False
    awaited = counts_as_pending(replicate.status) or replicate.status in _UNPROVEN
    return awaited and now < _overdue_at(replicate, state, policy)


def occupies_slot(replicate: Replicate) -> bool:
    """Whether the replicate keeps its worker computing."""
    return replicate.status in _COMPUTING and not replicate.voted and not replicate.told_end


def wake_at(state: TaskState, now: int, policy: Policy) -> int | None:
    """The next chain time at which the passing of time alone changes what the task asks for."""
    if state.settled:
        return None
    times = [state.chain.final_deadline]
    if state.chain.status in (TaskStatus.UNSET, TaskStatus.ACTIVE) and not state.given_up:
        times.append(state.chain.contribution_deadline)
        pending = [r for r in state.replicates if is_pending(r, state, now, policy)]
        times += [_overdue_at(r, state, policy) for r in pending]
        times += [hour for hour in (_hedge_at(state, pending, policy),) if hour is not None]
    if state.chain.status is TaskStatus.REVEALING:
        times.append(state.chain.reveal_deadline)
        if state.location is None:
            times += [_ask_again_at(r, policy) for r in state.winners if r.uploads]
    return min((time for time in times if time > now), default=None)


def is_task_caused(cause: str | None) -> bool:
    """Whether a failure with this code would meet every worker alike."""
    return cause is not None and cause.startswith(_TASK_CAUSES)


def is_workers_own(cause: str | None) -> bool:
    """Whether a failure with this code speaks against the worker."""
    return not is_task_caused(cause) and cause not in _NOBODYS_FAULT


def _overdue_at(replicate: Replicate, state: TaskState, policy: Policy) -> int:
    return replicate.reported_at + state.chain.timeref + policy.patience


def _hedge_at(state: TaskState, pending: Sequence[Replicate], policy: Policy) -> int | None:
    return hedge_at(state, pending, factor=policy.hedge_factor, floor=policy.hedge_floor)


def _ask_again_at(replicate: Replicate, policy: Policy) -> int:
    return replicate.asked_at + policy.patience


class _Decider:
    def __init__(self, state: TaskState, now: int, candidates: int, unsuited: int, policy: Policy) -> None:
        self.state = state
        self.commands: list[Command] = []
        self._now = now
        self._candidates = candidates
        self._unsuited = unsuited
        self._policy = policy

    def run(self) -> None:
        self._give_up()
        match self.state.chain.status:
            case TaskStatus.UNSET:
                self._unset()
            case TaskStatus.ACTIVE:
                self._active()
            case TaskStatus.REVEALING:
                self._revealing()
            case TaskStatus.COMPLETED:
                self._completed()
            case TaskStatus.FAILED:
                self._dismiss(self.state.replicates, "the task was claimed: its requester is refunded")
        # What was decided changes no vote, so that the state itself is what led here.
        self.state = enter(self.state, self.state, phase_of(self.state, self._now), self._now)

    # --- giving up ----------------------------------------------------------------------------------------------------

    def _give_up(self) -> None:
        state, task = self.state, self.state.chain
        if state.settled:
            cause, explanation = None, ""
            if task.status is TaskStatus.FAILED:
                cause, explanation = state.cause or FailureCause.CLAIMED, state.explanation or "the task was claimed"
            self.state = replace(state, cause=cause and str(cause), explanation=explanation)
            return
        if state.given_up:
            return
        if task.status is TaskStatus.ACTIVE and (failure := self._task_failure()):
            self._fail(*failure)
            return
        if task.status is TaskStatus.UNSET and self._now >= task.contribution_deadline:
            late = FailureCause.CONTRIBUTION_TIMEOUT
        elif (found := failure_due(task, self._now)) is not None:
            late = found
        else:
            return
        deadline = task.final_deadline if task.status is TaskStatus.REVEALING else task.contribution_deadline
        if state.read_at < deadline:
            # Logs may be behind the clock: the chain is asked before anything is declared failed.
            self.commands.append(c.ReadChain())
            return
        if task.status is TaskStatus.REVEALING and task.reveal_counter and self._all_uploads_refused():
            late = FailureCause.RESULT_LOST
        self._fail(*(self._stall() if late is not FailureCause.FINAL_DEADLINE_REACHED else None) or _late(late))

    def _fail(self, cause: str, explanation: str) -> None:
        self.state = replace(self.state, given_up=True, cause=str(cause), explanation=explanation)

    def _task_failure(self) -> tuple[str, str] | None:
        """Cause and explanation when enough workers blame the task itself."""
        replicates = self.state.replicates
        blamed = Counter(
            r.cause for r in replicates if r.status is _S.FAILED and not r.voted and is_task_caused(r.cause)
        )
        if not blamed:
            return None
        cause, count = blamed.most_common(1)[0]
        assert cause is not None, "only coded causes are counted"
        pending = sum(is_pending(r, self.state, self._now, self._policy) for r in replicates)
        needed = min(self._policy.failures, count + pending + self._candidates)
        if count < max(needed, 1 + sum(r.voted for r in replicates)):
            return None
        message = next(r.message for r in replicates if r.cause == cause)
        workers = "1 worker" if count == 1 else f"{count} workers"
        return cause, f"{workers} failed alike: {message}" if message else f"{workers} failed alike"

    def _all_uploads_refused(self) -> bool:
        proved = [r for r in self.state.winners if r.contribution is ContributionStatus.PROVED]
        return all(r.upload is Upload.REFUSED for r in proved)

    def _stall(self) -> tuple[str, str] | None:
        """Cause and explanation when nobody is left whose vote could settle the task."""
        state = self.state
        if state.chain.status is not TaskStatus.ACTIVE:
            return None
        if state.awaits_enclave:
            return state.cause or TEE_UNAVAILABLE, state.explanation or "no enclave was found in time"
        voted = sum(r.voted for r in state.replicates)
        results = len({r.result for r in state.replicates if r.voted})
        if voted:
            return (
                FailureCause.NO_CONSENSUS,
                f"{voted} workers voted for {results} results, none of which reaches trust {state.trust}; "
                "no other worker is left to ask",
            )
        failed = [r for r in state.replicates if r.status in (_S.FAILED, _S.ABORTED)]
        causes = {r.cause for r in failed}
        if failed and len(failed) == len(state.replicates):
            cause = failed[0].cause if len(causes) == 1 and failed[0].cause else WORKERS_FAILED
            return cause, f"all {len(failed)} workers that tried failed: {failed[-1].message or failed[-1].cause}"
        if not state.replicates and self._unsuited:
            return REQUIREMENTS_UNMET, f"no worker in reach has all that the task needs: {describe(state.needs)}"
        if not state.replicates:
            return NO_WORKER, "no worker of the pool is connected"
        return NO_WORKER, f"{len(state.replicates)} workers were given the task, none of them is in reach"

    # --- by status on chain -------------------------------------------------------------------------------------------

    def _unset(self) -> None:
        task = self.state.chain
        if self.state.given_up and self._now < task.final_deadline:
            # Opened, it would only wait for a vote that nobody is asked for.
            return
        if self._now < task.contribution_deadline:
            self.commands.append(c.SubmitInitialize())
            missing = replicas_missing(self.state, self._now, self._policy)
            if missing:
                self.commands.append(c.AssignReplicas(missing))
        elif self._now >= task.final_deadline and self._policy.auto_claim:
            self.commands.append(c.SubmitClaim(initialize=True))

    def _active(self) -> None:
        if self.state.given_up:
            idle = [r for r in self.state.replicates if not r.voted]
            self._dismiss(idle, f"the task failed: {self.state.explanation}")
        elif self.state.awaits_enclave:
            if self._now < self.state.chain.contribution_deadline:
                self.commands.append(c.AskEnclave())
        else:
            missing = replicas_missing(self.state, self._now, self._policy)
            pending = [r for r in self.state.replicates if is_pending(r, self.state, self._now, self._policy)]
            if missing:
                self.commands.append(c.AssignReplicas(missing))
            elif self._is_late(pending):
                self.commands.append(c.AssignHedge())
            stalled = self._stall() if missing and not pending and not self._candidates else None
            if self._now < self.state.chain.contribution_deadline:
                cause, explanation = stalled or (None, "")
                self.state = replace(self.state, cause=cause and str(cause), explanation=explanation)
        self._claim()

    def _revealing(self) -> None:
        state, task = self.state, self.state.chain
        consensus = state.consensus
        assert consensus is not None, "a task in its reveals has a consensus"
        for winner in list(state.winners):
            unproved = winner.contribution is ContributionStatus.CONTRIBUTED
            if unproved and winner.told_consensus != consensus and self._now < task.reveal_deadline:
                self.commands.append(c.SendReveal(winner.worker, consensus))
                self.state = self.state.put(replace(winner, told_consensus=consensus))
        # Dissenters keep their result: should the task be reopened, theirs may be the next consensus.
        self._dismiss([r for r in state.replicates if not r.voted], "the task reached its consensus without this vote")
        if self.state.location is None and self._now < task.final_deadline:
            self._obtain_result()
        if self.state.location is not None and task.may_finalize(self._now):
            self.commands.append(c.SubmitFinalize(self.state.location, self.state.callback_data))
        elif task.may_reopen(self._now) and self._now < task.contribution_deadline:
            self.commands.append(c.SubmitReopen(consensus))
        self._claim()

    def _completed(self) -> None:
        self._dismiss([r for r in self.state.replicates if not r.voted], "the task is completed")
        for replicate in self.state.replicates:
            if not replicate.told_end:
                self.commands.append(c.SendComplete(replicate.worker))
                self.state = self.state.put(replace(replicate, told_end=True))

    def _claim(self) -> None:
        if self._policy.auto_claim and self.state.chain.may_claim(self._now):
            self.commands.append(c.SubmitClaim())

    def _is_late(self, pending: Sequence[Replicate]) -> bool:
        """Whether the task only waits for workers that take much longer than the others did."""
        hour = _hedge_at(self.state, pending, self._policy)
        return hour is not None and hour <= self._now < self.state.chain.contribution_deadline

    # --- workers ------------------------------------------------------------------------------------------------------

    def _dismiss(self, replicates: Sequence[Replicate], reason: str) -> None:
        for replicate in replicates:
            if replicate.told_end:
                continue
            if replicate.voted or replicate.status not in FINAL:
                self.commands.append(c.SendAbort(replicate.worker, reason))
            self.state = self.state.put(replace(replicate, told_end=True))

    def dismiss_if_replaced(self, worker: object) -> None:
        """Send a returned worker home when others have its place and it has not voted."""
        for replicate in self.state.replicates:
            if replicate.worker == worker and is_pending(replicate, self.state, self._now, self._policy):
                others = replace(self.state, replicates=tuple(r for r in self.state.replicates if r is not replicate))
                replaced = len(others.replicates) > 0 and replicas_missing(others, self._now, self._policy) == 0
                if replaced and self.state.chain.status is TaskStatus.ACTIVE:
                    self._dismiss([replicate], "another worker was given the task meanwhile")

    def _obtain_result(self) -> None:
        """See that a verified result lies in the store: an offered one is checked, else the next winner is asked."""
        winners = list(self.state.winners)
        consensus = self.state.consensus
        assert consensus is not None, "a task in its reveals has a consensus"
        for winner in winners:
            if winner.upload is Upload.OFFERED and winner.location:
                self.commands.append(c.VerifyUpload(winner.worker, winner.location, consensus))
                return
        if not self.state.chain.may_finalize(self._now):
            # Workers upload while they reveal; they are asked when the result is all that is still missing.
            return
        able = [r for r in winners if r.contribution is ContributionStatus.PROVED and not r.lost and not r.told_end]
        if any(r.upload is Upload.ASKED and self._now < _ask_again_at(r, self._policy) for r in able):
            return
        chosen = min(able, key=lambda r: r.uploads, default=None)
        if chosen is None or (chosen.uploads and self._now < _ask_again_at(chosen, self._policy)):
            return
        self.commands.append(c.RequestUpload(chosen.worker))
        asked = replace(chosen, upload=Upload.ASKED, uploads=chosen.uploads + 1, asked_at=self._now)
        self.state = self.state.put(asked)


def _late(cause: FailureCause) -> tuple[str, str]:
    return cause, {
        FailureCause.CONTRIBUTION_TIMEOUT: "nobody contributed before the contribution deadline",
        FailureCause.NO_CONSENSUS: "no result reached the trust asked for before the contribution deadline",
        FailureCause.REVEAL_TIMEOUT: "nobody of the consensus revealed in time",
        FailureCause.RESULT_LOST: "no worker of the consensus uploaded the result it revealed",
        FailureCause.FINAL_DEADLINE_REACHED: "the task was not finalized before its final deadline",
        FailureCause.CLAIMED: "the task was claimed",
        FailureCause.INITIALIZE_REFUSED: "the task could not be opened on chain",
    }[cause]


__all__ = [
    "Decision",
    "Phase",
    "Policy",
    "decide",
    "is_pending",
    "is_task_caused",
    "is_workers_own",
    "occupies_slot",
    "replicas_missing",
    "wake_at",
]
