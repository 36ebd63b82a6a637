"""How much content comes and goes, and how fast it may: bytes a second, shared by all transfers that take of them."""

from __future__ import annotations

from pyiexec.foundation.clock import Clock

#: Seconds of the budget that may be saved up while nothing is transferred.
BURST_SECONDS = 1.0
#: Pieces are cut to what the budget has for this long, so that no transfer holds its breath for long.
_PIECE_SECONDS = 0.25
_SMALLEST_PIECE = 512


class Bandwidth:
    """One direction of a machine's share of its line.

    Args:
        rate: bytes a second; None for as many as there are.
        clock: whose pauses are waited for.

    Attributes:
        moved: bytes so far.
    """

    def __init__(self, rate: int | None, clock: Clock) -> None:
        if rate is not None and rate < 1:
            raise ValueError("a bandwidth is at least one byte a second")
        self.rate = rate
        self.moved = 0
        self._clock = clock
        self._spent_until = clock.monotonic() - BURST_SECONDS

    def piece_bytes(self, largest: int) -> int:
        """How much to move at a time, at most `largest` bytes."""
        if self.rate is None:
            return largest
        return min(largest, max(int(self.rate * _PIECE_SECONDS), _SMALLEST_PIECE))

    async def take(self, size: int) -> None:
        """Return once `size` bytes more may be moved.

        Who asks first is served first; a transfer that is given up has spent what it took.
        """
        self.moved += size
        if self.rate is None:
            return
        now = self._clock.monotonic()
        self._spent_until = max(self._spent_until, now - BURST_SECONDS) + size / self.rate
        if self._spent_until > now:
            await self._clock.sleep(self._spent_until - now)
