"""What time it is on chain: told by its blocks, estimated between them."""

from __future__ import annotations

from pyiexec.foundation.clock import Clock


class ChainTime:
    """What time it is on chain, in seconds.

    The newest block's timestamp decides; while none arrives, time goes on from there at the pace of the machine. Before
    the first block the machine's own clock has to do.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._block: tuple[int, float] | None = None

    def observe(self, timestamp: int) -> None:
        """A new head says that it is `timestamp`."""
        self._block = timestamp, self._clock.monotonic()

    def precise(self) -> float:
        """Now, with fractions of a second."""
        if self._block is None:
            return self._clock.now()
        timestamp, seen = self._block
        return timestamp + self._clock.monotonic() - seen

    def now(self) -> int:
        """Now, as a block mined at once would say."""
        return int(self.precise())
