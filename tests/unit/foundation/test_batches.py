"""What is asked for at once is done together, and nobody's trouble is anybody else's."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from pyiexec.foundation.batches import Batches


class Work:
    """Doubles numbers, a batch whenever it is let."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.begun = asyncio.Event()
        self.gate = asyncio.Event()
        self.failure: Exception | None = None

    async def __call__(self, numbers: Sequence[int]) -> Sequence[int]:
        self.batches.append(list(numbers))
        self.begun.set()
        await self.gate.wait()
        if self.failure is not None:
            raise self.failure
        return [2 * number for number in numbers]


def test_who_comes_while_a_batch_is_under_way_shares_the_next() -> None:
    async def check() -> None:
        work = Work()
        batches = Batches(work, limit=3)
        first = asyncio.create_task(batches.add(0))
        await work.begun.wait()
        others = [asyncio.create_task(batches.add(number)) for number in range(1, 6)]
        await asyncio.sleep(0)
        work.gate.set()
        assert await asyncio.gather(first, *others) == [0, 2, 4, 6, 8, 10]
        assert work.batches == [[0], [1, 2, 3], [4, 5]]

    asyncio.run(check())


def test_a_failure_is_told_to_all_of_its_batch_and_to_nobody_after_it() -> None:
    async def check() -> None:
        work = Work()
        batches = Batches(work, limit=10)
        work.failure = ValueError("no")
        together = [asyncio.create_task(batches.add(number)) for number in range(3)]
        work.gate.set()
        assert [str(error) for error in await asyncio.gather(*together, return_exceptions=True)] == ["no"] * 3
        work.failure = None
        assert await batches.add(4) == 8

    asyncio.run(check())


def test_a_caller_that_goes_away_holds_nobody_up() -> None:
    async def check() -> None:
        work = Work()
        batches = Batches(work, limit=10)
        callers = [asyncio.create_task(batches.add(number)) for number in range(3)]
        await work.begun.wait()
        callers[0].cancel()
        work.gate.set()
        with pytest.raises(asyncio.CancelledError):
            await callers[0]
        assert await asyncio.gather(*callers[1:]) == [2, 4]

    asyncio.run(check())


def test_who_waits_when_the_loop_ends_is_told_so() -> None:
    async def check() -> None:
        work = Work()
        batches = Batches(work, limit=1)
        callers = [asyncio.create_task(batches.add(number)) for number in range(3)]
        await work.begun.wait()
        (task,) = asyncio.all_tasks() - {asyncio.current_task(), *callers}
        task.cancel()
        outcomes = await asyncio.gather(*callers, return_exceptions=True)
        assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)

    asyncio.run(check())
