"""The two reckonings that `make sim` is judged by."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulation.bound import at_most, upper_bound
from tests.simulation.oracle import fewest


@pytest.mark.parametrize(
    ("k", "n", "bound"),
    # Without events 1 - alpha ** (1 / n); with events from tables of the exact interval.
    [(0, 1, 0.99), (0, 10, 1 - 0.01**0.1), (0, 2_000, 1 - 0.01 ** (1 / 2_000)), (10, 10, 1.0)],
)
def test_the_bound_is_the_exact_one(k: int, n: int, bound: float) -> None:
    assert upper_bound(k, n, 0.99) == pytest.approx(bound, rel=1e-9)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 300), st.data())
def test_at_the_bound_what_was_seen_is_as_unlikely_as_was_asked_for(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n - 1))
    bound = upper_bound(k, n, 0.99)
    assert k / n < bound <= 1
    assert at_most(k, n, bound) == pytest.approx(0.01, rel=1e-6)


def test_the_chance_of_few_events_adds_up() -> None:
    assert at_most(1, 3, 0.5) == pytest.approx(0.5)
    assert at_most(3, 3, 0.5) == pytest.approx(1.0)


def test_the_oracle_takes_the_heaviest_that_are_free() -> None:
    assert fewest(1, [2]) == 1
    assert fewest(2, [2, 2]) == 1
    assert fewest(3, [2, 2]) == 2
    assert fewest(10, [2, 2, 5, 2]) == 2
    assert fewest(10, [2, 2], [9]) == 3
    assert fewest(10, [9], [2]) == 2
    assert fewest(10, [2, 2]) is None


@given(st.integers(1, 10**6), st.lists(st.integers(2, 100), min_size=1, max_size=30))
def test_one_replica_fewer_would_not_do(trust: int, weights: list[int]) -> None:
    count = fewest(trust, weights)
    heaviest = sorted(weights, reverse=True)

    def credible(votes: list[int]) -> bool:
        product = 1
        for weight in votes:
            product *= weight
        return product * trust > (1 + product) * (trust - 1)

    if count is None:
        assert not credible(heaviest)
    else:
        assert credible(heaviest[:count])
        assert count == 1 or not credible(heaviest[: count - 1])
