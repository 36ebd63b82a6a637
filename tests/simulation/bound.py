"""How sure a rate is: the exact bound of Clopper and Pearson, by logarithms and bisection."""

from __future__ import annotations

from math import exp, lgamma, log, log1p


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)


def at_most(k: int, n: int, rate: float) -> float:
    """The chance of `k` events or fewer among `n`, each with the chance `rate` (strictly between 0 and 1)."""
    return min(1.0, sum(exp(_log_choose(n, i) + i * log(rate) + (n - i) * log1p(-rate)) for i in range(k + 1)))


def upper_bound(k: int, n: int, confidence: float) -> float:
    """The rate that is not exceeded, at `confidence`, when `k` events were seen among `n`: one-sided and exact."""
    if k >= n:
        return 1.0
    low, high = k / n, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        if at_most(k, n, middle) > 1 - confidence:
            low = middle
        else:
            high = middle
    return high
