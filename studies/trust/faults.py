"""How workers go wrong.

A worker computes right, errs by chance, or lies. Wrong answers of workers that err are all alike unless said otherwise:
the worst case, as with an application that answers yes or no.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from enum import Enum

RIGHT, LIE = "right", "lie"
#: The few wrong answers of a task that some mistakes lead to.
FEW = 4


class Mistakes(Enum):
    """What workers that err by chance find instead."""

    ALIKE = "alike"
    FEW = "few"
    DISTINCT = "distinct"


class Ring(Enum):
    """When the members of a ring tell its one lie."""

    NEVER = "never"
    #: About every task.
    ALWAYS = "always"
    #: Once its reputation lets a member's answer stand alone; until then it computes right.
    FARMING = "farming"
    #: Whenever those of them that have a task would win with certainty, and they vote first; else they compute right.
    SURE = "sure"


@dataclass(frozen=True)
class Faults:
    """What is wrong with a pool.

    Attributes:
        error: chance of a mistake of a worker outside the ring.
        mistakes: how their wrong answers compare.
        ring: when the ring lies.
        members: size of the ring.
    """

    error: float = 0.0
    mistakes: Mistakes = Mistakes.ALIKE
    ring: Ring = Ring.NEVER
    members: int = 0

    def compute(self, worker: str, chance: random.Random) -> str:
        """The answer of a worker that means well."""
        if chance.random() >= self.error:
            return RIGHT
        match self.mistakes:
            case Mistakes.ALIKE:
                return LIE
            case Mistakes.FEW:
                return f"mistake {int(chance.random() * FEW)}"
            case Mistakes.DISTINCT:
                return f"mistake of {worker}"
