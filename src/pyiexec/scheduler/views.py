"""What the scheduler tells clients of tasks and workers, in the shape existing clients read.

Names of fields and statuses are the reference scheduler's; `phase`, `cause` and what else it does not have is ours.
Times are ISO 8601 in UTC, taken from chain time.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from pyiexec.protocol.errors import CATALOGUE, IexecError
from pyiexec.protocol.expectations import Expectation, awaited
from pyiexec.protocol.messages import Capabilities
from pyiexec.protocol.params import parse_params
from pyiexec.protocol.primitives import NULL_BYTES32, Address, Bytes32, DealId, ResultHash, TaskId, to_hex
from pyiexec.protocol.replicates import ReplicateStatus
from pyiexec.protocol.results import ResultLink, format_link
from pyiexec.protocol.workflow import FailureCause, Phase
from pyiexec.scheduler.causes import reference_name
from pyiexec.scheduler.crew import Member
from pyiexec.scheduler.forecast import Forecast
from pyiexec.scheduler.state import Replicate, StatusChange, TaskState, Upload
from pyiexec.scheduler.store import DealFacts
from pyiexec.scheduler.verification import STORAGE

#: Phases by the statuses that clients of the reference scheduler know. One of our steps may be two of theirs; the last
#: is where the task stands.
STATUSES = {
    Phase.RECEIVED: ("RECEIVED",),
    Phase.INITIALIZING: ("INITIALIZING",),
    Phase.RUNNING: ("INITIALIZED", "RUNNING"),
    Phase.CONSENSUS: ("CONSENSUS_REACHED",),
    Phase.REVEALED: ("AT_LEAST_ONE_REVEALED",),
    Phase.UPLOADING: ("RESULT_UPLOADING",),
    Phase.FINALIZING: ("RESULT_UPLOADED", "FINALIZING"),
    Phase.COMPLETED: ("FINALIZED", "COMPLETED"),
    Phase.FAILED: ("FAILED",),
}
#: The status that leads to FAILED, by cause; ``RUNNING_FAILED`` for all others.
_FAILURES: dict[str, str] = {
    FailureCause.CONTRIBUTION_TIMEOUT: "CONTRIBUTION_TIMEOUT",
    FailureCause.NO_CONSENSUS: "CONTRIBUTION_TIMEOUT",
    FailureCause.REVEAL_TIMEOUT: "FINAL_DEADLINE_REACHED",
    FailureCause.RESULT_LOST: "RESULT_UPLOAD_TIMEOUT",
    FailureCause.FINAL_DEADLINE_REACHED: "FINAL_DEADLINE_REACHED",
    FailureCause.CLAIMED: "FINAL_DEADLINE_REACHED",
    FailureCause.INITIALIZE_REFUSED: "INITIALIZE_FAILED",
}
#: Code of what a task is told early, when it will hardly be done in time.
TASK_LIKELY_LATE = "TASK_LIKELY_LATE"
#: The end of the year 9999, seconds since the Unix epoch.
_LAST_MOMENT = 253_402_300_799


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """Why something failed, or what holds it up.

    Attributes:
        code: stable name, one of the error catalogue.
        what: what happened.
        remedy: what to do about it.
        retry: whether it may go away by itself.
    """

    code: str
    what: str
    remedy: str
    retry: bool


class StatusUpdate(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line of a history.

    Attributes:
        cause: the reference's name of the failure.
        code: our name of it.
        reason: code of why the status changed, a failure's own or one of `protocol.reasons`.
    """

    status: str
    date: str
    cause: str | None = None
    code: str | None = None
    reason: str | None = None


class AwaitedModel(msgspec.Struct, frozen=True, kw_only=True):
    """What a task waits for.

    Attributes:
        code: one of `protocol.expectations`.
        what: in words.
        until: when it is too late; of a refund, when it can be claimed.
        then: what happens at that time.
    """

    code: Expectation
    what: str
    until: str
    then: str


class ReplicateModel(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One worker's part in a task; what is empty is left out."""

    self_path: str = msgspec.field(name="self")
    chain_task_id: TaskId
    wallet_address: Address
    current_status: ReplicateStatus
    status_update_list: list[StatusUpdate]
    result_link: str | None = None
    chain_callback_data: str | None = None
    contribution_hash: ResultHash | None = None
    app_logs: str | None = None
    app_exit_code: int | None = None
    tee_session_generation_error: str | None = None
    cause: Cause | None = None


class ForecastModel(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """When the scheduler expects a task to end; nothing is promised.

    Attributes:
        position: in the line of those that wait for workers, from 1; 0 once it has all it needs for now.
        starts_by: when it has its workers, at the latest; null while the pool has none.
        eta: expected end.
        earliest, latest: between which that lies, most likely.
        observed: tasks of its app and category whose times the scheduler knows.
        late: its work is expected to be done only after the contribution deadline.
    """

    position: int
    starts_by: str | None
    eta: str | None
    earliest: str | None
    latest: str | None
    observed: int
    late: bool


class TaskModel(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A task with its replicates.

    Attributes:
        max_execution_time: of the deal's category, milliseconds.
        tag: what the task needs.
        command_line: the application's arguments.
        initialization_block_number: block in which the task was opened; null while that is not known.
        result_link: JSON of where the result lies, as on chain.
        cause: why it failed, or what holds it up.
        awaited: what it waits for; null once the chain has settled it.
        forecast: when it is expected to end; null once nothing is to come.
    """

    chain_task_id: TaskId
    replicates: list[ReplicateModel]
    max_execution_time: int
    tag: Bytes32
    dapp_type: str
    dapp_name: str
    command_line: str
    initialization_block_number: int | None
    current_status: str
    trust: int
    uploading_worker_wallet_address: Address | None
    consensus: ResultHash | None
    contribution_deadline: str
    reveal_deadline: str | None
    final_deadline: str
    result_link: str | None
    chain_callback_data: str | None
    date_status_list: list[StatusUpdate]
    deal_id: DealId
    task_index: int
    phase: Phase
    cause: Cause | None
    awaited: AwaitedModel | None
    forecast: ForecastModel | None


class WorkerModel(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One worker of the pool.

    Attributes:
        in_reach: connected, or gone for less than two heartbeats.
        busy: slots in use.
        cpus: processors lent; null, as for memory and disk, when the worker did not tell.
        memory_bytes: lent to all tasks together.
        disk_bytes: that were free for tasks when the worker last said so.
        gpus: lent to applications.
        enclaves: frameworks, by their names in tags.
        score: reputation on chain, and the weight that gives its votes.
        tasks: unfinished ones it takes part in.
    """

    wallet_address: Address
    connected: bool
    in_reach: bool
    slots: int
    busy: int
    runtimes: list[str]
    cpus: int | None
    memory_bytes: int | None
    disk_bytes: int | None
    gpus: int
    enclaves: list[str]
    score: int
    weight: int
    tasks: list[TaskId]


def task_view(state: TaskState, facts: DealFacts | None = None, forecast: Forecast | None = None) -> TaskModel:
    """A task; `facts` are those of its deal, `forecast` is what to expect of it."""
    chain = state.chain
    deal = facts.deal if facts else None
    link = chain.results.decode(errors="replace") or None
    if link is None and state.location is not None:
        link = format_link(ResultLink(STORAGE, state.location)).decode()
    callback = chain.results_callback or state.callback_data
    uploading = (r.worker for r in state.winners if r.upload in (Upload.ASKED, Upload.OFFERED, Upload.VERIFIED))
    return TaskModel(
        chain_task_id=state.task_id,
        replicates=[replicate_view(state, replicate) for replicate in state.replicates],
        max_execution_time=chain.timeref * 1000,
        tag=deal.tag if deal else Bytes32(NULL_BYTES32),
        dapp_type=facts.app_type if facts else "",
        dapp_name=facts.app_location if facts else "",
        command_line=_command_line(deal.params) if deal else "",
        initialization_block_number=state.opened_block,
        current_status=STATUSES[state.phase][-1],
        trust=state.trust,
        uploading_worker_wallet_address=next(uploading, None),
        consensus=state.consensus,
        contribution_deadline=_moment(chain.contribution_deadline),
        reveal_deadline=_moment(chain.reveal_deadline) if chain.reveal_deadline else None,
        final_deadline=_moment(chain.final_deadline),
        result_link=link,
        chain_callback_data=to_hex(callback) if callback else None,
        date_status_list=_task_history(state.dates),
        deal_id=state.deal_id,
        task_index=state.index,
        phase=state.phase,
        cause=cause_of(state.cause, state.explanation) or (_late(state) if forecast and forecast.late else None),
        awaited=_awaited(state),
        forecast=_forecast(forecast) if forecast else None,
    )


def replicate_view(state: TaskState, replicate: Replicate) -> ReplicateModel:
    """One worker's part in a task."""
    path = f"/tasks/{state.task_id}/replicates/{replicate.worker}"
    link = format_link(ResultLink(STORAGE, replicate.location)).decode() if replicate.location else None
    verified = replicate.upload is Upload.VERIFIED and state.callback_data
    return ReplicateModel(
        self_path=path,
        chain_task_id=state.task_id,
        wallet_address=replicate.worker,
        current_status=replicate.shown_status,
        status_update_list=_replicate_history(replicate.history),
        result_link=link,
        chain_callback_data=to_hex(state.callback_data) if verified else None,
        contribution_hash=replicate.result,
        app_logs=f"{path}/logs" if has_run(replicate) else None,
        app_exit_code=replicate.exit_code,
        cause=cause_of(replicate.cause, replicate.message),
    )


def worker_view(member: Member) -> WorkerModel:
    """One worker of the pool."""
    offer = member.offer or Capabilities(slots=0)
    return WorkerModel(
        wallet_address=member.worker,
        connected=member.session is not None,
        in_reach=member.in_reach,
        slots=member.slots,
        busy=len(member.computing),
        runtimes=offer.runtimes,
        cpus=offer.cpus,
        memory_bytes=offer.memory_bytes,
        disk_bytes=offer.disk_bytes,
        gpus=offer.gpus,
        enclaves=offer.enclaves,
        score=member.score,
        weight=member.weight,
        tasks=sorted(member.involved),
    )


def has_run(replicate: Replicate) -> bool:
    """Whether the application ran to an end, and so has a printout, be it an empty one."""
    computed = any(change.status == ReplicateStatus.COMPUTED for change in replicate.history)
    return computed or replicate.exit_code is not None


def cause_of(code: str | None, what: str) -> Cause | None:
    """Why something failed, with what the catalogue says of it; None without a code."""
    if code is None:
        return None
    # Workers name causes; one that we do not know may be from a newer version.
    known = CATALOGUE.get(code)
    return Cause(
        code=code,
        what=what or code.lower().replace("_", " "),
        remedy=known.remedy if known else "",
        retry=known.retry if known else False,
    )


def _late(state: TaskState) -> Cause | None:
    until = _moment(state.chain.contribution_deadline)
    return cause_of(TASK_LIKELY_LATE, f"the tasks before it leave it no time to be done before {until}")


def _forecast(found: Forecast) -> ForecastModel:
    moments = {
        name: None if moment is None else _moment(moment)
        for name, moment in (
            ("starts_by", found.starts_by),
            ("eta", found.eta),
            ("earliest", found.earliest),
            ("latest", found.latest),
        )
    }
    return ForecastModel(position=found.position, observed=found.observed, late=found.late, **moments)


def _awaited(state: TaskState) -> AwaitedModel | None:
    missing = Expectation.VOTES
    if state.awaits_enclave:
        missing = Expectation.ENCLAVE
    elif state.cause is not None:
        # An open task has a cause only while nobody is left who could vote.
        missing = Expectation.WORKER
    found = awaited(state.phase, state.chain, instead_of_votes=missing)
    if found is None:
        return None
    return AwaitedModel(code=found.code, what=found.what, until=_moment(found.until), then=found.then)


def _task_history(changes: Sequence[StatusChange]) -> list[StatusUpdate]:
    history: list[StatusUpdate] = []
    before: Phase | None = None
    for change in changes:
        phase, date = Phase(change.status), _moment(change.date)
        statuses: tuple[str, ...] = STATUSES[phase]
        if phase is Phase.RUNNING and before not in (None, Phase.RECEIVED, Phase.INITIALIZING, Phase.FAILED):
            statuses = ("REOPENED", "RUNNING")
        if phase is Phase.FAILED:
            statuses = (_FAILURES.get(change.cause or "", "RUNNING_FAILED"), "FAILED")
        reason = change.reason or None
        history += [StatusUpdate(status=status, date=date, reason=reason) for status in statuses[:-1]]
        history.append(StatusUpdate(status=statuses[-1], date=date, code=change.cause, reason=reason))
        before = phase
    return history


def _replicate_history(changes: Sequence[StatusChange]) -> list[StatusUpdate]:
    history = []
    reached = ReplicateStatus.CREATED
    for change in changes:
        cause = reference_name(change.cause, reached) if change.cause else None
        date = _moment(change.date)
        reason = change.reason or None
        history.append(StatusUpdate(status=change.status, date=date, cause=cause, code=change.cause, reason=reason))
        if change.status != ReplicateStatus.WORKER_LOST:
            reached = ReplicateStatus(change.status)
    return history


def _command_line(params: str) -> str:
    try:
        return parse_params(params).iexec_args
    except IexecError:
        # Why nobody could read them is among the causes.
        return ""


def _moment(seconds: int) -> str:
    # Nothing keeps a category from lasting beyond what calendars hold.
    return datetime.fromtimestamp(min(seconds, _LAST_MOMENT), UTC).isoformat().replace("+00:00", "Z")
