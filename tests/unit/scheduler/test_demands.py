"""Who of the tasks that ask for workers is given them."""

from __future__ import annotations

import random

import pytest
from msgspec.structs import replace
from tests.unit.scheduler.model import START, address, fresh, result

from pyiexec.protocol.messages import Capabilities
from pyiexec.protocol.primitives import Address, TaskId, bytes32
from pyiexec.scheduler import commands as c
from pyiexec.scheduler import events as e
from pyiexec.scheduler.channel import LiveSession
from pyiexec.scheduler.crew import Crew
from pyiexec.scheduler.demands import Demands
from pyiexec.scheduler.requirements import Needs
from pyiexec.scheduler.rules import Policy, decide
from pyiexec.scheduler.state import TaskState

POLICY = Policy(hedge_floor=10)
A, B, C, D, E = (address(number) for number in range(5))
RIGHT = result("right")


class Board:
    """Some tasks and workers, and who was given what."""

    def __init__(self) -> None:
        self.crew, self.now = Crew(), START
        self.demands = Demands(POLICY, random.Random(0))
        self.states: dict[TaskId, TaskState] = {}
        self.given: list[tuple[TaskId, Address, bool]] = []

    def workers(self, *workers: Address, slots: int = 1, score: int = 0) -> None:
        for worker in workers:
            offer = Capabilities(slots=slots, runtimes=["wasm"])
            self.crew.enroll(self.crew.member(worker), LiveSession(), offer, score)

    def task(self, number: int, trust: int, *, needs: Needs = Needs()) -> TaskId:  # noqa: B008 - it is frozen
        state = replace(fresh(trust), task_id=TaskId(bytes32(number)), needs=needs)
        self.follow(state, e.Initialized())
        return state.task_id

    def follow(self, state: TaskState, *events: e.Event) -> TaskState:
        decision = decide(state, events, now=self.now, candidates=self.crew.candidates(state), policy=POLICY)
        self.states[state.task_id] = decision.state
        self.demands.follow(decision.state, decision.commands)
        self.crew.follow(decision.state)
        return decision.state

    def happened(self, task_id: TaskId, *events: e.Event) -> None:
        self.follow(self.states[task_id], *events)

    def match(self) -> list[tuple[TaskId, Address, bool]]:
        self.given = []
        self.demands.match(self.crew, self.now, self.states.__getitem__, self._assign)
        return self.given

    def _assign(self, task_id: TaskId, worker: Address, hedge: bool) -> TaskState:
        self.given.append((task_id, worker, hedge))
        state = self.follow(self.states[task_id], e.Assigned(worker, self.crew.member(worker).weight, hedge))
        self.demands.satisfied(task_id)
        return state


@pytest.fixture
def board() -> Board:
    """A task of three workers, of which two have voted soon; the third takes its time."""
    board = Board()
    board.workers(A, B, C)
    slow = board.task(1, trust=5)
    given = board.match()
    assert [hedge for _, _, hedge in given] == [False] * 3
    board.now = START + 2
    board.happened(slow, *(e.Contributed(worker, RIGHT, 2) for _, worker, _ in given[:2]))
    for _, worker, _ in given[:2]:
        # What became of the others is told by their reports, which free their slots; here they go.
        board.crew.lose(board.crew.member(worker))
    board.now = START + 20
    board.happened(slow, e.Ticked())
    return board


def test_an_idle_worker_that_nobody_else_wants_is_a_hedge_and_only_one_is(board: Board) -> None:
    board.workers(D, E)
    (given,) = board.match()
    assert given == (TaskId(bytes32(1)), given[1], True)
    assert given[1] in (D, E)
    assert board.match() == []


def test_a_task_that_misses_a_worker_goes_first(board: Board) -> None:
    other = board.task(2, trust=2)
    board.workers(D)
    assert board.match() == [(other, D, False)]
    board.workers(E)
    assert board.match() == [(TaskId(bytes32(1)), E, True)]


def test_one_that_misses_what_the_idle_worker_has_not_keeps_it_from_nobody(board: Board) -> None:
    board.task(2, trust=2, needs=Needs(gpu=True))
    board.workers(D)
    assert board.match() == [(TaskId(bytes32(1)), D, True)]


def test_a_worker_whose_vote_alone_would_do_is_the_better_hedge() -> None:
    board = Board()
    task_id = board.task(7, trust=50)
    light, heavy = [address(number) for number in (10, 11, 12)], address(13)
    board.happened(task_id, *(e.Assigned(worker, 2) for worker in light), e.Assigned(heavy, 40))
    board.happened(task_id, *(e.Contributed(worker, RIGHT, 2) for worker in light))
    board.now += 20
    board.happened(task_id, e.Ticked())
    board.workers(D)
    board.workers(E, score=300)
    # The three stand at 8/9: what is missing of 49/50 a vote of E's brings, and one of D's does not.
    assert board.match() == [(task_id, E, True)]


def test_a_task_that_asks_for_nobody_any_more_is_given_to_nobody(board: Board) -> None:
    board.happened(TaskId(bytes32(1)), e.ConsensusReached(RIGHT, START + 300))
    board.workers(D)
    assert board.match() == []
    assert board.demands.missing() == []


def test_the_commands_of_a_step_say_who_asks() -> None:
    board = Board()
    state = fresh(5)
    board.demands.follow(state, [c.AssignReplicas(2)])
    assert board.demands.missing() == [state.task_id]
    board.demands.follow(state, [c.AssignHedge()])
    assert board.demands.missing() == []
