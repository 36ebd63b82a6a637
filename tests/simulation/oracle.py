"""How few replicas would have done, for somebody who knows who is faulty.

The oracle gives a task to honest workers of known score alone: those with a free slot when the task was first given
out, heaviest vote first, and when these do not suffice those that were in reach but busy, again the heaviest first. All
of them agree, so the task is done as soon as the product W of their weights has W / (1 + W) > 1 - 1/trust. A task of
trust 1 takes one worker.
"""

from __future__ import annotations

from collections.abc import Iterable


def fewest(trust: int, free: Iterable[int], busy: Iterable[int] = ()) -> int | None:
    """The oracle's replicas for a task, from the weights of honest workers; None when all of them are too light."""
    product = 1
    for count, weight in enumerate([*sorted(free, reverse=True), *sorted(busy, reverse=True)], start=1):
        product *= weight
        if product > trust - 1:
            return count
    return None
