"""How a purchase ends, from what is told of its tasks."""

from __future__ import annotations

import pytest

from pyiexec.protocol.errors import CATALOGUE, IexecError
from pyiexec.protocol.primitives import DealId, TaskId, bytes32
from pyiexec.protocol.tasks import TaskStatus
from pyiexec.sdk import Endings, Obstacle, TaskUpdate

DEAL = DealId(bytes32(9))
TASKS = [TaskId(bytes32(number)) for number in range(3)]
FINAL = 1_700_000_000
FAILED_APP = Obstacle("APP_EXITED_NON_ZERO", "the application exited with code 3", "Read its log.", final=True)
NOBODY = Obstacle("NO_WORKER", "no worker of the pool is connected", "Wait.", final=False)


def update(index: int, event: str, status: TaskStatus, obstacle: Obstacle | None = None) -> TaskUpdate:
    return TaskUpdate(TASKS[index], index, event, status, obstacle=obstacle)


def fed(*updates: TaskUpdate) -> Endings:
    endings = Endings(TASKS)
    for each in updates:
        endings.take(each)
    return endings


def is_over(endings: Endings) -> bool:
    return endings.over


def completed(index: int) -> TaskUpdate:
    return update(index, "TaskFinalize", TaskStatus.COMPLETED)


def refusal(endings: Endings) -> IexecError:
    with pytest.raises(IexecError) as refused:
        endings.raise_for_failures([DEAL], FINAL)
    return refused.value


def test_a_purchase_is_over_when_its_last_task_is() -> None:
    endings = fed(completed(2), completed(0))
    assert not is_over(endings)
    endings.take(completed(1))
    assert is_over(endings)
    assert endings.completed == TASKS
    endings.raise_for_failures([DEAL], FINAL)


def test_a_task_given_up_is_not_waited_for() -> None:
    endings = fed(completed(0), completed(1), update(2, "GivenUp", TaskStatus.ACTIVE, FAILED_APP))
    assert is_over(endings)
    assert endings.completed == TASKS[:2]
    assert [failure.task_id for failure in endings.failures] == [TASKS[2]]


def test_a_stalled_task_is_waited_for() -> None:
    assert not fed(completed(0), completed(1), update(2, "Stalled", TaskStatus.ACTIVE, NOBODY)).over


@pytest.mark.parametrize(
    "recovery", [update(2, "Resumed", TaskStatus.ACTIVE), update(2, "TaskContribute", TaskStatus.ACTIVE)]
)
def test_a_task_that_goes_on_after_all_is_waited_for_again(recovery: TaskUpdate) -> None:
    endings = fed(completed(0), completed(1), update(2, "GivenUp", TaskStatus.ACTIVE, FAILED_APP), recovery)
    assert not is_over(endings)
    endings.take(completed(2))
    assert is_over(endings)
    assert not endings.failures


def test_a_claimed_task_keeps_the_reason_it_was_given_up_for() -> None:
    endings = fed(update(0, "GivenUp", TaskStatus.ACTIVE, FAILED_APP), update(0, "TaskClaimed", TaskStatus.FAILED))
    assert endings.failures[0].code == "APP_EXITED_NON_ZERO"


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (TaskStatus.UNSET, "NO_WORKER"),
        (TaskStatus.ACTIVE, "NO_CONSENSUS"),
        (TaskStatus.REVEALING, "FINAL_DEADLINE_REACHED"),
    ],
)
def test_without_a_word_of_the_scheduler_the_chain_tells_the_reason(status: TaskStatus, code: str) -> None:
    endings = fed(*(update(index, "Deadline", status) for index in range(3)))
    assert is_over(endings)
    assert {failure.code for failure in endings.failures} == {code}


def test_the_error_has_the_commonest_cause_and_the_way_to_the_money() -> None:
    error = refusal(
        fed(
            update(0, "Stalled", TaskStatus.ACTIVE, NOBODY),
            *(update(index, "GivenUp", TaskStatus.ACTIVE, FAILED_APP) for index in (1, 2)),
            update(0, "Deadline", TaskStatus.ACTIVE),
        )
    )
    assert error.code == "APP_EXITED_NON_ZERO"
    assert error.what == "3 of 3 tasks ended without a result: the application exited with code 3"
    assert f"pyiexec deal claim {DEAL}" in error.remedy
    assert "2023-11-14 22:13:20 UTC" in error.remedy
    assert [failure["code"] for failure in error.details["failed"]] == [
        "NO_WORKER",
        "APP_EXITED_NON_ZERO",
        "APP_EXITED_NON_ZERO",
    ]


def test_a_cause_that_only_a_newer_scheduler_knows_is_passed_on_in_words() -> None:
    unheard = Obstacle("FLUX_CAPACITOR_EMPTY", "no more flux", "", final=True)
    error = refusal(fed(*(update(index, "GivenUp", TaskStatus.ACTIVE, unheard) for index in range(3))))
    assert error.code in CATALOGUE
    assert "no more flux" in error.what
