"""How many of what a scheduler has seen, for whoever watches over it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from itertools import chain, repeat

from pyiexec.protocol.replicates import ReplicateStatus
from pyiexec.protocol.workflow import Phase
from pyiexec.scheduler.state import TaskState
from pyiexec.scheduler.store import Stored

#: Statuses in which a replicate has ended.
_ENDS = (ReplicateStatus.COMPLETED, ReplicateStatus.FAILED, ReplicateStatus.ABORTED)
_LOST = "WORKER_LOST"


class Tally:
    """Counts kept up from what is stored at the start.

    Attributes:
        phases: tasks by phase, settled ones included.
        deals: deals ever noticed.
        notices: notices of deals seen since the start, repeated ones left out.
        newest_deal_block: 0 before the first deal.
        replicates: those that ended since the start, by outcome; a worker may be lost and come back.
        on_phase: told when a task leaves a phase, and how many seconds of chain time it was there.
        on_end: told when a task is over, with its last phase and the seconds of chain time since its deal.
    """

    def __init__(self, stored: Stored) -> None:
        self.phases = Counter({Phase(phase): count for phase, count in stored.phases.items()})
        self.deals = len(stored.deals)
        self.notices = 0
        self.newest_deal_block = stored.newest_deal_block
        self.replicates = Counter(dict.fromkeys([*map(str, _ENDS), _LOST], 0))
        self.on_phase: Callable[[Phase, int], None] = lambda _phase, _seconds: None
        self.on_end: Callable[[Phase, int], None] = lambda _phase, _seconds: None

    def deal_noticed(self, block: int | None, *, again: bool) -> None:
        """A deal was made with the pool; `again` after a reorganisation of the chain undid it."""
        self.deals += not again
        self.notices += 1
        self.newest_deal_block = max(self.newest_deal_block, block or 0)

    def followed(self, before: TaskState | None, after: TaskState) -> None:
        """A task changed; None before it was known."""
        self.moved(None if before is None else before.phase, after.phase)
        # Replicates keep their places.
        formers = chain(before.replicates if before else (), repeat(None))
        for replicate, former in zip(after.replicates, formers, strict=False):
            if replicate is former:
                continue
            if replicate.status in _ENDS and (former is None or former.status is not replicate.status):
                self.replicates[str(replicate.status)] += 1
            if replicate.lost and not (former and former.lost):
                self.replicates[_LOST] += 1
        # What a former process saw is not counted again, nor what was read of a deal made long ago.
        if before is None or after.phase is before.phase or not before.dates or not after.dates:
            return
        now = after.dates[-1].date
        self.on_phase(before.phase, max(now - before.dates[-1].date, 0))
        if after.settled and not before.settled:
            self.on_end(after.phase, max(now - after.dates[0].date, 0))

    def moved(self, before: Phase | None, after: Phase) -> None:
        """A task went from one phase to another; None before it was known."""
        if before is not None:
            self.phases[before] -= 1
        self.phases[after] += 1
