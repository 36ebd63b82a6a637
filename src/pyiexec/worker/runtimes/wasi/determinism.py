"""An application's time and randomness: functions of its seed and of how often it asked."""

from __future__ import annotations

import hashlib

#: 2020-01-01T00:00:00Z in nanoseconds: what the application's calendar shows when it starts, and every file's times.
EPOCH_NS = 1_577_836_800 * 10**9

#: How far time moves each time it is read: a program that waits by watching the clock gets there.
TICK_NS = 1_000_000

_FOREVER_NS = 1 << 62


class VirtualClock:
    """Time that passes by being read or slept through, and so equally in every run."""

    def __init__(self) -> None:
        self.elapsed_ns = 0

    def read(self) -> int:
        """Nanoseconds since the application started."""
        self.sleep(TICK_NS)
        return self.elapsed_ns

    def sleep(self, nanoseconds: int) -> None:
        """Let time pass without waiting."""
        self.elapsed_ns = min(self.elapsed_ns + nanoseconds, _FOREVER_NS)


class RandomStream:
    """Bytes that look random and are a function of the seed: SHAKE-256 in counter mode."""

    _BLOCK = 4096

    def __init__(self, seed: bytes) -> None:
        self._seed = seed
        self._counter = 0
        self._left = b""

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        parts = [self._left]
        have = len(self._left)
        while have < count:
            block = hashlib.shake_256(self._seed + self._counter.to_bytes(8, "little")).digest(self._BLOCK)
            self._counter += 1
            parts.append(block)
            have += len(block)
        whole = b"".join(parts)
        self._left = whole[count:]
        return whole[:count]
