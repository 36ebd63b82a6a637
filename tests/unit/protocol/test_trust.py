import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyiexec.protocol.primitives import ResultHash, bytes32
from pyiexec.protocol.trust import (
    log_weight,
    reopened,
    replicas_missing,
    rewarded_score,
    slashed_score,
    stands,
    vote,
    votes_missing,
    worker_weight,
)

RIGHT, WRONG = ResultHash(bytes32(1)), ResultHash(bytes32(2))
results = st.integers(0, 5).map(lambda number: ResultHash(bytes32(number)))
votes = st.lists(st.tuples(results, st.integers(2, 50)), max_size=12)


class ChainConsensus:
    """Consensus as the hub computes it: a running total and a weight per group, updated by each contribution."""

    def __init__(self, trust: int) -> None:
        self.trust = max(trust, 1)
        self.total = 1
        self.group: dict[ResultHash, int] = {}

    def contribute(self, result: ResultHash, weight: int) -> bool:
        group = self.group.get(result, 0)
        delta = max(group, 1) * weight - group
        self.group[result] = group + delta
        self.total += delta
        return self.group[result] * self.trust > self.total * (self.trust - 1)

    def reopen(self, result: ResultHash) -> None:
        self.total -= self.group[result]
        self.group[result] = 0


def workers_that_settle(trust: int, weight: int) -> int:
    chain, count = ChainConsensus(trust), 1
    while not chain.contribute(RIGHT, weight):
        count += 1
    return count


@pytest.mark.parametrize(
    ("score", "weight", "log"),
    [
        (0, 2, 1),
        (11, 2, 1),
        (12, 3, 1),
        (14, 3, 1),
        (15, 4, 2),
        (17, 4, 2),
        (18, 5, 2),
        (26, 7, 2),
        (27, 8, 3),
        (30, 9, 3),
        (100, 32, 5),
        (1000, 332, 8),
    ],
)
def test_weight_grows_with_reputation(score: int, weight: int, log: int) -> None:
    assert (worker_weight(score), log_weight(score)) == (weight, log)


@pytest.mark.parametrize(
    ("trust", "counts"),
    [
        (0, (1, 1, 1, 1)),
        (1, (1, 1, 1, 1)),
        (2, (1, 1, 1, 1)),
        (3, (2, 1, 1, 1)),
        (4, (2, 2, 1, 1)),
        (5, (3, 2, 1, 1)),
        (8, (3, 2, 2, 1)),
        (9, (4, 2, 2, 1)),
        (10, (4, 3, 2, 2)),
        (17, (5, 3, 2, 2)),
        (33, (6, 4, 3, 2)),
        (50, (6, 4, 3, 2)),
        (100, (7, 5, 3, 3)),
    ],
)
def test_how_many_workers_of_one_weight_a_trust_takes(trust: int, counts: tuple[int, ...]) -> None:
    assert tuple(replicas_missing({}, [], trust, weight) for weight in (2, 3, 5, 9)) == counts


@pytest.mark.parametrize(("trust", "count"), [(16, 4), (32, 5), (10_000, 14), (1_000_000, 20)])
def test_how_many_newcomers_a_high_trust_takes(trust: int, count: int) -> None:
    assert replicas_missing({}, [], trust) == count


@pytest.mark.parametrize("weight", range(2, 51))
def test_the_scheduler_counts_what_the_chain_will_ask_for(weight: int) -> None:
    for trust in range(1, 1001):
        assert replicas_missing({}, [], trust, weight) == workers_that_settle(trust, weight)


@given(votes, st.integers(0, 10**6))
def test_a_result_stands_when_and_only_when_the_chain_says_so(
    history: list[tuple[ResultHash, int]], trust: int
) -> None:
    chain, groups = ChainConsensus(trust), dict[ResultHash, int]()
    for result, weight in history:
        groups = vote(groups, result, weight)
        assert chain.contribute(result, weight) == stands(groups, result, trust)
        assert chain.total == 1 + sum(groups.values())


@given(votes, results, st.integers(2, 50), st.integers(1, 10**6))
def test_a_reopened_task_votes_on_as_the_chain_does(
    history: list[tuple[ResultHash, int]], silent: ResultHash, weight: int, trust: int
) -> None:
    chain, groups = ChainConsensus(trust), dict[ResultHash, int]()
    for result, each in [*history, (silent, 2)]:
        chain.contribute(result, each)
        groups = vote(groups, result, each)
    chain.reopen(silent)
    groups = reopened(groups, silent)
    assert silent not in groups
    groups = vote(groups, silent, weight)
    assert chain.contribute(silent, weight) == stands(groups, silent, trust)


@given(st.dictionaries(results, st.integers(1, 10**9)), st.integers(2, 10**6))
def test_at_most_one_result_stands(groups: dict[ResultHash, int], trust: int) -> None:
    assert sum(stands(groups, result, trust) for result in groups) <= 1


@given(votes, st.lists(st.integers(2, 50), max_size=6), st.integers(0, 10**4), st.integers(2, 50))
def test_the_leader_stands_after_exactly_the_missing_replicas_and_not_before(
    history: list[tuple[ResultHash, int]], pending: list[int], trust: int, newcomer: int
) -> None:
    groups: dict[ResultHash, int] = {}
    for result, weight in history:
        groups = vote(groups, result, weight)
    missing = replicas_missing(groups, pending, trust, newcomer)
    leader = max(groups, key=lambda result: groups[result], default=RIGHT)
    for weight in [*pending, *[newcomer] * missing]:
        before, groups = groups, vote(groups, leader, weight)
    assert stands(groups, leader, trust)
    if missing:
        assert not stands(before, leader, trust)


@given(st.lists(st.integers(2, 50), min_size=1, max_size=8), st.integers(1, 10**4))
def test_a_pending_replica_that_fails_is_replaced_by_as_many_newcomers_as_it_counted_for(
    pending: list[int], trust: int
) -> None:
    assert replicas_missing({}, pending[1:], trust) >= replicas_missing({}, pending, trust)


def test_one_replica_under_way_is_enough_for_trust_one() -> None:
    assert replicas_missing({}, [2], trust=1) == 0


def test_a_newcomer_lost_on_the_way_is_replaced_at_once() -> None:
    assert replicas_missing({}, [2, 2, 2], trust=5) == 0
    assert replicas_missing({}, [2, 2], trust=5) == 1


def test_trust_ten_takes_four_agreeing_newcomers_and_five_against_one_liar() -> None:
    assert replicas_missing({}, [], trust=10) == 4
    assert replicas_missing({WRONG: 2, RIGHT: 4}, [], trust=10) == 3


def test_trust_three_with_one_newcomer_is_a_tie_and_does_not_stand() -> None:
    assert not stands(vote({}, RIGHT, 2), RIGHT, trust=3)


def test_one_dissenter_at_trust_three_is_outvoted_by_the_third_good_vote() -> None:
    groups: dict[ResultHash, int] = {}
    settled = []
    for result in (RIGHT, WRONG, RIGHT, RIGHT):
        groups = vote(groups, result, 2)
        settled.append(stands(groups, result, trust=3))
    assert settled == [False, False, False, True]


def test_nothing_stands_without_a_vote() -> None:
    assert not stands({}, RIGHT, trust=0)
    assert votes_missing({}, trust=0, weight=2) == 1


def test_reputation_is_earned_in_company_and_lost_by_a_third() -> None:
    assert (rewarded_score(5, contributors=1), rewarded_score(5, contributors=2)) == (5, 6)
    assert [slashed_score(score) for score in (0, 1, 2, 3, 100)] == [0, 0, 1, 2, 66]
