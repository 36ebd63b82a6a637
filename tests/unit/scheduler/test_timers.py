"""Deadlines in chain time."""

from __future__ import annotations

from pyiexec.protocol.primitives import TaskId, bytes32
from pyiexec.scheduler.timers import ChainTime, Timers

ONE, TWO = TaskId(bytes32(1)), TaskId(bytes32(2))


class HandClock:
    """A clock that tests turn by hand."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return 1_700_000_000 + self.time

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds


def test_the_newest_block_says_what_time_it_is() -> None:
    time = ChainTime(HandClock())
    assert time.now() == 1_700_000_000
    time.observe(5_000)
    assert time.now() == 5_000


def test_between_blocks_time_goes_on_at_the_pace_of_the_machine() -> None:
    clock = HandClock()
    time = ChainTime(clock)
    time.observe(5_000)
    clock.time += 7.5
    assert time.now() == 5_007
    time.observe(5_002)
    assert time.now() == 5_002


def test_everybody_is_woken_once_and_in_time() -> None:
    timers = Timers()
    assert timers.put(ONE, 20)
    assert timers.put(TWO, 10)
    assert timers.earliest() == 10
    assert timers.take_due(9) == []
    assert timers.take_due(25) == [TWO, ONE]
    assert timers.earliest() is None


def test_a_later_word_replaces_an_earlier_one() -> None:
    timers = Timers()
    timers.put(ONE, 10)
    timers.put(ONE, 30)
    timers.put(TWO, 20)
    timers.put(TWO, None)
    assert timers.take_due(25) == []
    assert timers.take_due(30) == [ONE]


def test_an_hour_may_be_put_back_to_what_it_was() -> None:
    timers = Timers()
    timers.put(ONE, 10)
    timers.put(ONE, 20)
    timers.put(ONE, 10)
    assert timers.take_due(10) == [ONE]
    assert timers.take_due(99) == []
