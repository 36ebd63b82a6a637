"""Estimates: a place in the line, and when a task is begun and done."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.unit.scheduler.model import START, TIMEREF, address, fresh, report, result

from pyiexec.protocol.primitives import Address, TaskId, bytes32
from pyiexec.protocol.replicates import ReplicateStatus
from pyiexec.scheduler import events as e
from pyiexec.scheduler.forecast import Experience, Figure, Running, Waiting, WorkKey, in_line, schedule
from pyiexec.scheduler.outlook import learn
from pyiexec.scheduler.rules import Policy, decide
from pyiexec.scheduler.state import TaskState
from pyiexec.scheduler.views import task_view
from pyiexec.scheduler.workload import running, waiting, workers_missing

S = ReplicateStatus
ALICE, BOB, CAROL = address(1), address(2), address(3)
KEY = ("0xapp", TIMEREF)
NOW = 5_000


def task(number: int, requester: Address = ALICE, deadline: int = NOW + 100, workers: int = 1) -> Waiting:
    return Waiting(TaskId(bytes32(number)), requester, deadline, KEY, workers)


def numbers(line: list[Waiting]) -> list[int]:
    return [int(each.task_id, 16) for each in line]


def test_one_requesters_tasks_stand_by_deadline_and_then_as_they_came() -> None:
    tasks = [task(1, deadline=NOW + 50), task(2, deadline=NOW + 9), task(3, deadline=NOW + 50)]
    assert numbers(in_line(tasks, {})) == [2, 1, 3]


def test_requesters_take_turns_and_who_occupies_slots_already_waits_for_the_others() -> None:
    tasks = [task(1), task(2), task(3), task(11, BOB), task(12, BOB)]
    assert numbers(in_line(tasks, {})) == [1, 11, 2, 12, 3]
    assert numbers(in_line(tasks, {ALICE: 2})) == [11, 12, 1, 2, 3]


def test_tasks_begin_as_slots_become_free() -> None:
    line = [task(1), task(2), task(3, workers=2)]
    moments = schedule(line, [Running(KEY, NOW - 4)], 2, lambda _key: 10.0, NOW)
    assert moments == [(NOW, NOW + 10), (NOW + 6, NOW + 16), (NOW + 16, NOW + 26)]


def test_work_that_takes_longer_than_expected_is_expected_to_end_any_moment() -> None:
    assert schedule([task(1)], [Running(KEY, NOW - 40)], 1, lambda _key: 10.0, NOW) == [(NOW, NOW + 10)]


LINES = st.lists(
    st.tuples(st.sampled_from([ALICE, BOB, CAROL]), st.integers(0, 5), st.integers(1, 3), st.sampled_from("xyz")),
    min_size=1,
    max_size=12,
).map(
    lambda found: [
        Waiting(TaskId(bytes32(number)), who, NOW + deadline, (app, TIMEREF), workers)
        for number, (who, deadline, workers, app) in enumerate(found)
    ]
)
BUSY = st.dictionaries(st.sampled_from([ALICE, BOB, CAROL]), st.integers(0, 4))
RUNNING = st.lists(st.tuples(st.sampled_from("xyz"), st.integers(0, 9)), max_size=5).map(
    lambda found: [Running((app, TIMEREF), NOW - since) for app, since in found]
)
SECONDS = {"x": 1.0, "y": 4.0, "z": 9.5}


def seconds(key: WorkKey) -> float:
    return SECONDS[key[0]]


@given(LINES, BUSY)
def test_everybody_has_one_place(tasks: list[Waiting], busy: dict[Address, int]) -> None:
    assert sorted(in_line(tasks, busy)) == sorted(tasks)


@given(LINES, BUSY, st.data())
def test_nobody_falls_back_when_another_is_served_or_leaves(
    tasks: list[Waiting], busy: dict[Address, int], data: st.DataObject
) -> None:
    line = in_line(tasks, busy)
    served = line[0]
    after = in_line(
        [each for each in tasks if each != served], {**busy, served.requester: busy.get(served.requester, 0) + 1}
    )
    for each in after:
        assert after.index(each) < line.index(each)
    gone = data.draw(st.sampled_from(tasks))
    without = in_line([each for each in tasks if each != gone], busy)
    for each in without:
        assert without.index(each) <= line.index(each)


@given(LINES, RUNNING, st.integers(1, 6), st.data())
def test_whoever_comes_before_a_task_makes_it_no_earlier(
    tasks: list[Waiting], busy: list[Running], slots: int, data: st.DataObject
) -> None:
    *others, last = tasks
    place = data.draw(st.integers(0, len(others)))
    newcomer = Waiting(TaskId(bytes32(999)), BOB, NOW, (data.draw(st.sampled_from("xyz")), TIMEREF), 1)
    before = schedule([*others, last], busy, slots, seconds, NOW)[-1]
    longer = schedule([*others[:place], newcomer, *others[place:], last], busy, slots, seconds, NOW)[-1]
    assert longer[0] >= before[0]
    assert longer[1] >= before[1]


@given(LINES, RUNNING, st.integers(1, 6))
def test_more_slots_and_quicker_work_make_nobody_later(tasks: list[Waiting], busy: list[Running], slots: int) -> None:
    now = schedule(tasks, busy, slots, seconds, NOW)
    more = schedule(tasks, busy, slots + 1, seconds, NOW)
    quicker = schedule(tasks, busy, slots, lambda key: seconds(key) / 2, NOW)
    assert all(a[0] <= b[0] for a, b in zip(more, now, strict=True))
    assert all(a[0] <= b[0] for a, b in zip(quicker, now, strict=True))


@given(LINES, RUNNING, st.integers(1, 6))
def test_no_slot_is_given_twice(tasks: list[Waiting], busy: list[Running], slots: int) -> None:
    moments = schedule(tasks, busy, slots, seconds, NOW)
    work = sum(each.workers * seconds(each.key) for each in tasks)
    assert max(done for _, done in moments) >= NOW + work / max(slots, len(busy), 1)


def test_what_was_never_seen_may_take_all_that_the_category_allows() -> None:
    assert Experience().work_span(60) == (0.0, 30.0, 60.0)


@given(st.lists(st.floats(0, 1_000), min_size=1, max_size=40))
def test_an_estimate_lies_between_its_bounds_and_within_what_was_seen(values: list[float]) -> None:
    figure = Figure()
    for value in values:
        figure = figure.observe(value)
    low, mean, high = figure.span()
    assert 0 <= low <= mean + 1e-9 <= high
    assert min(values) - 1e-6 <= mean <= max(values) + 1e-6
    assert figure.count == len(values)


def test_what_tasks_took_long_ago_is_forgotten() -> None:
    figure = Figure()
    for value in [100.0] * 50 + [2.0] * 200:
        figure = figure.observe(value)
    assert figure.span().high < 5


def completed() -> TaskState:
    """A task given to a worker at 1,010, computed at 1,017 and completed at 1,020."""
    state = fresh(2)
    worker = address(7)
    steps: list[tuple[int, e.Event]] = [
        (1_005, e.Initialized(1)),
        (1_010, e.Assigned(worker, 2)),
        (1_011, report(worker, S.STARTED)),
        (1_017, report(worker, S.COMPUTED)),
        (1_018, e.Contributed(worker, result("right"), 2)),
        (1_018, e.ConsensusReached(result("right"), 1_100)),
        (1_020, e.Finalized(b"link")),
    ]
    for now, event in steps:
        state = decide(state, [event], now=now, candidates=0).state
    return state


def test_a_completed_task_teaches_how_long_work_and_the_rest_take() -> None:
    learned = learn(Experience(), completed())
    assert learned is not None
    assert (learned.work.count, learned.work.mean, learned.rest.mean) == (1, 7.0, 3.0)


def test_a_task_that_is_not_completed_teaches_nothing() -> None:
    assert learn(Experience(), fresh(2)) is None
    refunded = decide(fresh(2), [e.Claimed()], now=START, candidates=0).state
    assert learn(Experience(), refunded) is None


@pytest.mark.parametrize(("trust", "workers"), [(1, 1), (2, 1), (5, 3)])
def test_a_task_needs_its_workers_before_it_is_opened(trust: int, workers: int) -> None:
    state = fresh(trust)
    assert workers_missing(state, START, Policy()) == workers
    opened = decide(state, [e.Initialized(1)], now=START, candidates=9).state
    assert workers_missing(opened, START, Policy()) == workers
    given_one = decide(opened, [e.Assigned(address(7), 2)], now=START, candidates=9).state
    assert workers_missing(given_one, START, Policy()) == workers - 1
    assert [slot.since for slot in running([given_one])] == [START]


def test_what_was_given_up_or_is_too_late_waits_for_nobody() -> None:
    assert list(waiting([replace(fresh(5), given_up=True)], START, Policy())) == []
    assert list(waiting([fresh(5)], fresh(5).chain.contribution_deadline, Policy())) == []


def test_a_task_without_forecast_says_so() -> None:
    assert task_view(fresh(2)).forecast is None
