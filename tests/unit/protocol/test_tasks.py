import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyiexec.protocol import ids
from pyiexec.protocol.deals import Deal, Resource
from pyiexec.protocol.primitives import NULL_ADDRESS, NULL_BYTES32, DealId, bytes32, checksum
from pyiexec.protocol.tasks import (
    CONTRIBUTION_TRANSITIONS,
    TASK_TRANSITIONS,
    Contribution,
    ContributionStatus,
    Task,
    TaskStatus,
)

ALICE, BOB = checksum("0x" + "11" * 20), checksum("0x" + "22" * 20)
DEAL = DealId(bytes32(7))

tasks = st.builds(
    Task,
    status=st.sampled_from(TaskStatus),
    contribution_deadline=st.integers(0, 20),
    reveal_deadline=st.integers(0, 20),
    final_deadline=st.integers(0, 20),
    reveal_counter=st.integers(0, 3),
    winner_counter=st.integers(0, 3),
)


def revealing(reveals: int, winners: int) -> Task:
    return Task(
        status=TaskStatus.REVEALING,
        contribution_deadline=7,
        reveal_deadline=8,
        final_deadline=10,
        reveal_counter=reveals,
        winner_counter=winners,
    )


def test_a_task_reads_the_tuple_of_view_task() -> None:
    values = (2, DEAL, 5, 300, 7, 8, 10, bytes32(1), 1, 2, (ALICE, BOB), bytes32(2), b"link", 0, b"")
    task = Task.from_abi(values)
    assert (task.status, task.deal_id, task.index, task.timeref) == (TaskStatus.REVEALING, DEAL, 5, 300)
    assert (task.contributors, task.result_digest, task.results) == ((ALICE, BOB), bytes32(2), b"link")
    assert (task.consensus_value, task.reveal_counter, task.winner_counter) == (bytes32(1), 1, 2)


def test_a_contribution_reads_the_tuple_of_view_contribution() -> None:
    contribution = Contribution.from_abi((2, bytes32(1), bytes32(2), NULL_ADDRESS, 3))
    assert contribution == Contribution(
        status=ContributionStatus.PROVED,
        result_hash=bytes32(1),  # type: ignore[arg-type]
        result_seal=bytes32(2),  # type: ignore[arg-type]
        weight=3,
    )


def test_a_deal_reads_the_tuple_of_view_deal_and_knows_its_tasks() -> None:
    app, pool = (ALICE, BOB, 1), (BOB, ALICE, 1_000_000_015)
    values = (app, (NULL_ADDRESS, NULL_ADDRESS, 0), pool, 3, 2, NULL_BYTES32, ALICE, BOB, NULL_ADDRESS, "{}")
    deal = Deal.from_abi((*values, 1_000, 4, 3, 300, 1, ALICE))
    assert deal.exists
    assert not deal.has_dataset
    assert not deal.has_callback
    assert deal.workerpool == Resource(BOB, ALICE, 1_000_000_015)
    assert (deal.trust, deal.category, deal.start_time, deal.sponsor) == (3, 2, 1_000, ALICE)
    assert (deal.task_cost, deal.scheduler_stake) == (1_000_000_016, 300_000_004)
    assert deal.task_ids(DEAL) == [ids.task_id(DEAL, index) for index in (4, 5, 6)]


def test_a_deal_nobody_made_does_not_exist() -> None:
    assert not Deal().exists
    assert Deal().task_ids(DEAL) == []


def test_deadlines_are_the_first_second_too_late() -> None:
    active = Task(status=TaskStatus.ACTIVE, contribution_deadline=7, final_deadline=10)
    assert [active.may_contribute(now) for now in (6, 7)] == [True, False]
    assert [active.may_claim(now) for now in (9, 10)] == [False, True]
    assert [revealing(0, 2).may_reveal(now) for now in (7, 8)] == [True, False]
    assert [revealing(0, 2).may_reopen(now) for now in (7, 8, 9, 10)] == [False, True, True, False]
    assert [revealing(2, 2).may_finalize(now) for now in (0, 9, 10)] == [True, True, False]


def test_some_reveals_are_enough_once_the_others_are_too_late() -> None:
    assert [revealing(1, 2).may_finalize(now) for now in (7, 8)] == [False, True]
    assert not revealing(1, 2).may_reopen(8)
    assert not revealing(0, 2).may_finalize(8)


@given(tasks, st.integers(0, 30))
def test_a_task_is_never_at_once_to_be_finalized_and_claimed_or_reopened(task: Task, now: int) -> None:
    assert not (task.may_finalize(now) and task.may_claim(now))
    assert not (task.may_reopen(now) and task.may_claim(now))


@pytest.mark.parametrize("end", [TaskStatus.COMPLETED, TaskStatus.FAILED])
def test_a_finished_task_stays_so(end: TaskStatus) -> None:
    assert not TASK_TRANSITIONS[end]
    finished = Task(status=end, contribution_deadline=10, reveal_deadline=10, final_deadline=10)
    for now in (0, 10, 20):
        assert not (finished.may_contribute(now))
        assert not (finished.may_reveal(now))
        assert not (finished.may_claim(now))
        assert not (finished.may_reopen(now))
        assert not (finished.may_finalize(now))


def test_a_rejected_worker_never_contributes_again() -> None:
    assert not CONTRIBUTION_TRANSITIONS[ContributionStatus.REJECTED]
    assert set(CONTRIBUTION_TRANSITIONS) == set(ContributionStatus)
    assert set(TASK_TRANSITIONS) == set(TaskStatus)
