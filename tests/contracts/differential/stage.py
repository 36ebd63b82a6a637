"""Directed stories: each is told on a stage of its own, and says beforehand what is going to happen."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from pyiexec.protocol import ids
from pyiexec.protocol.primitives import NULL_BYTES32, Bytes32, OrderHash, bytes32

from . import moves
from .chain import Chain
from .coverage import Coverage
from .moves import view
from .player import Player
from .worlds import KINDS, Call, OrderPlan, Outcome

TEE, FRAMEWORK, GPU = 1, 2, 256
#: Reference time by category, seconds.
TIMEREFS = (300, 1_200)
WORKERS = tuple(f"worker {number}" for number in range(7))
PEOPLE = ("app owner", "dataset owner", "scheduler", "requester", "sponsor", "stranger", *WORKERS)
OWNERS = {
    "app 0": "app owner",
    "app 1": "requester",
    "dataset 0": "dataset owner",
    "dataset 1": "scheduler",
    "workerpool 0": "scheduler",
    "workerpool 1": "worker 0",
}
STAKE = 10**14
RIGHT, WRONG = b"right", b"wrong"

Changes = Mapping[str, Mapping[str, Any]]


class Refusal(msgspec.Struct, frozen=True):
    """A call that both hubs have to refuse.

    Attributes:
        reason: what the published hub says; empty when it says nothing.
        row: name of a refusal without a reason.
    """

    call: Call
    reason: str = ""
    row: str = ""


class Deal(msgspec.Struct, frozen=True):
    """A deal that was made.

    Attributes:
        at: the second of the match.
        timeref: seconds, unit of its deadlines.
    """

    name: str
    plans: Sequence[OrderPlan]
    first: int
    volume: int
    at: int
    timeref: int

    @property
    def scheduler(self) -> str:
        return OWNERS[self.plans[2].fields["workerpool"]]

    @property
    def contributions_end(self) -> int:
        return self.at + 7 * self.timeref

    @property
    def ends(self) -> int:
        return self.at + 10 * self.timeref


class Stage(Player):
    """Where a story takes place."""

    numbers = itertools.count(1_000_000)

    def __init__(self, chain: Chain, coverage: Coverage, title: str, seed: int) -> None:
        super().__init__(chain, coverage, title)
        self.dice = random.Random(f"{title} {seed}")
        self.now = chain.now()
        self.deals: list[Deal] = []
        self.tasks: dict[str, Deal] = {}
        self.consumed: dict[int, int] = {}

    # --- what happens ---------------------------------------------------------------------------------------------

    def later(self, seconds: int = 0) -> int:
        """A moment that was not yet."""
        self.now += seconds or self.dice.randint(1, 5)
        return self.now

    def at(self, moment: int) -> int:
        """The second `moment`, which is still to come."""
        assert moment > self.now, "too late"
        self.now = moment
        return moment

    def do(self, call: Call, *, at: int = 0) -> Outcome:
        """A call that succeeds."""
        return self.do_all([call], at=at)[0]

    def do_all(self, calls: Sequence[Call], *, at: int = 0) -> list[Outcome]:
        """Calls that succeed and do not depend on each other."""
        outcomes = self.make_all(calls, at or self.later())
        for call, outcome in zip(calls, outcomes, strict=True):
            if not outcome.succeeded:
                raise self.fail(f"should have succeeded: {call}: {outcome}")
        return outcomes

    def refuse(self, call: Call, reason: str = "", *, row: str = "", at: int = 0) -> None:
        """A call that is refused."""
        self.refuse_all([Refusal(call, reason, row)], at=at)

    def refuse_all(self, refusals: Iterable[Refusal], *, at: int = 0) -> None:
        """Calls that are refused."""
        refusals = list(refusals)
        rows = [refusal.row for refusal in refusals]
        outcomes = self.make_all([refusal.call for refusal in refusals], at or self.later(), rows)
        for refusal, outcome in zip(refusals, outcomes, strict=True):
            self._check(refusal, outcome)

    def see(self, *questions: Call) -> None:
        """Views that answer."""
        for call, outcome in zip(questions, self.ask(questions, counted=True), strict=True):
            if not outcome.succeeded:
                raise self.fail(f"should have answered: {call}: {outcome}")

    def see_refused(self, call: Call, reason: str = "", *, row: str = "") -> None:
        """A view that refuses."""
        outcome = self.ask([call])[0]
        self.coverage.note(call, outcome, row, transaction=False)
        self._check(Refusal(call, reason, row), outcome)

    def _check(self, refusal: Refusal, outcome: Outcome) -> None:
        if outcome.succeeded or outcome.reason != refusal.reason:
            raise self.fail(f"should have been refused for {refusal.reason or refusal.row}: {refusal.call}: {outcome}")

    # --- orders and deals -----------------------------------------------------------------------------------------

    def plan(self, kind: str, fields: Mapping[str, Any], signer: str, flavour: str = "") -> OrderPlan:
        """An order that nobody has seen yet."""
        number = next(self.numbers)
        flavour = flavour or self.dice.choice(["plain", "plain", "compact"])
        return OrderPlan(number, kind, {**fields, "salt": bytes32(number)}, signer, flavour)

    def four(
        self,
        changes: Changes | None = None,
        *,
        dataset: bool | None = None,
        pool: str = "",
        tag: int = 0,
        prices: tuple[int, int, int] | None = None,
        volume: int = 1,
        trust: int = 1,
        category: int | None = None,
        callback: str = "nobody",
        requester: str = "requester",
        signers: Mapping[str, str] | None = None,
        flavours: Mapping[str, str] | None = None,
    ) -> list[OrderPlan]:
        """Orders that fit together, but for the changes; what is not said is drawn."""
        dice = self.dice
        app = dice.choice(["app 0", "app 1"])
        some = dice.choice(["dataset 0", "dataset 1"]) if dice.random() < 0.5 else "nobody"
        if dataset is not None:
            some = dice.choice(["dataset 0", "dataset 1"]) if dataset else "nobody"
        pool = pool or dice.choice(["workerpool 0", "workerpool 1"])
        category = dice.choice([0, 1]) if category is None else category
        app_price, dataset_price, pool_price = prices or (
            dice.choice([0, 1, 1000]),
            dice.choice([0, 10**6]),
            dice.choice([1, 7, 10**9, 10**9 + 15]),
        )
        dataset_price = dataset_price if some != "nobody" else 0
        bag = {"tag": bytes32(tag) if tag else NULL_BYTES32, "volume": volume}
        fields: dict[str, dict[str, Any]] = {
            "app": {"app": app, "appprice": app_price} | bag,
            "dataset": {"dataset": some, "datasetprice": dataset_price} | bag | {"tag": NULL_BYTES32},
            "workerpool": {"workerpool": pool, "workerpoolprice": pool_price, "category": category} | bag,
            "request": {
                "app": app,
                "appmaxprice": app_price + dice.choice([0, 5]),
                "dataset": some,
                "datasetmaxprice": dataset_price + dice.choice([0, 5]),
                "workerpool": dice.choice(["nobody", pool]),
                "workerpoolmaxprice": pool_price,
                "requester": requester,
                "category": category,
                "trust": trust,
                "beneficiary": dice.choice([requester, "nobody", "stranger"]),
                "callback": callback,
                "params": dice.choice(["", '{"iexec_args":"1"}', '{"bulk_cid":"' + "x" * 300 + '"}']),
            }
            | bag,
        }
        fields["workerpool"]["trust"] = max(trust, 10)
        for kind, change in (changes or {}).items():
            fields[kind] |= change
        signed_by = {kind: OWNERS.get(str(fields[kind][kind]), "") for kind in KINDS[:3]}
        signed_by |= {"request": str(fields["request"]["requester"])} | dict(signers or {})
        flavours = flavours or {}
        return [self.plan(kind, fields[kind], signed_by[kind], flavours.get(kind, "")) for kind in KINDS]

    def match(self, plans: Sequence[OrderPlan], *, sponsor: str = "", boost: bool = False) -> Deal:
        """Make a deal of the orders."""
        name = ("sponsorMatchOrders" if sponsor else "matchOrders") + ("Boost" if boost else "")
        request = plans[3]
        first = self.consumed.get(request.number, 0)
        title = f"deal {next(self.numbers)}"
        for world in self.chain.worlds:
            world.call_it(title, ids.deal_id(OrderHash(Bytes32(world.order_hash(request))), first))
        outcome = self.do(moves.orders(sponsor or self.dice.choice(PEOPLE), name, plans))
        volume = next(fields["volume"] for _, event, fields in outcome.events if event == "OrdersMatched")
        self.consumed[request.number] = first + volume
        deal = Deal(title, plans, first, volume, self.now, TIMEREFS[request.fields["category"]])
        self.deals.append(deal)
        return deal

    def deal(self, *, sponsor: str = "", boost: bool = False, **orders: Any) -> Deal:
        """A deal of fresh orders."""
        return self.match(self.four(**orders), sponsor=sponsor, boost=boost)

    def start(self, deal: Deal, index: int | None = None) -> str:
        """Initialize a task; its name."""
        index = deal.first if index is None else index
        task = self.name_task(deal, index)
        self.do(moves.hub(self.dice.choice(PEOPLE), "initialize", deal.name, index))
        return task

    def name_task(self, deal: Deal, index: int) -> str:
        """The name of a task, started or not."""
        for world in self.chain.worlds:
            task = world.task(deal.name, index)
        self.tasks[task] = deal
        return task

    def task(self, **orders: Any) -> tuple[str, Deal]:
        """A task of a deal of its own."""
        deal = self.deal(**orders)
        return self.start(deal), deal

    def vote(self, task: str, votes: Mapping[str, bytes], **papers: Any) -> None:
        """Contributions, one after the other."""
        for worker, result in votes.items():
            self.do(moves.contribute(worker, task, result, signer=self.tasks[task].scheduler, **papers))

    # --- the end --------------------------------------------------------------------------------------------------

    def look(self) -> None:
        """Compare everything there is."""
        questions = [view("viewDeal", deal.name) for deal in self.deals]
        plans = [plan for deal in self.deals for plan in deal.plans]
        questions += [view("viewConsumed", f"hash of {plan.kind} order {plan.number}") for plan in plans]
        for task in self.tasks:
            questions += [view("viewTask", task), view("resultFor", task)]
            questions += [view("viewContribution", task, worker) for worker in WORKERS]
        questions += [view("viewAccount", name) for name in (*PEOPLE, "yes", "kitty", "hub", "admin")]
        questions += [view("viewScore", worker) for worker in WORKERS]
        questions += [view("totalSupply"), view("countCategory")]
        self.ask(questions)


Scene = Callable[[Stage], None]
