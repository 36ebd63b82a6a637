"""What a run prints reaches the scheduler in order, at a bounded pace, and costs bounded memory."""

from __future__ import annotations

import asyncio
import threading
import tracemalloc

import pytest

from pyiexec.protocol.messages import Output
from pyiexec.protocol.primitives import TaskId, bytes32
from pyiexec.protocol.printed import KEPT_CHARACTERS, Excerpt, StreamTail
from pyiexec.worker.printouts import ROUND_CHARACTERS, ROUND_SECONDS, Printout, Printouts

pytestmark = pytest.mark.anyio

TASK, OTHER = TaskId(bytes32(1)), TaskId(bytes32(2))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


class SteppedClock:
    """Time that passes when the test says so; rounds are counted."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.go_on = asyncio.Semaphore(0)

    def now(self) -> float:
        return 0.0

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await self.go_on.acquire()


class Line:
    """A channel that notes what is sent."""

    def __init__(self, printouts: Printouts) -> None:
        self.sent: list[Output] = []
        self.arrived = asyncio.Event()
        self.task = asyncio.create_task(printouts.ship(self.send))

    async def send(self, output: Output) -> None:
        self.sent.append(output)
        self.arrived.set()

    async def next(self) -> Output:
        async with asyncio.timeout(5):
            await self.arrived.wait()
        self.arrived.clear()
        return self.sent[-1]

    async def cut(self) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)


def quiet() -> None:
    """Nobody is told."""


async def test_what_is_printed_is_sent_at_once_and_then_round_by_round() -> None:
    clock = SteppedClock()
    printouts = Printouts(clock)
    line = Line(printouts)
    with printouts.of(TASK) as printout:
        printout.write("stdout", b"one\n")
        assert await line.next() == Output(task_id=TASK, stdout=Excerpt("one\n"))
        printout.write("stdout", b"two\n")
        printout.write("stderr", b"oh")
        await asyncio.sleep(0.01)
        assert len(line.sent) == 1
        assert clock.slept == [ROUND_SECONDS]
        clock.go_on.release()
        assert await line.next() == Output(task_id=TASK, stdout=Excerpt("two\n", 4), stderr=Excerpt("oh"))
    await line.cut()


async def test_a_new_connection_is_told_all_that_is_kept() -> None:
    printouts = Printouts(SteppedClock())
    with printouts.of(TASK) as printout:
        for attempt in range(2):
            printout.write("stdout", b"%d" % attempt)
            line = Line(printouts)
            assert (await line.next()).stdout == Excerpt("01"[: attempt + 1])
            await line.cut()


async def test_a_run_that_floods_is_sent_in_shares_and_its_end_is_never_lost() -> None:
    clock = SteppedClock()
    printouts = Printouts(clock)
    line, seen = Line(printouts), StreamTail(limit=1 << 30)
    with printouts.of(TASK) as flood, printouts.of(OTHER) as quiet_one:
        quiet_one.write("stdout", b"me too")
        flood.write("stdout", b"x" * 10 * KEPT_CHARACTERS + b"end")
        while seen.end < 10 * KEPT_CHARACTERS + 3:
            clock.go_on.release()
            await line.next()
            for output in line.sent:
                assert len(output.stdout.text) <= ROUND_CHARACTERS // 4
                if output.task_id == TASK:
                    seen.join(output.stdout)
        assert seen.since(0).text.endswith("xend")
        assert any(output.task_id == OTHER for output in line.sent)
        # A gap, not a queue: what was no longer kept was never sent.
        assert sum(len(output.stdout.text) for output in line.sent) <= KEPT_CHARACTERS + 6 + ROUND_CHARACTERS
    await line.cut()


def test_a_gigabyte_costs_no_more_memory_than_is_kept() -> None:
    printout = Printout(quiet)
    block = b"0123456789abcdef" * 65_536
    tracemalloc.start()
    try:
        for _ in range(1024):
            printout.write("stdout", block)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    printed = printout.end()
    assert printed.stdout.end == 1 << 30
    assert len(printed.stdout.text) == KEPT_CHARACTERS
    assert peak < 2 << 20


def test_a_character_cut_by_two_writes_is_one_and_one_cut_by_the_end_is_marked() -> None:
    printout = Printout(quiet)
    euro = "€".encode()
    printout.write("stdout", euro[:1])
    printout.write("stderr", b"\xff\x00\x1b[31m<b>")
    printout.write("stdout", euro[1:] + euro[:2])
    printed = printout.end()
    assert printed.stdout.text == "€\N{REPLACEMENT CHARACTER}"
    assert printed.stderr.text == "\N{REPLACEMENT CHARACTER}\x00\x1b[31m<b>"


async def test_threads_print_while_the_channel_reads() -> None:
    clock = SteppedClock()
    printouts = Printouts(clock)
    line, seen = Line(printouts), StreamTail(limit=1 << 20)
    with printouts.of(TASK) as printout:
        lines = [b"%05d\n" % number for number in range(5_000)]
        thread = threading.Thread(target=lambda: [printout.write("stdout", text) for text in lines])
        thread.start()
        while seen.end < 6 * len(lines):
            clock.go_on.release()
            seen.join((await line.next()).stdout)
        thread.join()
    assert seen.since(0).text == b"".join(lines).decode()
    await line.cut()


async def test_nothing_is_sent_of_a_run_that_has_ended() -> None:
    printouts = Printouts(SteppedClock())
    with printouts.of(TASK) as printout:
        printout.write("stdout", b"over")
    line = Line(printouts)
    await asyncio.sleep(0.01)
    assert line.sent == []
    await line.cut()
