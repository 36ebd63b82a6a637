"""How the runs of a worker ended, and how long they took."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pyiexec.foundation.clock import Clock
from pyiexec.protocol.errors import IexecError


@dataclass
class Run:
    """One run.

    Attributes:
        outcome: ``computed``; ``failed`` for the application's own reasons; ``impossible`` when something was missing,
            wrong or refused; ``stopped`` from outside.
    """

    outcome: str = "stopped"


class Runs:
    """The runs of one worker.

    Attributes:
        on_end: told of each run its outcome and its length in seconds.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.on_end: Callable[[str, float], None] = lambda _outcome, _seconds: None

    @contextmanager
    def measured(self) -> Iterator[Run]:
        """A run from the beginning of the block to its end, which says how it went."""
        began, run = self._clock.monotonic(), Run()
        try:
            yield run
        except IexecError:
            run.outcome = "impossible"
            raise
        finally:
            self.on_end(run.outcome, self._clock.monotonic() - began)
