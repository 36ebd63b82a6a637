"""Directed stories: what is said to happen happens on both hubs, and one round of them reaches everything."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from .chain import Chain
from .coverage import Coverage, missing
from .marketplaces import both_hubs as both
from .player import Difference
from .requirements import NATIVE, TOKEN
from .stories import SCENES, play


@pytest.fixture(scope="module")
def native_hubs() -> Iterator[Chain]:
    with both("native") as chain:
        yield chain


def _play(chain: Chain, variant: str) -> Coverage:
    coverage = Coverage()
    try:
        play(chain, coverage, 0, SCENES["native" if variant == "native" else "token"])
    except Difference as difference:
        pytest.fail(str(difference), pytrace=False)
    return coverage


@pytest.mark.timeout(600)
def test_one_round_reaches_everything_there_is(chain: Chain) -> None:
    assert missing(_play(chain, "token"), TOKEN, 1) == []


def test_one_round_reaches_the_escrow_of_a_native_hub(native_hubs: Chain) -> None:
    assert missing(_play(native_hubs, "native"), NATIVE, 1) == []
