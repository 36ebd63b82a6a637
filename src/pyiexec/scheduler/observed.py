"""What a scheduler shows of itself."""

from __future__ import annotations

from collections import Counter

from pyiexec.chain.observed import STAKE
from pyiexec.foundation.metrics import MINUTES, counter, gauge, histogram
from pyiexec.foundation.observation import Observation
from pyiexec.protocol.workflow import Phase
from pyiexec.scheduler.engine import Engine
from pyiexec.scheduler.followers import Followers
from pyiexec.scheduler.stakes import Stakes

TASKS = gauge("scheduler_tasks", "tasks ever known, by phase", "phase")
WAITING = gauge("scheduler_tasks_waiting", "tasks that need more workers than are free")
DEALS = counter("scheduler_deals_total", "deals ever made with the pool")
WORKERS = gauge("scheduler_workers", "workers: in reach, and of those connected at present", "state")
SLOTS = gauge("scheduler_slots", "slots of the workers in reach: free and busy", "state")
REPLICATES = counter(
    "scheduler_replicates_total", "replicates that ended, by outcome; a worker lost may come back", "outcome"
)
STREAMS = gauge("scheduler_streams", "streams of events and logs open")
PHASE_SECONDS = histogram(
    "scheduler_phase_duration_seconds", "chain time that a task spent in a phase", "phase", buckets=MINUTES
)
TASK_SECONDS = histogram(
    "scheduler_task_duration_seconds", "chain time from a task's deal to its end on chain", "outcome", buckets=MINUTES
)


def observe_scheduler(observation: Observation, engine: Engine, followers: Followers, stakes: Stakes) -> None:
    """Show a scheduler's work."""
    metrics, tally = observation.metrics, engine.tally
    metrics.watch(TASKS, lambda: {str(phase): tally.phases[phase] for phase in Phase})
    metrics.watch(WAITING, lambda: engine.waiting)
    metrics.watch(DEALS, lambda: tally.deals)
    metrics.watch(REPLICATES, lambda: tally.replicates)
    metrics.watch(STREAMS, lambda: followers.count)
    metrics.watch(WORKERS, lambda: _workers(engine))
    metrics.watch(SLOTS, lambda: _slots(engine))
    metrics.watch(STAKE, lambda: _stake(stakes))
    in_phase, until_end = metrics.histogram(PHASE_SECONDS), metrics.histogram(TASK_SECONDS)
    tally.on_phase = lambda phase, seconds: in_phase.labels(str(phase)).observe(seconds)
    tally.on_end = lambda phase, seconds: until_end.labels(str(phase)).observe(seconds)


def _workers(engine: Engine) -> dict[str, int]:
    found = Counter(in_reach=0, connected=0)
    for member in engine.crew.in_reach():
        found["in_reach"] += 1
        found["connected"] += member.session is not None
    return found


def _slots(engine: Engine) -> dict[str, int]:
    found = Counter(free=0, busy=0)
    for member in engine.crew.in_reach():
        found["busy"] += len(member.computing)
        found["free"] += max(member.slots - len(member.computing), 0)
    return found


def _stake(stakes: Stakes) -> dict[str, int] | None:
    stake = stakes.latest
    if stake is None:
        return None
    return {"free": stake.free, "locked": stake.locked, "needed": stake.needed, "short": stake.short}
