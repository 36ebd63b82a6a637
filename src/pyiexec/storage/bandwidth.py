"""How fast content may come and go: a budget of bytes a second, shared by all transfers that take from it."""

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
        rate: bytes a second.
        clock: whose pauses are waited for.
    """

    def __init__(self, rate: int, clock: Clock) -> None:
        if rate < 1:
            raise ValueError("a bandwidth is at least one byte a second")
        self.rate = rate
        self._clock = clock
        self._spent_until = clock.monotonic() - BURST_SECONDS

    def piece_bytes(self, largest: int) -> int:
        """How much to move at a time, at most `largest` bytes."""
        return min(largest, max(int(self.rate * _PIECE_SECONDS), _SMALLEST_PIECE))

    async def take(self, size: int) -> None:
        """Return once `size` bytes more may be moved.

        Who asks first is served first; a transfer that is given up has spent what it took.
        """
        now = self._clock.monotonic()
        self._spent_until = max(self._spent_until, now - BURST_SECONDS) + size / self.rate
        if self._spent_until > now:
            await self._clock.sleep(self._spent_until - now)
