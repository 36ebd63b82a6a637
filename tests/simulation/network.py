"""The whole network: a chain, a workerpool with its scheduler, workers good and bad, requesters, and their bad luck."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec
import structlog

from pyiexec.chain.signer import Signer
from pyiexec.protocol import ids
from pyiexec.protocol.money import KITTY_ADDRESS
from pyiexec.protocol.orders import NO_DATASET, AppOrder, Order, RequestOrder, WorkerpoolOrder
from pyiexec.protocol.poco import Refusal
from pyiexec.protocol.poco.token import SUPPLY
from pyiexec.protocol.primitives import Address, DealId, ResultDigest, TaskId, bytes32, to_bytes, to_hex
from pyiexec.protocol.tasks import TaskStatus
from pyiexec.scheduler.crew import Member
from pyiexec.scheduler.engine import Engine
from pyiexec.scheduler.rules import Policy
from pyiexec.scheduler.state import TaskState
from tests.simulation import oracle
from tests.simulation.agenda import Agenda
from tests.simulation.chain import TIMEREF, Block, Chain, Transaction, account, key_of
from tests.simulation.characters import HONEST, population, right_result
from tests.simulation.faults import STORM, Faults, Weather
from tests.simulation.ghost import GhostPool
from tests.simulation.invariants import GRACE, Invariants
from tests.simulation.machine import Machine
from tests.simulation.pool import Pool
from tests.simulation.wire import Connection

APP_PRICE, POOL_PRICE = 1_000, 10_000_003
#: nRLC that everybody has staked to begin with.
STAKE = 10**14
TRUST_LEVELS = (1, 2, 5, 10, 20, 50)
#: Workers of the pool that signs ghosts.
HAUNTED = 4
REQUESTERS = 5


@dataclass(frozen=True)
class Plan:
    """What is simulated.

    Attributes:
        bag: tasks of a deal.
        open: tasks that may be unfinished before the next deal is made.
    """

    tasks: int = 500
    workers: int = 100
    bag: int = 10
    open: int = 90
    trust_levels: tuple[int, ...] = TRUST_LEVELS
    weather: Weather = field(default_factory=Weather)

    def command(self, seed: int) -> str:
        """The command that runs this plan from a seed."""
        options = f"--seed {seed} --tasks {self.tasks} --workers {self.workers} --bag {self.bag} --open {self.open}"
        return f"python -m tests.simulation {options}{' --storm' if self.weather == STORM else ''}"


@dataclass
class Level:
    """What came of the tasks of one trust level."""

    tasks: int = 0
    completed: int = 0
    wrong: int = 0
    failed: int = 0
    replicas: int = 0
    fewest: int = 0


@dataclass
class Outcome:
    """What came of it all.

    Attributes:
        unended: tasks that are neither completed nor refunded.
        unjust: stakes that honest workers lost to wrong results.
        digest: of all that was noted; the same for the same seed and plan.
        gone: tasks of deals that a reorganisation undid for good.
    """

    levels: dict[int, Level]
    unended: int
    unjust: int
    steps: int
    seconds: float
    digest: str
    gone: int
    refused_matches: int
    happened: dict[str, int]


class Network:
    """All parts, wired.

    Attributes:
        calm: nothing goes wrong any more, so that what is under way can end.
    """

    def __init__(self, seed: int, plan: Plan) -> None:
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        self.agenda = Agenda(seed, plan.command(seed))
        self.plan = plan
        self.calm = False
        self.kitty = KITTY_ADDRESS
        self.content: dict[str, ResultDigest] = {}
        self.chain = Chain(self.agenda)
        self.hub = self.chain.hub
        self.invariants = Invariants(self.agenda, self)
        self._holders: dict[TaskId, dict[Address, Machine]] = {}
        self._chance = self.agenda.chance("network")
        self._found: dict[TaskId, int] = {}
        self._free: list[tuple[Member, bool]] = []
        self._made = self._refused = 0
        self._salt = 0
        self._deals: list[tuple[int, DealId]] = []
        self._pending_matches = 0
        self._live: set[TaskId] = set()
        self._deal_of: dict[TaskId, DealId] = {}
        self._set_up(plan)

    def _set_up(self, plan: Plan) -> None:
        chain = self.chain
        owner, haunter = key_of("pool owner"), key_of("ghost owner")
        self._app_owner = key_of("app owner")
        self._app, workerpool, ghosts = account("app"), account("workerpool"), account("ghost pool")
        chain.apps.create(self._app, self._app_owner.address)
        chain.workerpools.create(workerpool, owner.address)
        chain.workerpools.create(ghosts, haunter.address)
        self.pool = Pool(self, owner, workerpool, Policy())
        self.ghosts = GhostPool(self, haunter, ghosts)
        self.machines: dict[Address, Machine] = {}
        for number, character in enumerate(population(plan.workers)):
            signer = key_of(f"worker {number}")
            self.machines[signer.address] = Machine(self, signer, character, workerpool)
        self._haunted = [key_of(f"haunted {number}") for number in range(HAUNTED)]
        for signer in self._haunted:
            self.machines[signer.address] = Machine(self, signer, HONEST, ghosts)
        self._honest = {address for address, machine in self.machines.items() if machine.character.honest}
        self._requesters = [key_of(f"requester {number}") for number in range(REQUESTERS)]
        for who in (owner.address, haunter.address, *self.machines, *(r.address for r in self._requesters)):
            chain.fund(who, STAKE)
        self.faults = Faults(self, plan.weather)
        self._orders = self._offers(owner)
        chain.on_block = self._block_made

    # --- orders -------------------------------------------------------------------------------------------------------

    def _signed(self, order: Order, signer: Signer) -> Any:
        return msgspec.structs.replace(order, sign=to_hex(signer.sign_digest(to_bytes(self.hub.hash(order)))))

    def _offers(self, owner: Signer) -> tuple[AppOrder, WorkerpoolOrder]:
        app = AppOrder(app=self._app, appprice=APP_PRICE, volume=10**9)
        pool = WorkerpoolOrder(
            workerpool=self.pool.workerpool, workerpoolprice=POOL_PRICE, volume=10**9, trust=2**24 - 1
        )
        return self._signed(app, self._app_owner), self._signed(pool, owner)

    def _buy(self) -> None:
        """Make the next deal, as long as there are tasks to sell and not too many under way."""
        self.agenda.after(0.2, self._buy)
        left = self.plan.tasks - self._made
        busy = len(self._live) + self._pending_matches
        if left <= 0 or busy >= self.plan.open:
            return
        trust = self.plan.trust_levels[(self._salt) % len(self.plan.trust_levels)]
        requester = self._requesters[self._chance.randrange(len(self._requesters))]
        volume = min(self.plan.bag, left)
        self._salt += 1
        order = RequestOrder(
            app=self._app,
            appmaxprice=APP_PRICE,
            workerpoolmaxprice=POOL_PRICE,
            requester=requester.address,
            volume=volume,
            trust=trust,
            salt=bytes32(self._salt),
        )
        request = self._signed(order, requester)
        self._made += volume
        self._pending_matches += volume
        if self._chance.random() < 0.03:
            self._drain(requester.address)

        def done(refusal: Refusal | None) -> None:
            self._pending_matches -= volume
            if refusal is not None:
                self._refused += 1
                self._made -= volume

        app, pool = self._orders
        self.chain.send(
            Transaction(
                f"match {self._salt}",
                account("matcher"),
                lambda now: self.hub.match_orders(app, NO_DATASET, pool, request, sender=account("matcher"), now=now),
                done,
            )
        )

    def _drain(self, requester: Address) -> None:
        """A requester takes its money away while its order is about to be matched, and brings it back later."""
        self.agenda.note("drained", requester)
        taken: list[int] = []

        def withdraw(_now: int) -> Any:
            amount = self.hub.balance_of(requester)
            taken[:] = [amount]
            return self.hub.withdraw(amount, sender=requester)

        def bring_back(_now: int) -> Any:
            amount = self.chain.token.balance_of(requester)
            self.chain.token.approve(self.hub.address, amount, sender=requester)
            return self.hub.deposit(amount, sender=requester)

        def ignore(_refusal: Refusal | None) -> None:
            """Whatever came of it, the money is somewhere."""

        self.chain.send(Transaction(f"withdraw {requester}", requester, withdraw, ignore))
        back = Transaction(f"deposit {requester}", requester, bring_back, ignore)
        self.agenda.after(self._chance.uniform(2.0, 8.0), lambda: self.chain.send(back))

    # --- wiring -------------------------------------------------------------------------------------------------------

    def connect(self, machine: Machine) -> Connection | None:
        """A connection of a worker to its pool; None while that is out of reach."""
        pool = self.pool if machine.workerpool == self.pool.workerpool else self.ghosts
        if not self._in_reach(machine):
            return None
        connection = Connection(self.agenda, machine.address, self.faults, lambda: self._in_reach(machine))
        pool.accept(machine, connection)
        return connection

    def _in_reach(self, machine: Machine) -> bool:
        if machine.cut or not machine.up:
            return False
        return machine.workerpool != self.pool.workerpool or (self.pool.up and not self.pool.cut)

    def silence(self, machine: Machine) -> None:
        """A machine was cut off: both ends of its channel give it up in a while, unless the partition is short."""
        connection = machine.channel.connection

        def notice() -> None:
            if machine.cut and connection is not None:
                connection.close("silence")

        self.agenda.after(5.0, notice)

    def scheduler_died(self) -> None:
        """Have somebody start it again."""
        self.faults.revive_scheduler()

    def hold(self, task_id: TaskId, machine: Machine, *, held: bool) -> None:
        """A worker takes part in a task, or does not any more."""
        holders = self._holders.setdefault(task_id, {})
        if held:
            holders[machine.address] = machine
        else:
            holders.pop(machine.address, None)

    def holders(self, task_id: TaskId) -> list[Machine]:
        """Workers that hold something of a task."""
        return list(self._holders.get(task_id, {}).values())

    def tasks_of(self, deal_id: DealId) -> list[TaskId]:
        """The tasks of a deal, also when a reorganisation undid it."""
        return [ids.task_id(deal_id, index) for index in range(self.plan.bag)]

    def young_deals(self, since: int) -> Iterator[DealId]:
        """Deals whose tasks may have passed their final deadline in the last minutes."""
        for start, deal_id in reversed(self._deals):
            if start + 10 * TIMEREF < since - 2 * GRACE:
                return
            yield deal_id

    def _block_made(self, block: Block, undone: list[Block]) -> None:
        self.invariants.block_made(block, undone)
        for event in block.events:
            if event.name == "SchedulerNotice":
                deal_id = event.fields["dealid"]
                deal = self.hub.deals[deal_id]
                if (block.timestamp, deal_id) not in self._deals[-20:]:
                    self._deals.append((block.timestamp, deal_id))
                self._live.update(deal.task_ids(deal_id))
                self._deal_of |= dict.fromkeys(deal.task_ids(deal_id), deal_id)
        for old in undone:
            for event in old.events:
                if event.name == "SchedulerNotice" and event.fields["dealid"] not in self.hub.deals:
                    self._lose_deal(event.fields["dealid"])
        touched = dict.fromkeys(task for old in undone for task in old.news) | dict.fromkeys(block.news)
        for task_id in touched:
            task = self.hub.task(task_id)
            sold = self._deal_of.get(task_id) in self.hub.deals
            live = sold and task.status not in (TaskStatus.COMPLETED, TaskStatus.FAILED)
            (self._live.add if live else self._live.discard)(task_id)
        if block.number % 20 == 0:
            self.invariants.nothing_is_stuck()
        if block.number % 100 == 0:
            self.invariants.everything_frozen_has_a_reason()
        if undone:
            for machine in self.machines.values():
                if machine.up and not machine.cut:
                    machine.look_at_all()
        else:
            for task_id, names in block.news.items():
                for machine in self.holders(task_id):
                    machine.hear_block(task_id, frozenset(names))
        self.pool.hear_block()

    def _lose_deal(self, deal_id: DealId) -> None:
        """A reorganisation undid a match; it may be mined again."""
        self._live.difference_update(self.tasks_of(deal_id))

    # --- the oracle ---------------------------------------------------------------------------------------------------

    def before_step(self, engine: Engine) -> None:
        """Remember who could be asked."""
        self._free = [
            (member, len(member.computing) < member.slots)
            for member in engine.crew.members.values()
            if member.session is not None and member.worker in self._honest
        ]

    def after_step(self, engine: Engine) -> None:
        """Ask the oracle about tasks that were just given out, and check."""
        for task_id, tracked in engine.tasks.items():
            state = tracked.state
            if state.replicates and task_id not in self._found:
                free = [member.weight for member, is_free in self._free if is_free]
                busy = [member.weight for member, is_free in self._free if not is_free]
                self._found[task_id] = oracle.fewest(state.trust, free, busy) or len(free) + len(busy)
        self.invariants.scheduler_stepped(engine)

    # --- running ------------------------------------------------------------------------------------------------------

    @property
    def astray(self) -> int:
        """NRLC that nobody has, or that two have."""
        token, hub = self.chain.token, self.hub
        pot = hub.balance_of(hub.address)
        owned = sum(hub.free.values()) + sum(hub.frozen.values())
        minted = abs(sum(token.balances.values()) - SUPPLY)
        return minted + abs(token.balance_of(hub.address) - owned) + abs(pot - sum(hub.frozen.values()))

    def run(self) -> Outcome:
        """Sell all tasks, let everything end, and say what came of it."""
        self.chain.start()
        self.pool.start()
        self.ghosts.start()
        for machine in self.machines.values():
            self.agenda.after(self._chance.uniform(0.0, 3.0), machine.start)
        self.faults.start()
        self.agenda.after(4.0, self._buy)
        self.agenda.run(self._sold_out)
        end = self.agenda.now + 10 * TIMEREF + GRACE + 10
        self.agenda.run(lambda: self.agenda.now > end or (self.calm and not self._live and self._quiet()))
        self._last_checks()
        return self._outcome()

    def _sold_out(self) -> bool:
        limit = 20 * TIMEREF + 5 * self.plan.tasks
        self.agenda.check(self.agenda.now < limit, lambda: f"the network is not at rest after {limit} s")
        if self._made >= self.plan.tasks and not self._pending_matches:
            self.calm = not self._live
        return self.calm

    def _quiet(self) -> bool:
        return self.pool.up and not self.pool.engine.tasks

    def _last_checks(self) -> None:
        check = self.agenda.check
        self.invariants.everything_frozen_has_a_reason()
        for signer in self._haunted:
            balance = self.hub.balance_of(signer.address), self.hub.frozen_of(signer.address)
            check(balance == (STAKE, 0), lambda s=signer, b=balance: f"ghosts cost {s.address} its stake: {b}")
        check(self.ghosts.sent > 0, lambda: "no ghost was ever signed")

    def _outcome(self) -> Outcome:
        levels = {trust: Level() for trust in self.plan.trust_levels}
        unended = gone = 0
        happened: dict[str, int] = {}
        for state in sorted(self.pool.states(), key=lambda state: state.task_id):
            task = self.hub.task(state.task_id)
            if state.deal_id not in self.hub.deals:
                gone += 1
                continue
            level = levels[state.trust]
            level.tasks += 1
            level.replicas += len(state.replicates)
            level.fewest += self._found.get(state.task_id, 0)
            level.completed += task.status is TaskStatus.COMPLETED
            level.failed += task.status is TaskStatus.FAILED
            unended += task.status not in (TaskStatus.COMPLETED, TaskStatus.FAILED)
            if task.status is TaskStatus.COMPLETED:
                right = ids.result_hash(state.task_id, right_result(state.task_id))
                level.wrong += task.consensus_value != right
            self._count_causes(state, happened)
        return Outcome(
            levels=levels,
            unended=unended,
            unjust=len(self.invariants.unjust),
            steps=self.agenda.step,
            seconds=self.agenda.now,
            digest=self.agenda.digest,
            gone=gone,
            refused_matches=self._refused,
            happened=dict(sorted(happened.items())),
        )

    def _count_causes(self, state: TaskState, happened: dict[str, int]) -> None:
        for replicate in state.replicates:
            name = self.machines[replicate.worker].character.name
            happened[name] = happened.get(name, 0) + 1
            if replicate.hedge:
                happened["hedges"] = happened.get("hedges", 0) + 1
        if state.cause:
            happened[state.cause] = happened.get(state.cause, 0) + 1


def simulate(seed: int, plan: Plan) -> Outcome:
    """Run a network from its seed.

    Raises:
        SimulationFailed: something came about that must never be.
    """
    return Network(seed, plan).run()
