import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.tasks import Task, TaskStatus
from pyiexec.protocol.workflow import (
    FINAL_PHASES,
    FailureCause,
    Phase,
    TaskEvent,
    Workflow,
    advance,
    fail,
    failure_due,
    from_chain,
)

E, P = TaskEvent, Phase
HAPPY = [
    (E.INITIALIZE_SENT, P.INITIALIZING),
    (E.INITIALIZED, P.RUNNING),
    (E.CONSENSUS_REACHED, P.CONSENSUS),
    (E.ENOUGH_REVEALED, P.REVEALED),
    (E.UPLOAD_REQUESTED, P.UPLOADING),
    (E.RESULT_UPLOADED, P.FINALIZING),
    (E.FINALIZED, P.COMPLETED),
]


def after(*events: TaskEvent) -> Workflow:
    workflow = Workflow()
    for event in events:
        workflow = advance(workflow, event)
    return workflow


def chain_task(status: TaskStatus, *, contributors: int = 0, reveals: int = 0, winners: int = 0) -> Task:
    return Task(
        status=status,
        contribution_deadline=7,
        reveal_deadline=8 if status is TaskStatus.REVEALING else 0,
        final_deadline=10,
        contributors=tuple("0x" for _ in range(contributors)),  # type: ignore[misc]
        reveal_counter=reveals,
        winner_counter=winners,
    )


def test_a_task_goes_from_received_to_completed() -> None:
    workflow = Workflow()
    for event, phase in HAPPY:
        workflow = advance(workflow, event)
        assert workflow == Workflow(phase)


def test_events_delivered_twice_change_nothing() -> None:
    workflow = Workflow()
    for number, (event, _) in enumerate(HAPPY):
        workflow = advance(workflow, event)
        for earlier, _ in HAPPY[: number + 1]:
            assert advance(workflow, earlier) == workflow


def test_somebody_else_may_initialize_the_task() -> None:
    assert after(E.INITIALIZED) == Workflow(P.RUNNING)


def test_a_task_contributed_and_finalized_at_once_is_completed_from_any_phase() -> None:
    assert after(E.INITIALIZED, E.FINALIZED) == Workflow(P.COMPLETED)


def test_another_worker_uploads_when_the_first_one_cannot() -> None:
    revealed = [event for event, _ in HAPPY[:5]]
    assert after(*revealed, E.UPLOAD_FAILED) == Workflow(P.REVEALED)
    assert after(*revealed, E.UPLOAD_FAILED, E.UPLOAD_REQUESTED) == Workflow(P.UPLOADING)


def test_a_result_uploaded_before_it_was_asked_for_is_taken() -> None:
    assert after(E.INITIALIZED, E.CONSENSUS_REACHED, E.ENOUGH_REVEALED, E.RESULT_UPLOADED) == Workflow(P.FINALIZING)


def test_a_reopened_task_runs_again() -> None:
    assert after(E.INITIALIZED, E.CONSENSUS_REACHED, E.REOPENED) == Workflow(P.RUNNING)


@pytest.mark.parametrize(
    ("events", "impossible"),
    [
        ([], E.CONSENSUS_REACHED),
        ([E.INITIALIZED], E.ENOUGH_REVEALED),
        ([E.INITIALIZED], E.UPLOAD_REQUESTED),
        ([E.INITIALIZED, E.CONSENSUS_REACHED], E.RESULT_UPLOADED),
        ([E.INITIALIZED, E.CONSENSUS_REACHED, E.ENOUGH_REVEALED], E.REOPENED),
        ([E.INITIALIZED, E.FINALIZED], E.CLAIMED),
    ],
)
def test_what_cannot_happen_yet_is_refused(events: list[TaskEvent], impossible: TaskEvent) -> None:
    with pytest.raises(IexecError) as refusal:
        advance(after(*events), impossible)
    assert refusal.value.code == "BAD_TRANSITION"


def test_a_claimed_task_has_failed_for_the_cause_known_before() -> None:
    assert after(E.INITIALIZED, E.CLAIMED) == Workflow(P.FAILED, FailureCause.CLAIMED)
    failed = fail(after(E.INITIALIZED), FailureCause.NO_CONSENSUS)
    assert advance(failed, E.CLAIMED) == Workflow(P.FAILED, FailureCause.NO_CONSENSUS)


@pytest.mark.parametrize(
    ("cause", "event", "phase"),
    [
        (FailureCause.INITIALIZE_REFUSED, E.INITIALIZED, P.RUNNING),
        (FailureCause.CONTRIBUTION_TIMEOUT, E.CONSENSUS_REACHED, P.CONSENSUS),
        (FailureCause.NO_CONSENSUS, E.CONSENSUS_REACHED, P.CONSENSUS),
        (FailureCause.REVEAL_TIMEOUT, E.REOPENED, P.RUNNING),
        (FailureCause.RESULT_LOST, E.FINALIZED, P.COMPLETED),
    ],
)
def test_the_chain_brings_back_a_task_given_up_too_early(cause: FailureCause, event: TaskEvent, phase: Phase) -> None:
    assert advance(Workflow(P.FAILED, cause), event) == Workflow(phase)


def test_old_news_does_not_bring_back_a_task_that_failed_later() -> None:
    failed = Workflow(P.FAILED, FailureCause.NO_CONSENSUS)
    assert advance(failed, E.INITIALIZED) == failed
    assert advance(failed, E.RESULT_UPLOADED) == failed
    claimed = Workflow(P.FAILED, FailureCause.CLAIMED)
    assert advance(claimed, E.CONSENSUS_REACHED) == claimed


def test_what_is_finished_cannot_fail_any_more() -> None:
    completed = Workflow(P.COMPLETED)
    assert fail(completed, FailureCause.RESULT_LOST) == completed
    failed = Workflow(P.FAILED, FailureCause.NO_CONSENSUS)
    assert fail(failed, FailureCause.CLAIMED) == failed


@given(st.lists(st.sampled_from(TaskEvent), max_size=30))
def test_a_completed_task_stays_completed_and_only_a_failed_one_has_a_cause(events: list[TaskEvent]) -> None:
    workflow = Workflow()
    for event in events:
        try:
            following = advance(workflow, event)
        except IexecError:
            continue
        assert workflow.phase is not P.COMPLETED or following == workflow
        assert (following.cause is not None) == (following.phase is P.FAILED)
        workflow = following


@pytest.mark.parametrize(
    ("task", "now", "cause"),
    [
        (chain_task(TaskStatus.ACTIVE), 6, None),
        (chain_task(TaskStatus.ACTIVE), 7, FailureCause.CONTRIBUTION_TIMEOUT),
        (chain_task(TaskStatus.ACTIVE, contributors=2), 7, FailureCause.NO_CONSENSUS),
        (chain_task(TaskStatus.REVEALING, winners=2), 9, None),
        (chain_task(TaskStatus.REVEALING, winners=2), 10, FailureCause.REVEAL_TIMEOUT),
        (chain_task(TaskStatus.REVEALING, winners=2, reveals=2), 10, FailureCause.FINAL_DEADLINE_REACHED),
        (chain_task(TaskStatus.FAILED), 0, FailureCause.CLAIMED),
        (chain_task(TaskStatus.COMPLETED), 99, None),
        (Task(), 99, None),
    ],
)
def test_why_a_task_can_no_longer_succeed(task: Task, now: int, cause: FailureCause | None) -> None:
    assert failure_due(task, now) is cause


@pytest.mark.parametrize(
    ("task", "uploaded", "phase"),
    [
        (Task(), False, P.RECEIVED),
        (chain_task(TaskStatus.ACTIVE), False, P.RUNNING),
        (chain_task(TaskStatus.REVEALING, winners=2, reveals=1), False, P.CONSENSUS),
        (chain_task(TaskStatus.REVEALING, winners=2, reveals=2), False, P.REVEALED),
        (chain_task(TaskStatus.REVEALING, winners=2, reveals=2), True, P.FINALIZING),
        (chain_task(TaskStatus.COMPLETED), False, P.COMPLETED),
        (chain_task(TaskStatus.FAILED), False, P.FAILED),
    ],
)
def test_a_scheduler_without_memory_learns_the_phase_from_the_chain(task: Task, uploaded: bool, phase: Phase) -> None:
    assert from_chain(task, 5, uploaded=uploaded).phase is phase
    assert (phase in FINAL_PHASES) == (phase in (P.COMPLETED, P.FAILED))
