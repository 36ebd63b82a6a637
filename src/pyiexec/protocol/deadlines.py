"""Until when what may be done to a task. Times are seconds of chain time; a deadline is the first second too late.

Source: PoCo `initialize` and `contribute`; category sets the reference time (``workClockTimeRef``).
"""

from __future__ import annotations

import msgspec

#: Reference times from the match to the last contribution.
CONTRIBUTION_DEADLINE_RATIO = 7
#: Reference times from the consensus to the last reveal.
REVEAL_DEADLINE_RATIO = 2
#: Reference times from the match until the requester may claim.
FINAL_DEADLINE_RATIO = 10


class Deadlines(msgspec.Struct, frozen=True):
    """The two deadlines known when orders match."""

    contribution: int
    final: int


def deadlines(start: int, timeref: int) -> Deadlines:
    """Deadlines of the tasks of a deal matched at `start` in a category of `timeref` seconds."""
    return Deadlines(start + CONTRIBUTION_DEADLINE_RATIO * timeref, start + FINAL_DEADLINE_RATIO * timeref)


def reveal_deadline(consensus_time: int, timeref: int) -> int:
    """Until when the workers of a consensus reached at `consensus_time` must reveal."""
    return consensus_time + REVEAL_DEADLINE_RATIO * timeref
