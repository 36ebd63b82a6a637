"""Virtual time: what happens when, and a record of it that two runs can be compared by."""

from __future__ import annotations

import hashlib
import heapq
import random
from collections import deque
from collections.abc import Callable

#: Chain time, in seconds, at which every simulation begins.
GENESIS = 1_000_000
#: Lines of the record shown when something fails.
_SHOWN = 25


class SimulationFailed(AssertionError):  # noqa: N818 - what failed is not this program
    """Something that must never be; the message says how to see it again."""


class Agenda:
    """The one thread of time; `replay` is the command that runs the same again.

    Attributes:
        now: seconds since the beginning.
        step: number of the action under way.
        about: lines that name this are printed as they are noted.
    """

    def __init__(self, seed: int, replay: str) -> None:
        self.seed = seed
        self._replay = replay
        self.now = 0.0
        self.step = 0
        self.about: str | None = None
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._planned = 0
        self._record = hashlib.sha256()
        self._last: deque[str] = deque(maxlen=_SHOWN)

    def chance(self, name: str) -> random.Random:
        """A source of chance of its own for `name`, so that one part's draws do not shift another's."""
        return random.Random(f"{self.seed}/{name}")

    @property
    def chain_now(self) -> int:
        """Chain time in seconds."""
        return GENESIS + int(self.now)

    @property
    def digest(self) -> str:
        """What everything noted so far comes to."""
        return self._record.hexdigest()

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Have `action` happen in `seconds`; what is planned for the same moment happens in the order of planning."""
        self._planned += 1
        heapq.heappush(self._heap, (self.now + seconds, self._planned, action))

    def note(self, *what: object) -> None:
        """Record that something happened."""
        line = f"{self.step} {self.now:.6f} " + " ".join(map(str, what))
        self._record.update(line.encode())
        if self.about is not None and self.about in line:
            print(line)
        self._last.append(line)

    def check(self, holds: bool, what: Callable[[], str]) -> None:
        """Fail unless something holds."""
        if not holds:
            self.fail(what())

    def fail(self, what: str) -> None:
        """Fail with all that is needed to see it again."""
        history = "\n  ".join(self._last)
        raise SimulationFailed(
            f"seed {self.seed}, step {self.step}, {self.now:.3f} s: {what}\nreplay: {self._replay}\n  {history}"
        )

    def run(self, until: Callable[[], bool]) -> None:
        """Let things happen until `until` says that it is enough, or nothing more is planned."""
        while self._heap and not until():
            self.now, _, action = heapq.heappop(self._heap)
            self.step += 1
            action()
