"""How many of what a scheduler has seen, for whoever watches over it."""

from __future__ import annotations

from collections import Counter

from pyiexec.protocol.workflow import Phase
from pyiexec.scheduler.store import Stored


class Tally:
    """Counts kept up from what is stored at the start.

    Attributes:
        phases: tasks by phase, settled ones included.
        deals: deals ever noticed.
        notices: notices of deals seen since the start, repeated ones left out.
        newest_deal_block: 0 before the first deal.
    """

    def __init__(self, stored: Stored) -> None:
        self.phases = Counter({Phase(phase): count for phase, count in stored.phases.items()})
        self.deals = len(stored.deals)
        self.notices = 0
        self.newest_deal_block = stored.newest_deal_block

    def deal_noticed(self, block: int | None, *, again: bool) -> None:
        """A deal was made with the pool; `again` after a reorganisation of the chain undid it."""
        self.deals += not again
        self.notices += 1
        self.newest_deal_block = max(self.newest_deal_block, block or 0)

    def moved(self, before: Phase | None, after: Phase) -> None:
        """A task went from one phase to another; None before it was known."""
        if before is not None:
            self.phases[before] -= 1
        self.phases[after] += 1
