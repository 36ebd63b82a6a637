"""The study of trust: its rules are the published ones, its page is what it measured, and the page's claims hold."""

from __future__ import annotations

import random
from fractions import Fraction
from math import comb

import pytest
from studies.trust import page, scenarios
from studies.trust.adaptive import AdaptiveReplication
from studies.trust.confidence import pooled, wilson
from studies.trust.faults import LIE, RIGHT, Faults, Mistakes, Ring
from studies.trust.measure import Results, digest, follow, load
from studies.trust.poco import ProofOfContribution
from studies.trust.pool import Pool, Size, Task
from studies.trust.scenarios import Scenario, adaptive, mixed, poco, ring, voting, whim
from studies.trust.voting import MajorityVoting

from pyiexec.protocol.trust import worker_weight

IMAGES = page.PAGE.parent / "images"
SEED, RESULTS = load()
WORKERS = [f"worker-{number}" for number in range(6)]


@pytest.mark.parametrize(
    "scenario",
    [
        poco(3, Faults(0.05)),
        poco(10, Faults(0.2, Mistakes.FEW)),
        poco(10, ring(Ring.FARMING, 15)),
        poco(100, ring(Ring.ALWAYS, 2)),
        poco(1000, ring(Ring.SURE, 10)),
        mixed(0.2),
        voting(2, scenarios.SLY),
        adaptive(2, 10, scenarios.LIARS),
        adaptive(3, 10, scenarios.SLY),
        whim(0.1),
    ],
    ids=lambda scenario: scenario.name,
)
def test_what_is_committed_is_what_the_seed_gives(scenario: Scenario) -> None:
    kept = {level: pools[0] for level, pools in RESULTS.lives[scenario.name].items()}
    assert follow(SEED, scenario, 0) == kept


def test_every_point_is_measured_with_all_of_its_pools_and_tasks() -> None:
    wanted = {scenario.name: scenario for scenario in scenarios.scenarios()}
    assert RESULTS.lives.keys() == wanted.keys()
    for name, scenario in wanted.items():
        lives = RESULTS.lives[name]
        assert all(len(pools) == scenario.pools for pools in lives.values()), name
        tasks = sum(tally.tasks for pools in lives.values() for slices in pools for tally in slices)
        assert tasks == scenario.pools * scenario.size.tasks, name


def test_the_page_tells_what_was_measured() -> None:
    text = page.PAGE.read_text()
    assert page.render(text, RESULTS) == text, "run `python -m studies.trust --redraw`"
    for block in page.BLOCKS:
        assert f"<!-- measured: {block} -->" in text


def test_the_pictures_show_what_was_measured() -> None:
    for picture in IMAGES.glob("trust-*.svg"):
        assert digest() in picture.read_text(), "run `python -m studies.trust --redraw`"
        assert f"images/{picture.name}" in page.PAGE.read_text()
    assert len(list(IMAGES.glob("trust-*.svg"))) == 4


# --- what the page claims ---


def kept(scenario: Scenario, level: int) -> bool:
    return page.kept(RESULTS, scenario, level)


def broken(scenario: Scenario, level: int) -> bool:
    return any(page.broken(RESULTS, scenario, level, part) for part in (scenarios.WHOLE, scenarios.SETTLED))


def cheapest(faults: Faults, target: float) -> str:
    families = {"poco": scenarios.of_poco, "voting": scenarios.of_voting, "boinc": scenarios.of_adaptive}
    costs = {}
    for name, family in families.items():
        found = page.cheapest(RESULTS, family(faults), target)
        if found is not None:
            costs[name] = RESULTS.replicas(found[1])
    return min(costs, key=costs.__getitem__)


EVERY_POINT = [(error, level) for error in scenarios.ERRORS for level in scenarios.LEVELS]


@pytest.mark.parametrize(("error", "level"), [(error, level) for error, level in EVERY_POINT if error < 1 / level])
def test_the_promise_is_kept_where_workers_err_less_often_than_it_allows(error: float, level: int) -> None:
    assert kept(poco(level, Faults(error)), level)


def test_mistakes_break_the_promise_at_trust_10_alone_where_workers_err_every_fifth_time() -> None:
    assert [point for point in EVERY_POINT if broken(poco(point[1], Faults(point[0])), point[1])] == [(0.2, 10)]
    assert kept(mixed(0.2), 10)


def test_liars_that_always_lie_break_no_promise_and_farmers_that_of_trust_10() -> None:
    for level in scenarios.RING_LEVELS:
        assert not any(broken(poco(level, ring(Ring.ALWAYS, members)), level) for members in scenarios.RINGS)
    assert all(broken(poco(10, ring(Ring.FARMING, members)), 10) for members in (15, 20))
    for level in (100, 1000):
        assert all(kept(poco(level, ring(Ring.FARMING, members)), level) for members in scenarios.RINGS)


@pytest.mark.parametrize("level", [100, 1000])
def test_a_sly_ring_breaks_the_promise_from_a_fifth_on(level: int) -> None:
    assert all(broken(poco(level, ring(Ring.SURE, members)), level) for members in (10, 15, 20))


@pytest.mark.parametrize(("level", "votes"), [(10, 1), (100, 2)])
def test_a_sly_ring_wins_as_often_as_all_votes_fall_to_it(level: int, votes: int) -> None:
    sly = poco(level, scenarios.SLY)
    assert RESULTS.replicas(sly, part=scenarios.SETTLED) == pytest.approx(votes, rel=0.1)
    assert RESULTS.error(sly, part=scenarios.SETTLED).value == pytest.approx(0.2**votes, rel=0.25)


def test_which_rule_is_the_cheapest_depends_on_the_faults() -> None:
    assert {cheapest(scenarios.LIARS, target) for target in page.TARGETS} == {"poco"}
    assert {cheapest(scenarios.EVEN, target) for target in (0.01, 0.003)} == {"voting"}
    assert {cheapest(scenarios.SLY, target) for target in (0.03, 0.01, 0.003)} == {"voting"}
    assert {cheapest(scenarios.FARMERS, target) for target in (0.1, 0.03)} == {"boinc"}
    assert {cheapest(scenarios.FARMERS, target) for target in (0.01, 0.003, 0.001)} == {"poco"}


# --- the rules ---


@pytest.mark.parametrize("needed", scenarios.MAJORITIES)
def test_majority_voting_errs_as_often_as_can_be_computed(needed: int) -> None:
    p = scenarios.EVEN.error
    exact = sum(comb(needed - 1 + right, right) * p**needed * (1 - p) ** right for right in range(needed))
    measured = RESULTS.error(voting(needed, scenarios.EVEN))
    assert measured.low <= exact <= measured.high


def test_an_answer_stands_exactly_when_its_credibility_exceeds_what_trust_asks() -> None:
    """Recomputed with fractions from the weights, vote by vote."""
    chance = random.Random(7)
    for level in (1, 2, 3, 10, 100):
        rule = ProofOfContribution(level)
        rule.start(WORKERS, chance)
        for worker in WORKERS:
            rule.crew.member(worker).score = int(chance.random() * 60)  # type: ignore[arg-type]
        task, weights = rule.open(0), {RIGHT: Fraction(0), LIE: Fraction(0)}
        for worker in WORKERS:
            answer = RIGHT if chance.random() < 0.7 else LIE
            rule.cast(task, worker, answer)
            weight = worker_weight(rule.crew.member(worker).score)  # type: ignore[arg-type]
            weights[answer] = max(weights[answer], Fraction(1)) * weight
            credibility = weights[answer] / (1 + sum(weights.values()))
            assert (rule.accepted(task) == answer) == (credibility > 1 - Fraction(1, level))


def test_scores_change_as_on_chain() -> None:
    rule = ProofOfContribution(3)
    rule.start(WORKERS, random.Random(1))
    for worker, score in zip(WORKERS, (0, 10, 0), strict=False):
        rule.crew.member(worker).score = score  # type: ignore[arg-type]
    rule.learn(Task(0, votes={"worker-0": RIGHT, "worker-1": LIE, "worker-2": RIGHT}), RIGHT)
    rule.learn(Task(1, votes={"worker-0": RIGHT}), RIGHT)
    assert [rule.crew.member(worker).score for worker in WORKERS[:3]] == [1, 6, 1]  # type: ignore[arg-type]


def test_a_host_is_trusted_after_ten_valid_replicated_results_and_not_after_an_invalid_one() -> None:
    rule = AdaptiveReplication()
    rule.start(WORKERS, random.Random(1))
    replicated = {"worker-0": RIGHT, "worker-1": RIGHT}
    for number in range(10):
        assert not rule.respects("worker-0", Task(0))
        rule.learn(Task(number, votes=replicated, quorum=2), RIGHT)
    assert rule.respects("worker-0", Task(0))
    rule.learn(Task(10, votes={"worker-0": RIGHT}, quorum=1), RIGHT)
    assert rule.consecutive_valid["worker-0"] == 10
    rule.learn(Task(11, votes={"worker-0": LIE, "worker-1": RIGHT, "worker-2": RIGHT}, quorum=2), RIGHT)
    assert rule.consecutive_valid == dict.fromkeys(WORKERS, 0) | {"worker-1": 11, "worker-2": 1}


def test_a_trusted_host_is_checked_once_in_as_many_jobs_as_it_had_valid_in_a_row() -> None:
    rule = AdaptiveReplication()
    rule.start(WORKERS, random.Random(3))
    rule.consecutive_valid["worker-0"] = 20
    replicated = 0
    for number in range(20_000):
        task = Task(number)
        rule.assign([task], ["worker-0"])
        replicated += task.quorum > 1
    rate = wilson(replicated, 20_000)
    assert rate.low <= 1 / 20 <= rate.high


def test_instances_are_added_until_more_than_half_of_the_quorum_agree() -> None:
    rule = AdaptiveReplication(quorum=3)
    rule.start(WORKERS, random.Random(1))
    task = Task(0)
    rule.assign([task], list(WORKERS))
    assert len(task.pending) == 3
    for worker, answer in zip(list(task.pending), "abc", strict=True):
        del task.pending[worker]
        rule.cast(task, worker, answer)
        assert rule.accepted(task) is None
    rule.assign([task], list(WORKERS))
    assert len(task.pending) == 1
    rule.cast(task, *task.pending, "b")
    assert rule.accepted(task) == "b"


def test_a_majority_asks_for_no_more_than_it_misses() -> None:
    rule = MajorityVoting(3)
    rule.start(WORKERS, random.Random(1))
    task = Task(0, votes={"worker-0": "a", "worker-1": "b", "worker-2": "b"})
    rule.assign([task], ["worker-0", "worker-3", "worker-4"])
    assert len(task.pending) == 1
    assert "worker-0" not in task.pending


@pytest.mark.parametrize("rule", [ProofOfContribution(10), MajorityVoting(3), AdaptiveReplication()])
def test_a_pool_without_faults_makes_no_mistake_and_nothing_in_vain(rule: ProofOfContribution) -> None:
    size = Size(tasks=100)
    [slices] = Pool(rule, Faults(), size, "seed").serve().values()
    assert [tally.tasks for tally in slices] == [25] * 4
    assert sum(tally.wrong + tally.undecided + tally.caught + tally.unjust for tally in slices) == 0


def test_a_sly_ring_never_loses_a_vote() -> None:
    for rule in (ProofOfContribution(10), MajorityVoting(2)):
        [slices] = Pool(rule, Faults(ring=Ring.SURE, members=15), Size(tasks=300), "seed").serve().values()
        assert sum(tally.wrong for tally in slices) > 0
        assert sum(tally.caught for tally in slices) == 0


# --- the intervals ---


def test_the_interval_is_wilsons() -> None:
    # R. G. Newcombe (1998) has 81 of 263 at 95 %; at 99 % the score equation itself must hold at both ends.
    rate = wilson(81, 263)
    for end in (rate.low, rate.high):
        assert (rate.value - end) ** 2 == pytest.approx(2.5758293**2 * end * (1 - end) / 263, rel=1e-6)


def test_pools_that_differ_more_than_chance_does_make_the_interval_wider() -> None:
    alike, apart = pooled([10, 10, 10, 10], [100] * 4), pooled([0, 0, 0, 40], [100] * 4)
    assert alike == wilson(40, 400)
    assert apart.value == alike.value
    assert apart.high > alike.high


def test_nothing_seen_is_not_nothing() -> None:
    assert 0 < pooled([0, 0], [1_000, 1_000]).high < 0.01


def test_results_are_kept_by_pool_and_slice() -> None:
    scenario = poco(3, Faults(0.05))
    part = Results({scenario.name: {3: RESULTS.lives[scenario.name][3][:1]}})
    slices = RESULTS.lives[scenario.name][3][0]
    assert part.replicas(scenario, part=slice(0, 1)) == slices[0].replicas / slices[0].tasks
