"""What two sides of the worker channel speak, whichever of them was upgraded first."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.versions import SPEECH, UNSAID, Speech, agree, unsaid

NAMES = st.lists(st.sampled_from(["offers", "drain", "hedge"]), unique=True).map(tuple)
SPEECHES = st.builds(
    lambda lowest, more, features: Speech(lowest=lowest, highest=lowest + more, features=features),
    st.integers(1, 9),
    st.integers(0, 4),
    NAMES,
)


def test_who_says_nothing_is_understood_by_this_version_and_has_no_named_feature() -> None:
    assert agree(SPEECH, unsaid()) == (UNSAID, frozenset())
    assert agree(unsaid(), SPEECH) == (UNSAID, frozenset())
    assert agree(SPEECH, SPEECH).features == set(SPEECH.features)


@given(SPEECHES, SPEECHES)
def test_the_highest_common_version_is_spoken_with_the_features_of_both(scheduler: Speech, worker: Speech) -> None:
    common = set(range(scheduler.lowest, scheduler.highest + 1)) & set(range(worker.lowest, worker.highest + 1))
    if common:
        dialect = agree(scheduler, worker)
        assert dialect.version == max(common)
        assert dialect.features == set(scheduler.features) & set(worker.features)
        assert agree(worker, scheduler) == dialect
    else:
        with pytest.raises(IexecError) as refusal:
            agree(scheduler, worker)
        assert refusal.value.code == "VERSION_MISMATCH"
        assert f"the scheduler speaks {scheduler}," in refusal.value.what
        assert f"the worker {worker}" in refusal.value.what


def test_a_range_is_told_in_words() -> None:
    assert str(Speech(lowest=2, highest=2)) == "version 2"
    assert str(Speech(lowest=2, highest=4)) == "versions 2 to 4"


@pytest.mark.parametrize("ill", [{"lowest": 3, "highest": 2}, {"lowest": 0, "highest": 2}, {"highest": 2}])
def test_a_range_that_is_none_is_refused(ill: dict[str, int]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(ill, Speech)
