"""Which nonce the next transaction of an account gets, and how many are under way.

Used by the event loop and by the database's writer thread, where a nonce is taken in the same transaction that stores
it; hence the lock.
"""

from __future__ import annotations

import heapq
import threading


class Nonces:
    """The nonces of one account.

    Attributes:
        limit: how many transactions may be in flight.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._lock = threading.Lock()
        self._next = 0
        self._free: list[int] = []
        self._in_flight = 0
        self._waiting = 0

    def reset(self, following: int, in_flight: int, waiting: int) -> None:
        """Begin: the next new nonce, how many are already in flight, and how many wait for their turn."""
        with self._lock:
            self._next, self._free, self._in_flight, self._waiting = following, [], in_flight, waiting

    def take(self) -> int | None:
        """A nonce for a newcomer; None when it has to wait its turn."""
        with self._lock:
            if self._waiting or self._in_flight >= self.limit:
                self._waiting += 1
                return None
            self._in_flight += 1
            return self._number()

    def take_waiting(self) -> int | None:
        """A nonce for the first of those that wait; None when there is no room."""
        with self._lock:
            if not self._waiting or self._in_flight >= self.limit:
                return None
            self._waiting -= 1
            self._in_flight += 1
            return self._number()

    def exchange(self) -> int:
        """Another nonce for a transaction in flight whose own was used by somebody else."""
        with self._lock:
            return self._number()

    def give_back(self, nonce: int | None) -> None:
        """Undo `take`: its transaction was not stored, or the node will not have it; None for one that waited."""
        with self._lock:
            if nonce is None:
                self._waiting -= 1
                return
            self._in_flight -= 1
            if nonce == self._next - 1:
                self._next = nonce
            else:
                heapq.heappush(self._free, nonce)

    def put_back_waiting(self, nonce: int) -> None:
        """Undo `take_waiting`."""
        self.give_back(nonce)
        with self._lock:
            self._waiting += 1

    def landed(self) -> None:
        """One in flight is in a block."""
        with self._lock:
            self._in_flight -= 1

    def taken_off(self) -> None:
        """One that was in a block is in flight again, after a reorganisation."""
        with self._lock:
            self._in_flight += 1

    def used_up_to(self, count: int) -> None:
        """The chain has `count` transactions of the account: lower nonces are gone, whoever used them."""
        with self._lock:
            self._next = max(self._next, count)
            if self._free and self._free[0] < count:
                self._free = sorted(nonce for nonce in self._free if nonce >= count)

    def gap_below(self, nonce: int) -> int | None:
        """The lowest nonce that was given back and holds up `nonce`."""
        with self._lock:
            return self._free[0] if self._free and self._free[0] < nonce else None

    def claim(self, nonce: int) -> None:
        """Take exactly this nonce, to fill a gap."""
        with self._lock:
            if nonce in self._free:
                self._free.remove(nonce)
                heapq.heapify(self._free)
            self._in_flight += 1

    @property
    def in_flight(self) -> int:
        """How many have a nonce and are not in a block."""
        return self._in_flight

    def _number(self) -> int:
        if self._free:
            return heapq.heappop(self._free)
        self._next += 1
        return self._next - 1
