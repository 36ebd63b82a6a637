"""What holds for every history of the model, and what a refused call leaves behind: nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pyiexec.protocol.ledger import Holdings, HubEvent, discrepancies, replay
from pyiexec.protocol.poco import Refusal
from pyiexec.protocol.primitives import TaskId
from pyiexec.protocol.tasks import TASK_TRANSITIONS, TaskStatus

from .market import ADMIN, POOL, REQUESTER, RLC, SCHEDULER, SPONSOR, START, TIMEREF, WORKERS, Market

Step = tuple[str, int, int, int]

_STEPS = (
    *("match", "sponsor", "boost", "initialize", "contribute", "contribute", "dissent", "reveal", "reveal", "finalize"),
    *("shortcut", "reopen", "claim", "claim boost", "withdraw", "transfer", "recover", "policy", "wait"),
)
steps = st.lists(
    st.tuples(st.sampled_from(_STEPS), st.integers(0, 5), st.integers(0, 5), st.integers(0, 3)), max_size=60
)


def state_of(market: Market) -> dict[str, Any]:
    """A copy of all there is."""
    parts = {"hub": market.hub, "token": market.token, "apps": market.apps, "pools": market.pools}
    return {
        f"{owner} {name}": dict(table)
        for owner, part in parts.items()
        for name, table in vars(part).items()
        if isinstance(table, dict)
    }


def pick(options: Any, number: int) -> Any:
    options = list(options)
    return options[number % len(options)]


class Play:
    """Takes steps; whatever comes of them."""

    def __init__(self) -> None:
        self.market = Market(funds=0)
        funded = (REQUESTER, SPONSOR, SCHEDULER, *WORKERS)
        deposits = self.market.hub.deposit_for_array([100 * RLC] * len(funded), funded, sender=ADMIN)
        self.told = deposits.events
        self.now = START
        self.tasks: list[TaskId] = []

    def call(self, step: Step) -> Callable[[], Any]:
        """What the step does, with what there is at hand."""
        name, first, second, third = step
        market, hub, now = self.market, self.market.hub, self.now
        worker, task = WORKERS[first], pick(self.tasks or [TaskId("0x" + "00" * 32)], second)
        deals = [*hub.deals] or [task]
        terms: dict[str, Any] = {"volume": 1 + third, "trust": pick([1, 2, 4, 9], second), "dataset": first > 2}
        boosted = [*hub.boost_deals] or [task]
        return {
            "match": lambda: hub.match_orders(*market.orders(**terms), sender=REQUESTER, now=now),
            "sponsor": lambda: hub.sponsor_match_orders(*market.orders(**terms), sender=SPONSOR, now=now),
            "boost": lambda: hub.match_orders_boost(*market.orders(**terms | {"trust": 1}), now=now),
            "initialize": lambda: self.tasks.append(hub.initialize(pick(deals, second), third).value),
            "contribute": lambda: market.contribute(task, worker, now=now),
            "dissent": lambda: market.contribute(task, worker, b"wrong", now=now),
            "reveal": lambda: market.reveal(task, worker, now=now),
            "finalize": lambda: market.finalize(task, now=now),
            "shortcut": lambda: market.shortcut(task, worker, now=now),
            "reopen": lambda: hub.reopen(task, sender=SCHEDULER, now=now),
            "claim": lambda: hub.claim_array([task] * (1 + third // 3), now=now),
            "claim boost": lambda: hub.claim_boost(pick(boosted, second), third, now=now),
            "withdraw": lambda: hub.withdraw(10**9 * 4**third, sender=worker),
            "transfer": lambda: hub.transfer(SPONSOR, 10**9 * 8**third, sender=worker),
            "recover": lambda: hub.recover(sender=pick([ADMIN, worker], third)),
            "policy": lambda: market.pools.change_policy(POOL, 30 * third, 40 * third, sender=SCHEDULER),
            "wait": lambda: self.wait(pick([1, 2 * TIMEREF, 7 * TIMEREF, 10 * TIMEREF], third)),
        }[name]

    def wait(self, seconds: int) -> None:
        self.now += seconds


@settings(deadline=None)
@given(steps)
def test_money_is_conserved_and_a_refused_call_changes_nothing(story: list[Step]) -> None:
    play = Play()
    for step in story:
        before = state_of(play.market)
        try:
            play.call(step)()
        except Refusal:
            assert state_of(play.market) == before
        assert play.market.conserved()


@settings(deadline=None)
@given(steps)
def test_tasks_only_take_the_steps_they_may(story: list[Step]) -> None:
    play = Play()
    for step in story:
        before = {name: task.status for name, task in play.market.hub.tasks.items()}
        try:
            play.call(step)()
        except Refusal:
            continue
        for name, task in play.market.hub.tasks.items():
            last = before.get(name, TaskStatus.UNSET)
            ended_by_boost = name not in play.tasks
            assert task.status is last or task.status in TASK_TRANSITIONS[last] or ended_by_boost


@settings(deadline=None)
@given(steps)
def test_the_events_of_all_calls_tell_every_balance(story: list[Step]) -> None:
    play = Play()
    hub, told = play.market.hub, list(play.told)
    for step in story:
        try:
            outcome = play.call(step)()
        except Refusal:
            continue
        told += outcome.events if outcome else ()
    events = [HubEvent(each.name, each.fields, "", 0) for each in told if each.emitter == hub.address]
    replayed = replay(events)
    on_chain = {who: Holdings(hub.balance_of(who), hub.frozen_of(who)) for who in replayed}
    held = play.market.token.balance_of(hub.address)
    assert not discrepancies(replayed, on_chain, hub.address, hub.total_supply, held)
    assert replayed.keys() >= {who for who, amount in hub.free.items() if amount}
