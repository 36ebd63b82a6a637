"""When a task that waits for slow workers alone is given to one more."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.scheduler.model import START, TIMEREF, World, address, fresh, report, result

from pyiexec.protocol.replicates import ReplicateStatus as S
from pyiexec.protocol.tasks import TaskStatus
from pyiexec.protocol.workflow import Phase
from pyiexec.scheduler import commands as c
from pyiexec.scheduler import events as e
from pyiexec.scheduler.rules import Policy, decide, wake_at
from pyiexec.scheduler.state import TaskState

A, B, C, D, E = (address(number) for number in range(5))
RIGHT = result("right")
POLICY = Policy(hedge_factor=3.0, hedge_floor=10)


def at(state: TaskState, seconds: int, *events: e.Event, policy: Policy = POLICY) -> tuple[TaskState, list[c.Command]]:
    """What follows `seconds` after the start."""
    decision = decide(state, events, now=START + seconds, candidates=9, policy=policy)
    return decision.state, decision.commands


def waiting_for_c(*, took: int = 8) -> TaskState:
    """Trust 5 takes three newcomers: A and B have voted after so many seconds, C has not."""
    state, _ = at(fresh(5), 0, e.Initialized(), *(e.Assigned(worker, 2) for worker in (A, B, C)))
    state, commands = at(state, took, e.Contributed(A, RIGHT, 2), e.Contributed(B, RIGHT, 2))
    assert commands == []
    return state


def test_one_more_is_asked_once_the_last_has_taken_several_times_as_long_as_the_others() -> None:
    state = waiting_for_c(took=8)
    assert wake_at(state, START + 8, POLICY) == START + 24
    assert at(state, 23)[1] == []
    assert at(state, 24)[1] == [c.AssignHedge()]


def test_it_is_given_some_time_however_quick_the_others_were() -> None:
    state = waiting_for_c(took=1)
    assert at(state, 9)[1] == []
    assert at(state, 10)[1] == [c.AssignHedge()]


def test_one_at_a_time_is_asked_and_the_next_when_that_one_has_failed() -> None:
    state, commands = at(waiting_for_c(), 24, e.Assigned(D, 2, hedge=True))
    assert commands == []
    assert state.find(D).history[0].reason == "HEDGED"  # type: ignore[union-attr]
    assert at(state, 80)[1] == []
    assert at(state, 80, report(D, S.FAILED, cause="STAKE_TOO_LOW"))[1] == [c.AssignHedge()]


def test_whoever_comes_first_completes_the_vote_and_the_other_is_sent_home() -> None:
    state, _ = at(waiting_for_c(), 24, e.Assigned(D, 2, hedge=True))
    _, commands = at(state, 30, e.Contributed(D, RIGHT, 2), e.ConsensusReached(RIGHT, START + 3 * TIMEREF))
    assert [command.worker for command in commands if isinstance(command, c.SendAbort)] == [C]
    assert {command.worker for command in commands if isinstance(command, c.SendReveal)} == {A, B, D}


def test_nobody_is_added_while_some_may_still_be_in_time() -> None:
    state = waiting_for_c()
    # C is late, but E has only just begun.
    state, _ = at(state, 20, e.Assigned(E, 2))
    assert at(state, 30)[1] == []
    assert at(state, 44)[1] == [c.AssignHedge()]


def test_two_votes_say_too_little_of_three_that_are_under_way() -> None:
    workers = [address(number) for number in range(5)]
    state, _ = at(fresh(20), 0, e.Initialized(), *(e.Assigned(worker, 2) for worker in workers))
    state, _ = at(state, 8, *(e.Contributed(worker, RIGHT, 2) for worker in workers[:2]))
    assert at(state, 99)[1] == []
    state, _ = at(state, 9, e.Contributed(workers[2], RIGHT, 2))
    assert at(state, 99)[1] == [c.AssignHedge()]


def test_a_worker_that_is_lost_or_overdue_is_replaced_and_not_hedged() -> None:
    assert at(waiting_for_c(), 24, e.WorkerLost(C))[1] == [c.AssignReplicas(1)]
    assert at(waiting_for_c(), TIMEREF + POLICY.patience)[1] == [c.AssignReplicas(1)]


@pytest.mark.parametrize("policy", [Policy(hedge_factor=0), Policy(hedge_factor=99.0)])
def test_the_manager_may_want_it_seldom_or_never(policy: Policy) -> None:
    assert at(waiting_for_c(), 90, policy=policy)[1] == []


def test_a_single_worker_has_no_fellows_to_be_compared_with() -> None:
    state, _ = at(fresh(1), 0, e.Initialized(), e.Assigned(A, 2))
    assert at(state, 99)[1] == []


def test_whoever_votes_without_having_been_given_the_task_in_our_memory_says_nothing_of_how_long_it_takes() -> None:
    state, _ = at(fresh(3), 0, e.Initialized(), e.Assigned(C, 2), e.Contributed(A, RIGHT, 2))
    assert at(state, 99)[1] == []


def test_a_hedge_survives_storage_and_states_stored_before_there_were_any_are_read() -> None:
    state, _ = at(waiting_for_c(), 24, e.Assigned(D, 2, hedge=True))
    stored = msgspec.json.encode(state)
    assert msgspec.json.decode(stored, type=TaskState) == state
    raw = msgspec.json.decode(stored)
    for replicate in raw["replicates"]:
        del replicate["hedge"]
    del raw["needs"], raw["dataset_checksum"]
    former = msgspec.json.decode(msgspec.json.encode(raw), type=TaskState)
    assert [replicate.hedge for replicate in former.replicates] == [False] * 4


@settings(max_examples=100, deadline=None)
@given(
    st.sampled_from([2, 3, 5, 10, 17]), st.lists(st.sampled_from(["good", "good", "slow"]), max_size=9), st.integers(0)
)
def test_slow_workers_keep_no_task_from_its_end(trust: int, crew: list[str], seed: int) -> None:
    world = World(fresh(trust), [*crew, *["good"] * 8], seed)
    world.run()
    assert world.state.phase is Phase.COMPLETED
    assert world.task.status is TaskStatus.COMPLETED
    assert len(set(world.assigned)) == len(world.assigned)
    if "slow" not in crew:
        assert world.hedges == 0


def test_hedges_are_among_these_histories() -> None:
    worlds = [World(fresh(5), ["good", "good", "slow", "good"], seed) for seed in range(20)]
    for world in worlds:
        world.run()
    assert any(world.hedges for world in worlds)
