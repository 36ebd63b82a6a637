"""How long an application has run, without the time in which it stood still."""

from __future__ import annotations

from collections.abc import Callable


class Stopwatch:
    """Measures the running time of one run, in seconds; it may be held before it is started."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._before = 0.0
        self._since: float | None = None
        self._started = False
        self._held = False

    def start(self) -> None:
        """The application starts now."""
        self._started = True
        self._go()

    def hold(self) -> None:
        """It stands still from now on."""
        self._before = self.elapsed()
        self._since, self._held = None, True

    def release(self) -> None:
        """It goes on."""
        self._held = False
        self._go()

    def elapsed(self) -> float:
        """Seconds for which it has run; 0 before it was started."""
        return self._before + (0.0 if self._since is None else self._monotonic() - self._since)

    def _go(self) -> None:
        if self._started and not self._held and self._since is None:
            self._since = self._monotonic()
