"""Steps of histories: what may be done, how often, and when it makes sense."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

Act = Callable[[Any, Any], None]


class Step(NamedTuple):
    """One thing to do: its weight among those that make sense now."""

    name: str
    weight: int
    makes_sense: Callable[[Any], Any]


def step(weight: int = 1, when: Callable[[Any], Any] = lambda _: True) -> Callable[[Act], Act]:
    """Make a method that is given dice a step."""

    def mark(act: Act) -> Act:
        # Functions take attributes, which their type does not tell.
        act.step = Step(act.__name__, weight, when)  # type: ignore[attr-defined]
        return act

    return mark


def steps_of(room: type) -> list[Step]:
    """The steps that a class defines itself."""
    return [act.step for act in vars(room).values() if hasattr(act, "step")]
