from pyiexec.protocol.deadlines import Deadlines, deadlines, reveal_deadline


def test_deadlines_are_multiples_of_the_reference_time() -> None:
    assert deadlines(1_000, 300) == Deadlines(contribution=1_000 + 35 * 60, final=1_000 + 50 * 60)
    assert reveal_deadline(2_000, 300) == 2_000 + 10 * 60
