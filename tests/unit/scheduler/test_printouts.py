"""How much of what a worker sends is listened to, and what is counted of a scheduler's work."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.scheduler.model import address

from pyiexec.protocol.messages import Capabilities
from pyiexec.protocol.workflow import Phase
from pyiexec.scheduler.crew import Crew
from pyiexec.scheduler.figures import figures
from pyiexec.scheduler.printouts import BURST, LASTING_RATE, Allowance
from pyiexec.scheduler.stakes import Stake
from pyiexec.scheduler.store import Stored
from pyiexec.scheduler.tally import Tally
from pyiexec.worker.printouts import ROUND_CHARACTERS, ROUND_SECONDS

#: Characters sent, and seconds since the time before.
sendings = st.lists(st.tuples(st.integers(0, 300_000), st.floats(0, 3)), max_size=60)


@given(sendings)
def test_a_worker_is_never_heard_beyond_its_burst_and_rate(sent: list[tuple[int, float]]) -> None:
    allowance, now, heard = Allowance(BURST, 0.0), 0.0, 0
    for characters, pause in sent:
        now += pause
        after = allowance.spend(characters, now)
        if after is not None:
            allowance, heard = after, heard + characters
        assert heard <= BURST + now * LASTING_RATE + 1
        assert 0 <= allowance.left <= BURST


def test_an_honest_worker_is_heard_whole_for_ever() -> None:
    allowance: Allowance | None = Allowance(BURST, 0.0)
    for number in range(1, 5_000):
        assert allowance is not None
        allowance = allowance.spend(ROUND_CHARACTERS, number * ROUND_SECONDS)
    assert allowance is not None


def stored(**phases: int) -> Stored:
    return Stored(deals={}, unread=[], tasks=[], members=[], phases=dict(phases), newest_deal_block=7 if phases else 0)


def test_what_was_stored_is_counted_on() -> None:
    tally = Tally(stored(COMPLETED=3, RUNNING=2))
    tally.moved(Phase.RUNNING, Phase.COMPLETED)
    tally.moved(None, Phase.RECEIVED)
    tally.deal_noticed(9, again=False)
    tally.deal_noticed(8, again=True)
    shown = figures(Crew(), tally, None, None)
    counts = shown.current_task_statuses_count
    assert (counts["COMPLETED"], counts["RUNNING"], counts["RECEIVED"], counts["FAILED"]) == (4, 1, 1, 0)
    assert (shown.deals_count, shown.deal_events_count, shown.latest_block_number_with_deal) == (1, 2, 9)
    assert shown.latest_block_metric is None


def test_processors_are_those_of_workers_in_reach() -> None:
    crew = Crew()
    for number, (slots, in_reach) in enumerate([(4, True), (2, True), (8, False)]):
        member = crew.member(address(number))
        member.offers(Capabilities(slots=slots, gpus=number))
        member.in_reach = in_reach
    crew.member(address(0)).computing = {1, 2, 3}  # type: ignore[arg-type]
    shown = figures(crew, Tally(stored()), None, Stake(free=40, locked=7, needed=100))
    assert shown.alive_workers == 2
    assert shown.stake is not None
    assert (shown.stake.free, shown.stake.locked, shown.stake.needed, shown.stake.short) == (40, 7, 100, 60)
    assert (shown.alive_registered_cpu, shown.alive_computing_cpu, shown.alive_available_cpu) == (6, 3, 3)
    assert (shown.alive_registered_gpu, shown.alive_computing_gpu, shown.alive_available_gpu) == (1, 0, 1)
