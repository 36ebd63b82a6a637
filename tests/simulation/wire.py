"""The channel between scheduler and workers: frames that take their time, get lost, come twice, or meet a partition."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from tests.simulation.agenda import Agenda

#: Seconds that a frame takes, at least and at most.
FASTEST, SLOWEST = 0.005, 0.08


class Weather(Protocol):
    """What may go wrong on the way."""

    def loses(self) -> bool:
        """Whether the next frame is lost."""

    def doubles(self) -> bool:
        """Whether the next frame arrives twice."""


class Connection:
    """One connection. Frames of one direction arrive in order or not at all.

    Attributes:
        open: whether both ends still hold it.
    """

    def __init__(self, agenda: Agenda, name: str, weather: Weather, reachable: Callable[[], bool]) -> None:
        self._agenda = agenda
        self._chance = agenda.chance(f"wire {name} {agenda.step}")
        self._weather = weather
        self._reachable = reachable
        self._free_at = {"to worker": 0.0, "to scheduler": 0.0}
        self.open = True
        self.to_worker: Callable[[bytes], None] = lambda _frame: None
        self.to_scheduler: Callable[[bytes], None] = lambda _frame: None
        self.on_close: Callable[[], None] = lambda: None

    # --- as the scheduler's engine sees it ----------------------------------------------------------------------------

    def send(self, frame: bytes) -> None:
        """Send to the worker."""
        self._carry("to worker", frame, lambda data: self.to_worker(data))

    def taken(self) -> None:
        """One of the worker's reports was taken up."""

    def close(self, _reason: str) -> None:
        """End the connection; both ends hear of it, unless they are cut off."""
        if self.open:
            self.open = False
            self._agenda.after(FASTEST, self.on_close)

    # --- as the worker sees it ----------------------------------------------------------------------------------------

    def report(self, frame: bytes) -> None:
        """Send to the scheduler."""
        self._carry("to scheduler", frame, lambda data: self.to_scheduler(data))

    def _carry(self, way: str, frame: bytes, deliver: Callable[[bytes], None]) -> None:
        if not self.open:
            return
        if self._weather.loses():
            self._give_way()
            return

        def arrive() -> None:
            if not self._reachable():
                self._give_way()
            elif self.open:
                deliver(frame)

        for _ in range(1 + self._weather.doubles()):
            arrival = max(self._agenda.now + self._chance.uniform(FASTEST, SLOWEST), self._free_at[way])
            self._free_at[way] = arrival
            self._agenda.after(arrival - self._agenda.now, arrive)

    def _give_way(self) -> None:
        """A frame was lost: if nobody notices, the connection breaks by itself in a while."""
        self._agenda.after(self._chance.uniform(0.5, 5.0), lambda: self.close("a frame was lost"))
