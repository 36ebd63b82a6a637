"""Who is there: counted as workers come and go, and judged only by what could be heard of them."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.unit.scheduler.model import address, fresh, report

from pyiexec.protocol import limits
from pyiexec.protocol.messages import Capabilities
from pyiexec.protocol.primitives import Address, TaskId, bytes32
from pyiexec.protocol.replicates import ReplicateStatus
from pyiexec.protocol.trust import NEWCOMER_WEIGHT
from pyiexec.scheduler import events as e
from pyiexec.scheduler.channel import DEAF_SECONDS, LiveSession, WorkerChannel
from pyiexec.scheduler.crew import MOST_CACHED, RIGHT_FOR_WRONG, Crew
from pyiexec.scheduler.inbox import Item, WorkerSilent
from pyiexec.scheduler.requirements import NOTHING_USED, Needs, lent_by, meets
from pyiexec.scheduler.rules import decide

HEARTBEAT = 2.0


@given(st.lists(st.tuples(st.sampled_from(["enroll", "expect", "lose"]), st.integers(0, 4)), max_size=30))
def test_who_is_in_reach_is_counted_as_they_come_and_go(happenings: list[tuple[str, int]]) -> None:
    crew = Crew()
    state = decide(fresh(5), [e.Assigned(address(0), NEWCOMER_WEIGHT)], now=0, candidates=1).state
    for what, number in happenings:
        member = crew.member(address(number))
        if what == "enroll":
            crew.enroll(member, LiveSession(), Capabilities(slots=2), score=0)
        elif what == "expect":
            crew.count_with(member)
        else:
            crew.lose(member)
        there = {found.worker for found in crew.in_reach()}
        assert crew.reach == len(there)
        assert crew.candidates(state) == len(there - {address(0)})


OFFERS = [
    Capabilities(runtimes=["wasm"]),
    Capabilities(runtimes=["wasm"], gpus=1),
    Capabilities(runtimes=["docker"], memory_bytes=limits.CONTAINER_BYTES),
    Capabilities(runtimes=["docker"], memory_bytes=limits.MEMORY_BYTES),
]
NEEDS = [Needs(), Needs(gpu=True), Needs(image=True)]


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["enroll", "offer", "expect", "lose", "ask", "look"]),
            st.integers(0, 3),
            st.integers(0, len(OFFERS) - 1),
        ),
        max_size=40,
    )
)
def test_workers_that_have_what_a_task_needs_are_counted_as_they_come_go_and_change(
    happenings: list[tuple[str, int, int]],
) -> None:
    crew = Crew()
    before, able_then = crew.headcount(), {needs: set[Address]() for needs in NEEDS}

    def able(needs: Needs) -> set[Address]:
        return {m.worker for m in crew.in_reach() if m.offer is None or meets(lent_by(m.offer), needs)}

    for what, number, offer in happenings:
        member = crew.member(address(number))
        if what == "enroll":
            crew.enroll(member, LiveSession(), OFFERS[offer], score=0)
        elif what == "offer" and member.in_reach:
            crew.offered(member, OFFERS[offer])
        elif what == "expect":
            crew.count_with(member)
        elif what == "lose":
            crew.lose(member)
        elif what == "ask":
            assert crew.able(NEEDS[number % 3]) == len(able(NEEDS[number % 3]))
        elif what == "look":
            before, able_then = crew.headcount(), {needs: able(needs) for needs in NEEDS}
        fewest = crew.fewest_since(before)
        for needs in before.able:
            assert crew.able(needs) == len(able(needs))
            if needs in fewest:
                assert fewest[needs] == min(len(able_then[needs]), len(able(needs)))
            else:
                assert able_then[needs] == able(needs)
                assert bool(before.reach) == bool(crew.reach)


def test_what_a_worker_fetched_for_a_task_it_holds() -> None:
    member = Crew().member(address(0))
    state = replace(fresh(), dataset_checksum="0xdata")
    for status, held in (
        (ReplicateStatus.STARTED, set()),
        (ReplicateStatus.APP_DOWNLOADED, {"0xapp"}),
        (ReplicateStatus.DATA_DOWNLOADED, {"0xapp", "0xdata"}),
    ):
        member.fetched(state, status)
        assert set(member.cached) == held
    for number in range(MOST_CACHED):
        member.fetched(replace(state, dataset_checksum=f"0x{number}"), ReplicateStatus.COMPUTED)
    # The application was used all the time, the first dataset has not been for the longest.
    assert len(member.cached) == MOST_CACHED
    assert "0xapp" in member.cached
    assert "0xdata" not in member.cached


@given(
    st.lists(
        st.tuples(st.sampled_from(["enroll", "lose", "assign", "end", "leave"]), st.integers(0, 2), st.integers(0, 3)),
        max_size=40,
    )
)
def test_free_slots_are_those_of_connected_workers_that_are_not_computing(
    happenings: list[tuple[str, int, int]],
) -> None:
    crew, states = Crew(), {number: fresh(5) for number in range(4)}
    for number in states:
        needs = Needs(gpu=number % 2 == 1)
        states[number] = replace(states[number], task_id=TaskId(bytes32(number)), needs=needs)
    for what, number, task in happenings:
        worker = address(number)
        member = crew.member(worker)
        if what == "enroll":
            crew.enroll(member, LiveSession(), Capabilities(slots=number), score=0)
        elif what == "lose":
            crew.lose(member)
        elif what == "leave":
            member.session = None
        else:
            end = report(worker, ReplicateStatus.COMPUTED)
            event = e.Assigned(worker, NEWCOMER_WEIGHT) if what == "assign" else end
            states[task] = decide(states[task], [event], now=0, candidates=9).state
            crew.follow(states[task])
        expected = {
            one.worker: one.slots - len(one.computing)
            for one in crew.members.values()
            if one.session is not None and one.in_reach and len(one.computing) < one.slots
        }
        assert {supply.worker: supply.free_slots for supply in crew.supplies()} == expected
        for one in crew.members.values():
            use = NOTHING_USED
            for state in states.values():
                if state.task_id in one.computing:
                    use = use.plus(state.needs)
            assert one.used == use


def test_tasks_that_wait_give_the_garbage_collector_nothing_to_do() -> None:
    state = decide(fresh(5), [e.Initialized(), e.Assigned(address(0), NEWCOMER_WEIGHT)], now=0, candidates=9).state
    # Each pause of a full collection would be one of every worker that waits.
    parts = (state, state.chain, *state.replicates, *state.dates, *state.replicates[0].history)
    assert not any(gc.is_tracked(part) for part in parts)


class Busy:
    """Time that passes only in sleep, of which each may take longer than it was asked to."""

    def __init__(self, extra: list[float]) -> None:
        self.time = 0.0
        self.extra = extra
        #: Set when all that was to happen has happened.
        self.ended = asyncio.Event()

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        if not self.extra:
            self.ended.set()
            await asyncio.Event().wait()
        self.time += seconds + self.extra.pop(0)


def watched(extra: list[float], *, heard_after: int) -> list[Item]:
    """What a watch that oversleeps so has to say of one worker, which is heard of after so many sleeps."""
    crew, posted = Crew(), list[Item]()
    member = crew.member(address(0))
    crew.enroll(member, LiveSession(), Capabilities(), score=0)

    class Clock(Busy):
        async def sleep(self, seconds: float) -> None:
            if len(extra) == len(given) - heard_after:
                member.heard = self.time
            await super().sleep(seconds)

    given = list(extra)
    clock = Clock(extra)
    unused: Any = None
    channel = WorkerChannel(
        chain_id=1,
        workerpool=address(1),
        allowed=(),
        crew=crew,
        score=unused,
        post=posted.append,
        on_output=unused,
        clock=clock,
        heartbeat_seconds=HEARTBEAT,
    )

    async def watch() -> None:
        task = asyncio.create_task(channel.watch())
        await clock.ended.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(watch())
    return posted


def test_a_worker_that_says_nothing_for_two_heartbeats_is_lost() -> None:
    assert watched([0.0], heard_after=9) == [WorkerSilent(address(0))]


def test_silence_while_the_scheduler_itself_was_busy_does_not_count() -> None:
    late = 2 * DEAF_SECONDS
    assert watched([5.0], heard_after=9) == []
    # What it had said is read before the watch looks again.
    assert watched([5.0, late], heard_after=1) == []


def test_nor_does_it_save_a_worker_that_stays_silent() -> None:
    assert watched([5.0, 0.0], heard_after=9) == [WorkerSilent(address(0))]


def test_a_worker_found_wrong_is_doubtful_until_it_has_been_right_often_enough() -> None:
    crew, worker = Crew(), address(1)
    member = crew.member(worker)
    assert not member.doubtful
    crew.scored(worker, accurate=False)
    for _ in range(RIGHT_FOR_WRONG):
        assert member.doubtful
        crew.scored(worker, accurate=True)
    assert not member.doubtful


def test_scores_follow_the_chain() -> None:
    crew, worker = Crew(), address(1)
    member = crew.member(worker)
    member.score = 30
    crew.scored(worker, accurate=True)
    assert (member.score, member.weight) == (31, 9)
    crew.scored(worker, accurate=False)
    assert member.score == 20
    crew.scored(address(2), accurate=True)
    assert address(2) not in crew.members
