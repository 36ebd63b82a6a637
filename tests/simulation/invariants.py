"""What must hold after every step, whatever went wrong before.

None of this asks the code under test what is right: credibility, money and the order of things are reckoned anew.
"""

from __future__ import annotations

from fractions import Fraction
from math import prod
from typing import TYPE_CHECKING

from pyiexec.protocol import ids
from pyiexec.protocol.poco import Event
from pyiexec.protocol.poco.token import SUPPLY
from pyiexec.protocol.primitives import Address, ResultHash, TaskId
from pyiexec.protocol.replicates import ReplicateStatus
from pyiexec.protocol.tasks import TASK_TRANSITIONS, ContributionStatus, TaskStatus
from pyiexec.protocol.workflow import Phase
from pyiexec.scheduler.engine import Engine
from pyiexec.worker.record import TaskRecord
from pyiexec.worker.rules import STEPS
from tests.simulation.agenda import Agenda
from tests.simulation.chain import DEEPEST, TIMEREF, Block
from tests.simulation.characters import right_result

if TYPE_CHECKING:
    from tests.simulation.machine import Machine
    from tests.simulation.network import Network

#: Seconds after its final deadline in which a task must be over for everybody.
GRACE = 3 * TIMEREF
_ENDED = (TaskStatus.COMPLETED, TaskStatus.FAILED)
_PHASES = list(Phase)


class Invariants:
    """Looks at every block, every step of the scheduler and every step of a worker.

    Attributes:
        unjust: honest workers' stakes that a wrong consensus took: `(worker, task)`.
    """

    def __init__(self, agenda: Agenda, network: Network) -> None:
        self._agenda = agenda
        self._network = network
        self._statuses: dict[TaskId, TaskStatus] = {}
        self._phases: dict[TaskId, Phase] = {}
        self._turned: set[TaskId] = set()
        self._scores: dict[Address, int] = {}
        self._scores_before: dict[int, dict[Address, int]] = {}
        self._weights: dict[tuple[TaskId, Address], int] = {}
        self.unjust: set[tuple[Address, TaskId]] = set()

    # --- blocks -------------------------------------------------------------------------------------------------------

    def block_made(self, block: Block, undone: list[Block]) -> None:
        """Check the chain."""
        for old in undone:
            for task_id in old.news:
                self._statuses.pop(task_id, None)
                self._turned.add(task_id)
            for event in old.events:
                if event.name == "SchedulerNotice":
                    self._turned.update(self._network.tasks_of(event.fields["dealid"]))
        if undone:
            self._scores = dict(self._scores_before[undone[0].number])
        self._scores_before[block.number] = dict(self._scores)
        self._scores_before.pop(block.number - 2 * DEEPEST, None)
        self._money()
        for event in block.events:
            self._event(event)
        for task_id in block.news:
            self._task(task_id)

    def _money(self) -> None:
        hub, token = self._network.hub, self._network.chain.token
        pot, supply = hub.balance_of(hub.address), hub.total_supply
        check = self._agenda.check
        free, frozen = sum(hub.free.values()), sum(hub.frozen.values())
        check(free + frozen == supply, lambda: f"free {free} and frozen {frozen} nRLC are not the supply of {supply}")
        check(pot == frozen, lambda: f"the pot holds {pot} nRLC for {frozen} that are frozen")
        held = token.balance_of(hub.address)
        check(held == supply, lambda: f"the hub holds {held} nRLC for {supply} that are staked")
        every = sum(token.balances.values())
        check(every == SUPPLY, lambda: f"{every} nRLC exist, not {SUPPLY}")
        negative = [who for table in (hub.free, hub.frozen) for who, amount in table.items() if amount < 0]
        check(not negative, lambda: f"{negative} owe money")

    def everything_frozen_has_a_reason(self) -> None:
        """Check that only unfinished tasks freeze money: their price, the pool's stake and the workers' stakes."""
        hub = self._network.hub
        owed: dict[Address, int] = {}

        def owe(who: Address, amount: int) -> None:
            owed[who] = owed.get(who, 0) + amount

        for deal_id, deal in hub.deals.items():
            tasks = [hub.task(task_id) for task_id in deal.task_ids(deal_id)]
            for task in tasks:
                if task.status not in _ENDED:
                    owe(deal.sponsor, deal.task_cost)
                    owe(deal.workerpool.owner, deal.scheduler_stake)
                    for worker in task.contributors:
                        owe(worker, deal.worker_stake)
        kitty = self._network.kitty
        frozen = {who: amount for who, amount in hub.frozen.items() if amount and who != kitty}
        wanted = {who: amount for who, amount in owed.items() if amount}
        self._agenda.check(frozen == wanted, lambda: f"frozen is {frozen}, owed {wanted}")

    def _event(self, event: Event) -> None:
        fields = event.fields
        match event.name:
            case "TaskContribute":
                score = self._scores.get(fields["worker"], 0)
                # A unit for each three successes since the last failures, never less than 2.
                self._weights[fields["taskid"], fields["worker"]] = max(2, score // 3 - 1)
            case "TaskConsensus":
                self._consensus(fields["taskid"], fields["consensus"])
            case "AccurateContribution":
                self._scores[fields["worker"]] = self._scores.get(fields["worker"], 0) + 1
            case "FaultyContribution":
                self._scores[fields["worker"]] = self._scores.get(fields["worker"], 0) * 2 // 3
                self._loss(fields["worker"], fields["taskid"])

    def _consensus(self, task_id: TaskId, consensus: ResultHash) -> None:
        """A result stands only if its credibility is above 1 - 1/trust, by the weights of the votes for each."""
        hub = self._network.hub
        task, votes = hub.task(task_id), dict[ResultHash, list[int]]()
        deal = hub.deal(task.deal_id)
        if len(task.contributors) == 1 and deal.trust == 1:
            return
        for worker in task.contributors:
            contribution = hub.contribution(task_id, worker)
            if contribution.status is not ContributionStatus.REJECTED:
                weight = self._weights[task_id, worker]
                votes.setdefault(contribution.result_hash, []).append(weight)
        weights = {result: prod(each) for result, each in votes.items()}
        credibility = Fraction(weights.get(consensus, 0), 1 + sum(weights.values()))
        needed = 1 - Fraction(1, deal.trust)
        self._agenda.check(
            credibility > needed,
            lambda: f"{task_id} stands at trust {deal.trust} with a credibility of {credibility}, not above {needed}",
        )

    def _loss(self, worker: Address, task_id: TaskId) -> None:
        """Honest workers lose their stake to a wrong consensus alone."""
        machine = self._network.machines[worker]
        hub = self._network.hub
        right = ids.result_hash(task_id, right_result(task_id))
        stood = hub.task(task_id).consensus_value
        if machine.character.honest:
            voted = hub.contribution(task_id, worker).result_hash
            self._agenda.check(voted == right, lambda: f"{worker} is honest and voted for a wrong result of {task_id}")
            self._agenda.check(
                stood != right, lambda: f"{worker} is honest, was right, and lost its stake in {task_id}"
            )
            self.unjust.add((worker, task_id))

    def _task(self, task_id: TaskId) -> None:
        status = self._network.hub.task(task_id).status
        before = self._statuses.get(task_id)
        if before is not None and before is not status:
            # Several steps fit into a block.
            reached, ahead = set[TaskStatus](), [before]
            while ahead:
                for follower in TASK_TRANSITIONS[ahead.pop()]:
                    if follower not in reached:
                        reached.add(follower)
                        ahead.append(follower)
            self._agenda.check(
                status in reached, lambda: f"{task_id} went from {before.name} to {status.name} on chain"
            )
        self._statuses[task_id] = status
        if status is TaskStatus.ACTIVE and before is TaskStatus.REVEALING:
            self._turned.add(task_id)

    def nothing_is_stuck(self) -> None:
        """Check that what is past its final deadline by far is over for chain, scheduler and workers."""
        hub, now, network = self._network.hub, self._agenda.chain_now, self._network
        for deal_id in network.young_deals(now - GRACE):
            deal = hub.deals.get(deal_id)
            if deal is None:
                continue
            end = deal.start_time + 10 * TIMEREF
            for task_id in deal.task_ids(deal_id):
                status = hub.task(task_id).status
                if now <= end + GRACE:
                    break
                self._agenda.check(status in _ENDED, lambda t=task_id, s=status: f"{t} is stuck: {s.name} on chain")
                held = [m.address for m in network.holders(task_id) if m.up and not m.cut]
                self._agenda.check(not held, lambda t=task_id, h=held: f"{t} is over and {h} still hold it")
                if network.pool.up:
                    known = network.pool.engine.tasks.get(task_id)
                    self._agenda.check(known is None, lambda t=task_id: f"{t} is over and its scheduler waits for it")

    # --- scheduler and workers ----------------------------------------------------------------------------------------

    def scheduler_stepped(self, engine: Engine) -> None:
        """Check that phases go forward, except where the chain went back."""
        for task_id, tracked in engine.tasks.items():
            phase = tracked.state.phase
            before = self._phases.get(task_id)
            if before is phase:
                continue
            self._phases[task_id] = phase
            if before is None or task_id in self._turned:
                continue
            # Another winner is asked for the result when one could not give it; a task given up too early goes on.
            asked_again = before in (Phase.UPLOADING, Phase.FINALIZING) and phase in (Phase.REVEALED, Phase.UPLOADING)
            forward = _PHASES.index(phase) >= _PHASES.index(before) or before is Phase.FAILED or asked_again
            self._agenda.check(forward, lambda t=task_id, b=before, p=phase: f"{t} went from {b} back to {p}")

    def worker_moved(self, machine: Machine, before: TaskRecord | None, after: TaskRecord) -> None:
        """Check that a worker's record goes forward, except where a reorganisation undid a step."""
        if before is None or before.status is after.status:
            return
        closing = after.closed
        asked_again = before.status is ReplicateStatus.RESULT_UPLOADED and after.status is ReplicateStatus.REVEALED
        if closing or asked_again or before.closed or before.status not in STEPS or after.status not in STEPS:
            return
        onwards = STEPS.index(after.status) > STEPS.index(before.status)
        undone = before.task_id in self._turned
        self._agenda.check(
            onwards or undone,
            lambda: f"{machine.address} went from {before.status} back to {after.status} in {before.task_id}",
        )
