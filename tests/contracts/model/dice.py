"""Choices of a history, drawn from Hypothesis so that it can shrink and replay them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from hypothesis import strategies as st

T = TypeVar("T")


class Dice:
    """Draws; the first option, no to what is rare and yes to what is usual are what a failing history is shrunk to."""

    def __init__(self, data: Any) -> None:
        self._data = data

    def pick(self, *options: T) -> T:
        return self.choose(options)

    def choose(self, options: Sequence[T]) -> T:
        chosen: T = options[0] if len(options) == 1 else self._data.draw(st.sampled_from(options))
        return chosen

    def chance(self, percent: int) -> bool:
        return bool(self._data.draw(st.integers(0, 99)) >= 100 - percent)

    def usually(self, percent: int) -> bool:
        return bool(self._data.draw(st.integers(0, 99)) < percent)
