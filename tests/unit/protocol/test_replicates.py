import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.replicates import FINAL, GIVEN_UP, PENDING, ReplicateStatus, advance, counts_as_pending, is_stale

S = ReplicateStatus
statuses = st.sampled_from(S)

CONTRIBUTING = [
    S.CREATED,
    S.STARTED,
    S.APP_DOWNLOADED,
    S.DATA_DOWNLOADED,
    S.COMPUTED,
    S.CONTRIBUTED,
    S.REVEALED,
    S.RESULT_UPLOADED,
    S.COMPLETED,
]
FINALIZING_AT_ONCE = [*CONTRIBUTING[:5], S.CONTRIBUTE_AND_FINALIZE_DONE, S.COMPLETED]
NOT_UPLOADING = [*CONTRIBUTING[:7], S.COMPLETED]


@pytest.mark.parametrize("path", [CONTRIBUTING, FINALIZING_AT_ONCE, NOT_UPLOADING])
def test_a_replicate_goes_step_by_step(path: list[ReplicateStatus]) -> None:
    for before, after in itertools.pairwise(path):
        assert advance(before, after) is after


@pytest.mark.parametrize(
    ("current", "new"),
    [
        (S.CREATED, S.COMPUTED),
        (S.STARTED, S.CREATED),
        (S.COMPUTED, S.REVEALED),
        (S.CONTRIBUTED, S.COMPUTED),
        (S.CONTRIBUTED, S.CONTRIBUTED),
        (S.COMPLETED, S.FAILED),
        (S.FAILED, S.CONTRIBUTED),
        (S.ABORTED, S.STARTED),
        (S.WORKER_LOST, S.CREATED),
    ],
)
def test_a_report_may_not_skip_repeat_or_go_back(current: ReplicateStatus, new: ReplicateStatus) -> None:
    with pytest.raises(IexecError) as refusal:
        advance(current, new)
    assert refusal.value.code == "BAD_TRANSITION"


@pytest.mark.parametrize("end", sorted(GIVEN_UP))
@pytest.mark.parametrize("current", CONTRIBUTING[:-1])
def test_a_replicate_may_be_given_up_at_any_step(current: ReplicateStatus, end: ReplicateStatus) -> None:
    assert advance(current, end) is end
    assert not counts_as_pending(end)


def test_a_lost_worker_comes_back_where_it_was() -> None:
    for status in CONTRIBUTING[1:]:
        assert advance(S.WORKER_LOST, status) is status


def test_the_chain_may_be_faster_than_the_reports() -> None:
    assert advance(S.STARTED, S.CONTRIBUTED, on_chain=True) is S.CONTRIBUTED
    assert is_stale(S.CONTRIBUTED, S.COMPUTED)
    assert is_stale(S.CONTRIBUTED, S.CONTRIBUTED)
    assert not is_stale(S.CONTRIBUTED, S.REVEALED)


@pytest.mark.parametrize("end", sorted(GIVEN_UP))
def test_the_chain_brings_back_a_replicate_given_up_too_early(end: ReplicateStatus) -> None:
    assert not is_stale(end, S.CONTRIBUTED, on_chain=True)
    assert advance(end, S.CONTRIBUTED, on_chain=True) is S.CONTRIBUTED


def test_a_task_finalized_at_once_is_seen_on_chain_as_contribution_and_reveal_first() -> None:
    status = advance(S.COMPUTED, S.CONTRIBUTED, on_chain=True)
    status = advance(status, S.REVEALED, on_chain=True)
    assert advance(status, S.CONTRIBUTE_AND_FINALIZE_DONE) is S.CONTRIBUTE_AND_FINALIZE_DONE


def test_the_chain_bears_no_witness_to_what_happens_off_chain() -> None:
    with pytest.raises(IexecError):
        advance(S.STARTED, S.COMPUTED, on_chain=True)


def test_only_replicates_that_may_still_vote_are_pending() -> None:
    assert {status for status in S if counts_as_pending(status)} == PENDING == set(CONTRIBUTING[:5])


@given(st.lists(st.tuples(statuses, st.booleans()), max_size=40))
def test_whatever_arrives_a_replicate_never_goes_back_nor_ends_twice(
    news: list[tuple[ReplicateStatus, bool]],
) -> None:
    current, reached = S.CREATED, 0
    for new, on_chain in news:
        if is_stale(current, new, on_chain=on_chain):
            continue
        try:
            after = advance(current, new, on_chain=on_chain)
        except IexecError:
            continue
        assert current is not S.COMPLETED
        assert on_chain or current not in FINAL
        if current in CONTRIBUTING and after in CONTRIBUTING:
            assert CONTRIBUTING.index(after) > reached
        if after in CONTRIBUTING:
            reached = CONTRIBUTING.index(after)
        current = after


@given(st.lists(st.integers(0, len(CONTRIBUTING) - 1), max_size=30))
def test_reports_delivered_again_after_a_reconnection_are_harmless(resend_from: list[int]) -> None:
    current = S.CREATED
    for status in CONTRIBUTING[1:]:
        current = advance(current, status)
        for earlier in resend_from:
            if CONTRIBUTING.index(current) >= earlier:
                assert is_stale(current, CONTRIBUTING[earlier])
