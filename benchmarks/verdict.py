"""How a benchmark ends: one line a bar, and the exit code."""

from __future__ import annotations

import sys
from typing import NamedTuple


class Measured(NamedTuple):
    """A figure beside its bar; smaller is better, unless `more` is."""

    name: str
    value: float
    unit: str
    bar: float
    more: bool = False

    @property
    def met(self) -> bool:
        """Whether the figure is within its bar."""
        return self.value >= self.bar if self.more else self.value <= self.bar

    def __str__(self) -> str:
        verdict, bound = "met" if self.met else "missed", "at least" if self.more else "at most"
        return f"{self.name}: {self.value:.3g} {self.unit} (bar: {bound} {self.bar:g} {self.unit}): {verdict}"


def conclude(*figures: Measured) -> None:
    """Print the figures last, and exit with 1 when a bar is missed."""
    for figure in figures:
        print(figure, flush=True)
    sys.exit(0 if all(figure.met for figure in figures) else 1)
