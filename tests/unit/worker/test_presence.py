"""When a machine works for others: at the hours and in the state its owner allows, not at the first quiet moment."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyiexec.protocol.errors import IexecError
from pyiexec.worker.presence import (
    Mode,
    Observation,
    Obstacle,
    Policy,
    Presence,
    is_to_be_given_back,
    observe,
    obstacles,
    parse_hours,
)

#: A Monday.
MONDAY = datetime(2026, 11, 16)
QUIET = Observation(local=MONDAY, other_cpu=0.0, input_idle=10_000.0, on_battery=False)
OWNER = Policy(max_other_cpu=0.25, input_idle_seconds=180, on_battery=False, calm_seconds=30)


def at(text: str, day: int = 0) -> datetime:
    hours, minutes = text.split(":")
    return MONDAY + timedelta(days=day, hours=int(hours), minutes=int(minutes))


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("mon-fri 09:00-17:00", [at("09:00"), at("16:59", 4)], [at("08:59"), at("17:00"), at("12:00", 5)]),
        ("mon-fri 19:00-07:00", [at("19:00"), at("06:59", 1), at("06:59", 5)], [at("06:59"), at("19:00", 5)]),
        ("sat,sun 00:00-24:00", [at("00:00", 5), at("23:59", 6)], [at("23:59", 4), at("00:00", 7)]),
        ("fri-mon 12:00-13:00", [at("12:30", day) for day in (0, 4, 5, 6)], [at("12:30", day) for day in (1, 2, 3)]),
        (" Sun 23:00-01:00 ", [at("23:30", 6), at("00:30", 7)], [at("00:30", 6), at("01:00", 7)]),
    ],
)
def test_hours_cover_what_they_say(text: str, inside: list[datetime], outside: list[datetime]) -> None:
    hours = parse_hours(text)
    assert all(hours.covers(moment) for moment in inside)
    assert not any(hours.covers(moment) for moment in outside)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mon",
        "mon 9-17",
        "mon 25:00-26:00",
        "noday 09:00-10:00",
        "mon- 09:00-10:00",
        "mon,,tue 09:00-10:00",
        "mon-tue-wed 09:00-10:00",
        "mon 09:00-09:00",
        "mon 24:00-01:00",
        "mon 09:60-10:00",
        "mon 09:00-24:01",
    ],
)
def test_ill_formed_hours_are_refused_by_name(text: str) -> None:
    with pytest.raises(IexecError, match="hours") as refusal:
        parse_hours(text)
    assert refusal.value.code == "BAD_SETTINGS"


@given(st.sampled_from(["mon-fri 19:00-07:00", "tue 00:00-24:00", "sat-sun 22:30-22:00"]), st.integers(0, 7 * 1440 - 1))
def test_a_week_later_the_same_hours_hold(text: str, minute: int) -> None:
    moment = MONDAY + timedelta(minutes=minute)
    assert parse_hours(text).covers(moment) == parse_hours(text).covers(moment + timedelta(weeks=1))


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (QUIET, []),
        (replace(QUIET, other_cpu=0.25), []),
        (replace(QUIET, other_cpu=0.26), [Obstacle.PROCESSOR_BUSY]),
        (replace(QUIET, input_idle=179.0), [Obstacle.INPUT_ACTIVE]),
        (replace(QUIET, on_battery=True), [Obstacle.ON_BATTERY]),
        (Observation(local=MONDAY), []),
    ],
)
def test_each_of_the_owners_wishes_is_an_obstacle(seen: Observation, expected: list[Obstacle]) -> None:
    assert list(obstacles(OWNER, seen)) == expected


def test_a_machine_that_may_always_work_has_no_obstacles() -> None:
    busy = Observation(local=MONDAY, other_cpu=1.0, input_idle=0.0, on_battery=True)
    assert Policy().is_always
    assert not obstacles(Policy(), busy)
    assert not OWNER.is_always
    assert not replace(Policy(), hours=(parse_hours("mon 09:00-10:00"),)).is_always


def test_the_owner_gets_the_machine_at_once_and_gives_it_back_after_a_while() -> None:
    state = observe(None, OWNER, QUIET, 0)
    assert state.mode is Mode.RUN
    state = observe(state, OWNER, replace(QUIET, input_idle=1.0), 10)
    assert (state.mode, state.since, state.explain()) == (Mode.PAUSE, 10, "somebody uses the machine")
    state = observe(state, OWNER, QUIET, 20)
    assert state.mode is Mode.PAUSE
    # The calm is broken: it has to begin anew.
    state = observe(state, OWNER, replace(QUIET, other_cpu=0.9), 45)
    assert (state.mode, state.since) == (Mode.PAUSE, 10)
    state = observe(state, OWNER, QUIET, 50)
    assert observe(state, OWNER, QUIET, 79).mode is Mode.PAUSE
    state = observe(state, OWNER, QUIET, 80)
    assert (state.mode, state.since, state.explain()) == (Mode.RUN, 80, "")


def test_an_owner_may_have_running_tasks_end() -> None:
    lenient = replace(OWNER, finishes=True)
    assert observe(Presence(Mode.RUN), lenient, replace(QUIET, on_battery=True), 5).mode is Mode.FINISH


@given(st.lists(st.tuples(st.floats(0.1, 60), st.booleans()), max_size=40))
def test_it_never_works_sooner_than_the_calm_asks_for(history: list[tuple[float, bool]]) -> None:
    state, now, disturbed_at = observe(None, OWNER, QUIET, 0), 0.0, -1e9
    for pause, disturbed in history:
        now += pause
        state = observe(state, OWNER, replace(QUIET, on_battery=disturbed), now)
        if disturbed:
            disturbed_at = now
        assert (state.mode is Mode.PAUSE) or now - disturbed_at >= OWNER.calm_seconds
        assert not (disturbed and state.mode is Mode.RUN)


@pytest.mark.parametrize(
    ("paused_for", "time_left", "expected"), [(10, 1000, False), (300, 1000, True), (10, 59, True), (10, 60, False)]
)
def test_a_task_goes_back_when_it_stood_still_too_long_or_would_be_late(
    paused_for: float, time_left: float, expected: bool
) -> None:
    assert is_to_be_given_back(paused_for=paused_for, longest_pause=300, time_left=time_left, may_take=60) is expected
