"""Whatever happens to the marketplace, our hub does what the published one does.

More histories than `make test` plays: ``make differential``.
"""

from __future__ import annotations

import pytest

from .chain import Chain
from .coverage import Coverage
from .histories import play
from .player import Difference

HISTORIES = 6


@pytest.mark.parametrize("seed", range(HISTORIES))
def test_both_hubs_tell_the_same_story(chain: Chain, seed: int) -> None:
    coverage = Coverage()
    try:
        play(chain, coverage, seed)
    except Difference as difference:
        pytest.fail(str(difference), pytrace=False)
    assert coverage.events["hub.OrdersMatched"]
