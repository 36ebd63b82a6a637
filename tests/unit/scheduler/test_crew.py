"""What the scheduler thinks of its workers."""

from __future__ import annotations

from tests.unit.scheduler.model import address

from pyiexec.scheduler.crew import RIGHT_FOR_WRONG, Crew


def test_a_worker_found_wrong_is_doubtful_until_it_has_been_right_often_enough() -> None:
    crew, worker = Crew(), address(1)
    member = crew.member(worker)
    assert not member.doubtful
    crew.scored(worker, accurate=False)
    for _ in range(RIGHT_FOR_WRONG):
        assert member.doubtful
        crew.scored(worker, accurate=True)
    assert not member.doubtful


def test_scores_follow_the_chain() -> None:
    crew, worker = Crew(), address(1)
    member = crew.member(worker)
    member.score = 30
    crew.scored(worker, accurate=True)
    assert (member.score, member.weight) == (31, 9)
    crew.scored(worker, accurate=False)
    assert member.score == 20
    crew.scored(address(2), accurate=True)
    assert address(2) not in crew.members
