"""When a task that waits for slow workers alone is given to one more, pure.

How long a task takes shows by those who have voted. One replicate that takes several times as long is usually on a
machine in trouble that still says that it is there; the others of the task wait for it. Times are seconds of chain
time.

Source: J. Dean, L. Barroso, "The Tail at Scale", 2013: hedged requests.
"""

from __future__ import annotations

import math
from collections.abc import Collection

from msgspec.structs import replace

from pyiexec.protocol.replicates import ON_CHAIN, ReplicateStatus
from pyiexec.scheduler.state import Replicate, TaskState


def hedge_at(state: TaskState, pending: Collection[Replicate], *, factor: float, floor: int) -> int | None:
    """From when on one more worker is asked; None while there is no reason to.

    Args:
        pending: replicates of the task that are still expected to vote.
        factor: how many times as long as the slowest of the others a replicate must have taken; 0 for never.
        floor: seconds that it must have taken at least.
    """
    if not factor or not pending or any(replicate.hedge for replicate in pending):
        return None
    durations = [duration for replicate in state.replicates if (duration := _duration(replicate)) is not None]
    # What two or three replicates have shown says little of many that are still under way.
    if len(durations) < len(pending):
        return None
    patience = max(math.ceil(factor * max(durations)), floor)
    return max(replicate.assigned_at for replicate in pending) + patience


def voters_only(state: TaskState) -> TaskState:
    """The task as if it waited for nobody."""
    return replace(state, replicates=tuple(replicate for replicate in state.replicates if replicate.voted))


def _duration(replicate: Replicate) -> int | None:
    """How long a worker took until its vote; None without one, or when it is not known when it was given the task."""
    if not replicate.voted or not replicate.history or replicate.history[0].status != ReplicateStatus.CREATED:
        return None
    return next(
        (change.date - replicate.assigned_at for change in replicate.history if change.status in ON_CHAIN), None
    )
