"""What a task waits for follows from where it stands."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pyiexec.protocol.expectations import Expectation, awaited
from pyiexec.protocol.primitives import checksum
from pyiexec.protocol.tasks import Task, TaskStatus
from pyiexec.protocol.workflow import Phase, from_chain

VOTER = checksum(bytes(19) + b"\x07")
OPEN = Task(status=TaskStatus.ACTIVE, contribution_deadline=700, final_deadline=1000)
AGREED = replace(OPEN, status=TaskStatus.REVEALING, reveal_deadline=600, winner_counter=2, contributors=(VOTER,))


def code_of(task: Task, now: int, **known: bool) -> Expectation | None:
    found = awaited(from_chain(task, now, **known).phase, task)
    return found and found.code


@pytest.mark.parametrize(
    ("task", "now", "code", "until"),
    [
        (replace(OPEN, status=TaskStatus.UNSET), 10, "OPENING", 700),
        (OPEN, 10, "VOTES", 700),
        (OPEN, 700, "REFUND", 1000),
        (AGREED, 10, "REVEALS", 600),
        (replace(AGREED, reveal_counter=1), 600, "UPLOAD", 1000),
        (replace(AGREED, reveal_counter=2), 10, "UPLOAD", 1000),
        (AGREED, 1000, "REFUND", 1000),
    ],
)
def test_each_state_waits_for_one_thing_until_one_deadline(task: Task, now: int, code: str, until: int) -> None:
    found = awaited(from_chain(task, now).phase, task)
    assert found is not None
    assert (found.code, found.until) == (code, until)


def test_with_the_result_in_the_store_the_settlement_is_awaited() -> None:
    assert code_of(replace(AGREED, reveal_counter=2), 10, uploaded=True) is Expectation.FINALIZATION


@pytest.mark.parametrize("status", [TaskStatus.COMPLETED, TaskStatus.FAILED])
def test_what_is_settled_waits_for_nothing(status: TaskStatus) -> None:
    assert code_of(replace(OPEN, status=status), 10) is None


def test_what_follows_a_missed_reveal_depends_on_the_time_left_and_on_who_has_revealed() -> None:
    def then(task: Task) -> str:
        found = awaited(Phase.CONSENSUS, task)
        assert found is not None
        return found.then

    assert "other workers" in then(AGREED)
    assert "fails" in then(replace(AGREED, reveal_deadline=700))
    assert "goes on" in then(replace(AGREED, reveal_deadline=700, reveal_counter=1))


def test_what_keeps_votes_from_coming_is_named() -> None:
    for missing in (Expectation.ENCLAVE, Expectation.WORKER):
        found = awaited(Phase.RUNNING, OPEN, instead_of_votes=missing)
        assert found is not None
        assert found.code is missing
        assert "votes" not in found.what


@given(
    st.sampled_from([TaskStatus.UNSET, TaskStatus.ACTIVE, TaskStatus.REVEALING]),
    st.integers(0, 3),
    st.integers(0, 3),
    st.integers(0, 1200),
    st.booleans(),
)
def test_whatever_is_not_settled_waits_for_something_before_its_final_deadline(
    status: TaskStatus, revealed: int, agreed: int, now: int, uploaded: bool
) -> None:
    task = replace(AGREED, status=status, reveal_counter=min(revealed, agreed), winner_counter=agreed)
    found = awaited(from_chain(task, now, uploaded=uploaded).phase, task)
    assert found is not None
    assert found.until <= task.final_deadline
