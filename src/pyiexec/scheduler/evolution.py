"""How a task's state follows what happens to it.

Logs may be delivered twice, reports may be late: an event that says nothing new changes nothing. What the chain says
outranks what workers say.
"""

from __future__ import annotations

from msgspec.structs import replace

from pyiexec.protocol.primitives import NULL_BYTES32, Address, ResultHash
from pyiexec.protocol.reasons import Reason
from pyiexec.protocol.replicates import FINAL, GIVEN_UP, ON_CHAIN, ReplicateStatus, advance, is_stale
from pyiexec.protocol.tasks import ContributionStatus, Task, TaskStatus
from pyiexec.protocol.trust import NEWCOMER_WEIGHT
from pyiexec.protocol.workflow import Phase
from pyiexec.scheduler import events as e
from pyiexec.scheduler.state import Replicate, StatusChange, TaskState, Upload
from pyiexec.scheduler.transitions import enter

_S = ReplicateStatus
_NO_RESULT = ResultHash(NULL_BYTES32)
#: Cause of a replicate whose worker came back without its memory.
WORKER_FORGOT = "WORKER_FORGOT"


def evolve(state: TaskState, event: e.Event, now: int) -> TaskState:
    """The state after `event`, at chain time `now`."""
    before = state
    match event:
        case e.InitializeSent():
            return enter(state, state, Phase.INITIALIZING, now) if state.phase is Phase.RECEIVED else state
        case e.Assigned(worker, weight, hedge):
            replicate = Replicate(worker=worker, weight=weight, assigned_at=now, reported_at=now, hedge=hedge)
            reason = Reason.HEDGED if hedge else Reason.ASSIGNED
            state = state if state.find(worker) else state.put(_noted(replicate, _S.CREATED, now, reason))
        case e.Reported(worker, _):
            replicate_before = state.find(worker)
            state = state.put(_reported(replicate_before, event, now)) if replicate_before else state
        case e.WorkerLost(worker):
            state = _lost(state, worker, now)
        case e.WorkerReturned(worker, forgot):
            state = _returned(state, worker, forgot, now)
        case e.UploadVerified(worker, location, callback_data):
            # The consensus it was compared with may have been thrown away meanwhile, and its voters with it.
            if any(winner.worker == worker and winner.location == location for winner in state.winners):
                state = _with_upload(state, worker, location, Upload.VERIFIED)
                state = replace(state, location=location, callback_data=callback_data)
        case e.UploadRefused(worker, location, cause, message):
            state = _with_upload(state, worker, location, Upload.REFUSED, cause, message)
        case e.EnclaveNamed(challenge) if state.awaits_enclave and not state.given_up:
            state = replace(state, enclave_challenge=challenge, cause=None, explanation="")
        case e.EnclaveRefused(cause, message, final) if state.awaits_enclave and not state.given_up:
            state = replace(state, cause=cause, explanation=message, given_up=final)
        case e.Ticked() | e.EnclaveNamed() | e.EnclaveRefused():
            pass
        case _:
            state = _on_chain(state, event, now)
    return enter(before, state, phase_of(state, now), now)


def phase_of(state: TaskState, now: int) -> Phase:
    """Where the task stands at chain time `now`."""
    task = state.chain
    if task.status is TaskStatus.COMPLETED:
        return Phase.COMPLETED
    if task.status is TaskStatus.FAILED or state.given_up:
        return Phase.FAILED
    if task.status is TaskStatus.UNSET:
        return Phase.INITIALIZING if state.phase is Phase.INITIALIZING else Phase.RECEIVED
    if task.status is TaskStatus.ACTIVE:
        return Phase.RUNNING
    if not task.may_finalize(now):
        return Phase.CONSENSUS
    if state.location is not None:
        return Phase.FINALIZING
    uploading = any(replicate.upload in (Upload.ASKED, Upload.OFFERED) for replicate in state.winners)
    return Phase.UPLOADING if uploading else Phase.REVEALED


def _noted(replicate: Replicate, status: ReplicateStatus, now: int, reason: str) -> Replicate:
    change = StatusChange(status, now, replicate.cause, reason)
    return replace(replicate, status=status, history=(*replicate.history, change))


# --- what workers say ---------------------------------------------------------------------------------------------


def _reported(replicate: Replicate, event: e.Reported, now: int) -> Replicate:
    report = event.progress
    replicate = replace(replicate, reported_at=now, lost=False)
    if report.exit_code is not None:
        replicate = replace(replicate, exit_code=report.exit_code)
    refused_before = replicate.upload is Upload.REFUSED and replicate.location == report.location
    # One offer at a time: whoever makes many has them looked at in turn.
    if report.location and replicate.upload not in (Upload.VERIFIED, Upload.OFFERED) and not refused_before:
        replicate = replace(replicate, location=report.location, upload=Upload.OFFERED)
    status = _next_status(replicate.status, report.status)
    if status is replicate.status:
        return replicate
    if status in GIVEN_UP:
        upload = Upload.REFUSED if replicate.upload is Upload.ASKED else replicate.upload
        replicate = replace(replicate, cause=report.cause, message=report.message, upload=upload)
        return _noted(replicate, status, now, report.cause or Reason.REPORTED)
    return _noted(replicate, status, now, Reason.REPORTED)


def _next_status(current: ReplicateStatus, reported: ReplicateStatus) -> ReplicateStatus:
    """Where a report leads; steps may be skipped, and only the chain brings back what ended."""
    if current in FINAL or is_stale(current, reported) or reported is _S.WORKER_LOST:
        return current
    onwards = reported in FINAL or is_stale(reported, current)
    return reported if onwards else current


def _lost(state: TaskState, worker: Address, now: int) -> TaskState:
    replicate = state.find(worker)
    if replicate is None or replicate.lost or replicate.status in FINAL:
        return state
    change = StatusChange(_S.WORKER_LOST, now, reason=Reason.HEARTBEATS_MISSED)
    return state.put(replace(replicate, lost=True, history=(*replicate.history, change)))


def _returned(state: TaskState, worker: Address, forgot: bool, now: int) -> TaskState:
    replicate = state.find(worker)
    if replicate is None:
        return state
    if replicate.lost:
        change = StatusChange(replicate.status, now, reason=Reason.WORKER_RETURNED)
        replicate = replace(replicate, lost=False, reported_at=now, history=(*replicate.history, change))
    if forgot:
        # What it was told is gone with its memory, so it is told again.
        upload = Upload.NONE if replicate.upload is Upload.ASKED else replicate.upload
        replicate = replace(replicate, told_consensus=None, upload=upload)
        if not replicate.voted and replicate.status not in FINAL:
            message = "the worker came back without its memory of the task"
            forgetful = replace(replicate, cause=WORKER_FORGOT, message=message)
            replicate = _noted(forgetful, _S.ABORTED, now, WORKER_FORGOT)
    return state.put(replicate)


def _with_upload(
    state: TaskState, worker: Address, location: str, upload: Upload, cause: str | None = None, message: str = ""
) -> TaskState:
    replicate = state.find(worker)
    if replicate is None or replicate.location != location:
        return state
    if cause is not None:
        replicate = replace(replicate, cause=cause, message=message)
    return state.put(replace(replicate, upload=upload))


# --- what the chain says ------------------------------------------------------------------------------------------


def _on_chain(state: TaskState, event: e.ChainEvent, now: int) -> TaskState:
    task = state.chain
    match event:
        case e.ChainRead():
            return _chain_read(state, event, now)
        case e.Initialized(block) if task.status is TaskStatus.UNSET:
            return replace(state, chain=replace(task, status=TaskStatus.ACTIVE), opened_block=block)
        case e.Contributed(worker, result, weight):
            return _contributed(state, worker, result, weight, now)
        case e.ConsensusReached(consensus, reveal_deadline) if task.status in (TaskStatus.UNSET, TaskStatus.ACTIVE):
            task = replace(
                task, status=TaskStatus.REVEALING, consensus_value=consensus, reveal_deadline=reveal_deadline
            )
            state = replace(state, chain=replace(task, reveal_counter=0))
            winners = sum(1 for _ in state.winners)
            # The chain outranks what was given up too early.
            chain = replace(state.chain, winner_counter=winners)
            return replace(state, chain=chain, given_up=False, cause=None, explanation="")
        case e.Revealed(worker, digest):
            replicate = state.find(worker)
            if replicate is None or replicate.contribution is ContributionStatus.PROVED:
                return state
            state = state.put(_proved(replicate, now))
            task = replace(task, reveal_counter=task.reveal_counter + 1, result_digest=digest)
            return replace(state, chain=task)
        case e.Reopened() if task.status is TaskStatus.REVEALING:
            return _reopened(state)
        case e.Finalized(results) if task.status is not TaskStatus.COMPLETED:
            completed = replace(task, status=TaskStatus.COMPLETED, results=results)
            return replace(state, chain=completed, given_up=False, cause=None, explanation="")
        case e.Claimed() if task.status is not TaskStatus.FAILED:
            return replace(state, chain=replace(task, status=TaskStatus.FAILED))
        case e.Unsettled() if state.settled:
            # Where it was before, as far as is known: stored like that, it is read again also after a crash.
            before = TaskStatus.ACTIVE if state.consensus is None else TaskStatus.REVEALING
            return replace(state, chain=replace(task, status=before, results=b""), cause=None, explanation="")
    return state


def _contributed(state: TaskState, worker: Address, result: ResultHash, weight: int, now: int) -> TaskState:
    # A voter that is not known was authorised by us all the same, before our memory of it was lost.
    replicate = state.find(worker) or Replicate(worker=worker, weight=weight, assigned_at=now, reported_at=now)
    if replicate.voted:
        return state
    replicate = replace(
        replicate, result=result, weight=weight, contribution=ContributionStatus.CONTRIBUTED, reported_at=now
    )
    replicate = _seen(replicate, _S.CONTRIBUTED, now)
    contributors = (*state.chain.contributors, worker)
    return replace(state.put(replicate), chain=replace(state.chain, contributors=contributors))


def _proved(replicate: Replicate, now: int) -> Replicate:
    replicate = replace(replicate, contribution=ContributionStatus.PROVED, reported_at=now)
    return _seen(replicate, _S.REVEALED, now)


def _seen(replicate: Replicate, status: ReplicateStatus, now: int) -> Replicate:
    assert status in ON_CHAIN, "only what the chain witnesses"
    if replicate.status not in GIVEN_UP and is_stale(replicate.status, status):
        return replicate
    if replicate.status is _S.COMPLETED:
        return replicate
    return _noted(replicate, advance(replicate.status, status, on_chain=True), now, Reason.SEEN_ON_CHAIN)


def _reopened(state: TaskState) -> TaskState:
    for winner in list(state.winners):
        state = state.put(replace(winner, contribution=ContributionStatus.REJECTED, upload=Upload.REFUSED))
    task = replace(
        state.chain,
        status=TaskStatus.ACTIVE,
        consensus_value=_NO_RESULT,
        reveal_deadline=0,
        reveal_counter=0,
        winner_counter=0,
    )
    return replace(state, chain=task, location=None, callback_data=b"")


def _chain_read(state: TaskState, event: e.ChainRead, now: int) -> TaskState:
    task = event.task
    if task.status is TaskStatus.UNSET:
        # The chain holds nothing before a task is opened; what the deal says of it stays.
        known = state.chain
        task = Task(
            deal_id=state.deal_id,
            index=state.index,
            timeref=known.timeref,
            contribution_deadline=known.contribution_deadline,
            final_deadline=known.final_deadline,
        )
    if task.consensus_value != state.chain.consensus_value:
        state = replace(state, location=None, callback_data=b"")
        for replicate in state.replicates:
            if replicate.upload is Upload.VERIFIED:
                state = state.put(replace(replicate, upload=Upload.OFFERED))
    for replicate in state.replicates:
        if replicate.voted and replicate.worker not in event.contributions:
            state = state.put(replace(replicate, contribution=ContributionStatus.UNSET, result=None))
    state = replace(state, chain=task, read_at=max(state.read_at, event.at))
    for worker, contribution in event.contributions.items():
        weight = event.weights.get(worker, NEWCOMER_WEIGHT)
        if contribution.status is ContributionStatus.UNSET:
            continue
        state = _contributed(state, worker, contribution.result_hash, weight, now)
        voter = state.find(worker)
        assert voter is not None, "a contribution makes its replicate"
        if contribution.status is ContributionStatus.PROVED:
            voter = _proved(voter, now)
        state = state.put(replace(voter, contribution=contribution.status, result=contribution.result_hash))
    state = replace(state, chain=task)
    going_on = task.status in (TaskStatus.REVEALING, TaskStatus.COMPLETED)
    return replace(state, given_up=False, cause=None, explanation="") if going_on else state
