"""What the scheduler has learned of how long tasks take, and what it expects of those to come.

Nothing of it is stored: after a start it is learned again from the tasks that were completed last.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import anyio
from anyio import to_thread
from msgspec.structs import replace

from pyiexec.foundation.clock import Clock
from pyiexec.foundation.database import Database
from pyiexec.protocol.primitives import Address, TaskId
from pyiexec.protocol.replicates import ReplicateStatus
from pyiexec.protocol.tasks import TaskStatus
from pyiexec.protocol.workflow import Phase
from pyiexec.scheduler.engine import Engine
from pyiexec.scheduler.forecast import Experience, Forecast, Span, WorkKey, in_line, schedule
from pyiexec.scheduler.rules import Policy
from pyiexec.scheduler.state import StatusChange, TaskState
from pyiexec.scheduler.store import newest_completed
from pyiexec.scheduler.timers import ChainTime
from pyiexec.scheduler.workload import key_of, running, slots_of, waiting

#: Tasks completed last from which is learned after a start.
LEARN_FROM = 512
#: Kinds of work remembered.
MOST_KINDS = 4_096
#: For so long the line is not computed anew, however often somebody asks.
FRESH_SECONDS = 0.5


class _Line(NamedTuple):
    """Where the waiting tasks stand, and when each is begun and done by the three estimates."""

    made_at: float
    places: Mapping[TaskId, int]
    moments: tuple[list[tuple[float, float]], ...]


class Outlook:
    """Learns from an engine's tasks and tells what to expect of them."""

    def __init__(self, *, engine: Engine, policy: Policy, chain_time: ChainTime, clock: Clock) -> None:
        self._engine = engine
        self._policy = policy
        self._chain_time = chain_time
        self._clock = clock
        self._experiences: OrderedDict[WorkKey, Experience] = OrderedDict()
        self._last_seen: TaskId | None = None
        self._line: _Line | None = None
        self._making = anyio.Lock()

    async def remember(self, database: Database) -> None:
        """Learn from what was completed before this process began."""
        for state in reversed(await database.read(lambda connection: newest_completed(connection, LEARN_FROM))):
            self._learn(state)

    async def of(self, state: TaskState) -> Forecast | None:
        """What to expect of a task; None when nothing is to come."""
        if state.settled or state.given_up:
            return None
        self._catch_up()
        experience = self._experiences.get(key_of(state), Experience())
        timeref = state.chain.timeref
        line = await self._line_now()
        place = line.places.get(state.task_id)
        rest = experience.rest_span(timeref)
        if place is not None and not line.moments:
            return _unknown(place + 1, experience)
        if place is not None:
            low, mean, high = (moments[place] for moments in line.moments)
            starts_by, done = high[0], Span(low[1], mean[1], high[1])
        else:
            starts_by = float(max((r.assigned_at for r in state.replicates), default=self._chain_time.now()))
            done = self._done(state, experience.work_span(timeref))
        return Forecast(
            position=0 if place is None else place + 1,
            starts_by=round(starts_by),
            eta=round(done.mean + rest.mean),
            earliest=int(done.low + rest.low),
            latest=int(done.high + rest.high) + 1,
            observed=experience.work.count,
            late=place is not None and done.mean > state.chain.contribution_deadline,
        )

    def _done(self, state: TaskState, work: Span) -> Span:
        """When the workers that a task has are done, which they may be already."""
        now = self._chain_time.now()
        computed = [at for r in state.replicates if (at := _computed_at(r.history)) is not None]
        open_since = [slot.since for slot in running([state])]
        if not open_since:
            over = float(max(computed, default=now))
            return Span(over, over, over)
        begun = max(open_since)
        return Span(*(max(begun + seconds, float(now)) for seconds in work))

    # --- the line -----------------------------------------------------------------------------------------------------

    async def _line_now(self) -> _Line:
        async with self._making:
            at = self._clock.monotonic()
            if self._line is None or at >= self._line.made_at + FRESH_SECONDS:
                # Of ten thousand tasks it takes a good part of a tenth of a second, in which workers are served.
                states = [tracked.state for tracked in self._engine.tasks.values()]
                make = partial(
                    _make_line,
                    states,
                    busy=dict(self._engine.crew.busy),
                    slots=slots_of(self._engine.crew),
                    experiences=dict(self._experiences),
                    policy=self._policy,
                    now=self._chain_time.now(),
                )
                self._line = _Line(at, *await to_thread.run_sync(make))
            return self._line

    # --- learning -----------------------------------------------------------------------------------------------------

    def _catch_up(self) -> None:
        """Learn from what was settled since the last time."""
        fresh = []
        for task_id, tracked in reversed(self._engine.recent.items()):
            if task_id == self._last_seen:
                break
            fresh.append(tracked.state)
        for state in reversed(fresh):
            self._learn(state)
            self._last_seen = state.task_id

    def _learn(self, state: TaskState) -> None:
        key = key_of(state)
        learned = learn(self._experiences.get(key, Experience()), state)
        if learned is not None:
            self._experiences[key] = learned
            self._experiences.move_to_end(key)
            if len(self._experiences) > MOST_KINDS:
                self._experiences.popitem(last=False)


def _make_line(
    states: Sequence[TaskState],
    *,
    busy: Mapping[Address, int],
    slots: int,
    experiences: Mapping[WorkKey, Experience],
    policy: Policy,
    now: int,
) -> tuple[dict[TaskId, int], tuple[list[tuple[float, float]], ...]]:
    """Places, and moments by each estimate; without slots no moments."""
    line = in_line(waiting(states, now, policy), busy)
    places = {task.task_id: place for place, task in enumerate(line)}
    if not slots:
        return places, ()
    occupied = list(running(states))
    kinds = {task.key for task in line} | {slot.key for slot in occupied}
    spans = {key: experiences.get(key, Experience()).work_span(key[1]) for key in kinds}
    moments = tuple(
        schedule(line, occupied, slots, {key: span[which] for key, span in spans.items()}.__getitem__, now)
        for which in range(3)
    )
    return places, moments


def learn(experience: Experience, state: TaskState) -> Experience | None:
    """The experience enriched by a task; None when it teaches nothing."""
    if state.chain.status is not TaskStatus.COMPLETED:
        return None
    work, last = experience.work, None
    for replicate in state.replicates:
        done = _computed_at(replicate.history)
        if done is not None:
            work = work.observe(max(done - replicate.assigned_at, 0))
            last = done if last is None else max(last, done)
    completed = next((change.date for change in reversed(state.dates) if change.status == Phase.COMPLETED), None)
    if last is None or completed is None:
        return None
    return replace(experience, work=work, rest=experience.rest.observe(max(completed - last, 0)))


def _computed_at(history: Iterable[StatusChange]) -> int | None:
    return next((change.date for change in history if change.status == ReplicateStatus.COMPUTED), None)


def _unknown(position: int, experience: Experience) -> Forecast:
    """Of a task in a pool without workers only its place is known."""
    return Forecast(
        position=position,
        starts_by=None,
        eta=None,
        earliest=None,
        latest=None,
        observed=experience.work.count,
        late=False,
    )
