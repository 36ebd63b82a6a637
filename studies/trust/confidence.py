"""How sure a rate is."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from statistics import NormalDist
from typing import NamedTuple

CONFIDENCE = 0.99


class Rate(NamedTuple):
    """A rate and the two-sided interval that holds the true one with `CONFIDENCE`."""

    value: float
    low: float
    high: float


def wilson(events: float, trials: float) -> Rate:
    """E. B. Wilson's score interval (1927); it has a width even where nothing happened."""
    z2 = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) ** 2
    rate = events / trials
    middle = (rate + z2 / (2 * trials)) / (1 + z2 / trials)
    half = sqrt(z2 * (rate * (1 - rate) + z2 / (4 * trials)) / trials) / (1 + z2 / trials)
    return Rate(rate, max(0.0, middle - half), min(1.0, middle + half))


def pooled(events: Sequence[int], trials: Sequence[int]) -> Rate:
    """The rate over several pools, each with its own history.

    Tasks of one pool share the reputation of its workers, so they say less than as many independent ones. How much less
    is the design effect (L. Kish, 1965): the variance between pools over that of independent tasks. The interval is
    Wilson's for as many tasks as are left after dividing by it.
    """
    total, count = sum(trials), len(trials)
    rate = sum(events) / total
    alone = rate * (1 - rate) * count / total
    effect = 1.0
    if alone and count > 1:
        between = sum((e / n - rate) ** 2 for e, n in zip(events, trials, strict=True)) / (count - 1)
        effect = max(1.0, between / alone)
    return Rate(rate, *wilson(sum(events) / effect, total / effect)[1:])
