"""What ended and how long it took is counted once, and only what this process has seen."""

from __future__ import annotations

from itertools import pairwise

from msgspec.structs import replace
from tests.unit.scheduler.model import address

from pyiexec.protocol.primitives import DealId, TaskId, bytes32
from pyiexec.protocol.replicates import ReplicateStatus
from pyiexec.protocol.tasks import Task, TaskStatus
from pyiexec.protocol.workflow import Phase
from pyiexec.scheduler.state import Replicate, StatusChange, TaskState
from pyiexec.scheduler.store import Stored
from pyiexec.scheduler.tally import Tally

DEAL = DealId(bytes32(1))
NEW = TaskState(
    task_id=TaskId(bytes32(2)),
    deal_id=DEAL,
    index=0,
    requester=address(1),
    app_checksum="",
    trust=1,
    callback=False,
    single=True,
    chain=Task(deal_id=DEAL, index=0, timeref=60, contribution_deadline=600, final_deadline=900),
    dates=(StatusChange(Phase.RECEIVED, 100),),
)


def at(state: TaskState, phase: Phase, date: int, status: TaskStatus = TaskStatus.ACTIVE) -> TaskState:
    return replace(
        state, phase=phase, dates=(*state.dates, StatusChange(phase, date)), chain=replace(state.chain, status=status)
    )


def with_replicate(state: TaskState, status: ReplicateStatus, *, lost: bool = False) -> TaskState:
    return state.put(Replicate(worker=address(9), weight=2, assigned_at=0, reported_at=0, status=status, lost=lost))


def tally() -> Tally:
    return Tally(Stored(deals={}, unread=[], tasks=[], members=[], phases={}, newest_deal_block=0))


def test_the_time_in_each_phase_and_from_the_deal_to_the_end_is_told() -> None:
    counts, phases, ends = tally(), list[tuple[Phase, int]](), list[tuple[Phase, int]]()
    counts.on_phase = lambda phase, seconds: phases.append((phase, seconds))
    counts.on_end = lambda phase, seconds: ends.append((phase, seconds))
    running = at(NEW, Phase.RUNNING, 103)
    done = at(running, Phase.COMPLETED, 110, TaskStatus.COMPLETED)
    for before, after in ((None, NEW), (NEW, running), (running, running), (running, done)):
        counts.followed(before, after)
    assert phases == [(Phase.RECEIVED, 3), (Phase.RUNNING, 7)]
    assert ends == [(Phase.COMPLETED, 10)]
    assert counts.phases[Phase.COMPLETED] == 1
    assert counts.phases.total() == 1


def test_a_replicate_counts_once_when_it_ends_and_each_time_it_is_lost() -> None:
    counts = tally()
    created = with_replicate(NEW, ReplicateStatus.CREATED)
    lost = with_replicate(NEW, ReplicateStatus.CREATED, lost=True)
    failed = with_replicate(NEW, ReplicateStatus.FAILED)
    story = [NEW, created, lost, lost, created, lost, failed, failed]
    for before, after in pairwise(story):
        counts.followed(before, after)
    assert counts.replicates == {"COMPLETED": 0, "FAILED": 1, "ABORTED": 0, "WORKER_LOST": 2}
