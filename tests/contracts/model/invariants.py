"""What must hold after every call of every history.

The first group looks at what the contracts answered, the second at the state that model and contracts agree upon.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from functools import lru_cache
from typing import Any

from hypothesis.stateful import RuleBasedStateMachine, invariant

from pyiexec.protocol import ids, money, trust
from pyiexec.protocol.money import KITTY_ADDRESS
from pyiexec.protocol.poco import Event, Hub
from pyiexec.protocol.poco.store import VOLUME_MAX
from pyiexec.protocol.primitives import NULL_BYTES32, Address, DealId, OrderHash, TaskId
from pyiexec.protocol.tasks import CONTRIBUTION_TRANSITIONS, TASK_TRANSITIONS, ContributionStatus, TaskStatus

task_id = lru_cache(maxsize=100_000)(ids.task_id)

_LIVE = (TaskStatus.ACTIVE, TaskStatus.REVEALING)
_BOOST_ENDS = (TaskStatus.COMPLETED, TaskStatus.FAILED)


class Invariants(RuleBasedStateMachine):
    """A history's memory of what happened, and the rules that all histories keep.

    Attributes:
        seen: free and frozen nRLC of every account as the hub last answered.
        seen_supply, seen_held: total supply, and RLC of the hub, likewise.
        strayed: RLC sent to the hub without a deposit and not recovered.
    """

    hub: Hub
    hub_address: Address

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[Address, tuple[int, int]] = {}
        self.seen_supply = 0
        self.seen_held = 0
        self.strayed = 0
        self.volumes: dict[OrderHash, int] = {}
        self.served: Counter[OrderHash] = Counter()
        self.closed: set[OrderHash] = set()
        self.matched_when_closed: list[OrderHash] = []
        self.first_deals: dict[DealId, Any] = {}
        self.last_statuses: dict[TaskId, TaskStatus] = {}
        self.last_contributions: dict[tuple[TaskId, Address], ContributionStatus] = {}
        self.expected_scores: defaultdict[Address, int] = defaultdict(int)
        self.kitty = 0
        self.wrong_kitty_parts: list[tuple[int, int]] = []
        self.rewarded: Counter[TaskId] = Counter()
        self.seized: Counter[TaskId] = Counter()
        #: price that was seized, and what it paid to others than the kitty
        self.settled: dict[TaskId, tuple[int, int]] = {}

    def remember(self, events: tuple[Event, ...]) -> None:
        """Take note of what the hub announced in one call."""
        own = [(name, fields) for emitter, name, fields in events if emitter == self.hub_address]
        for name, fields in own:
            if name == "OrdersMatched":
                self._remember_match(fields)
            elif name.startswith("Closed"):
                self.closed.update(fields.values())
            elif name == "AccurateContribution":
                self.expected_scores[fields["worker"]] += 1
            elif name == "FaultyContribution":
                score = self.expected_scores[fields["worker"]]
                self.expected_scores[fields["worker"]] = trust.slashed_score(score)
            elif name == "Reward":
                self.rewarded[fields["ref"]] += fields["amount"]
                if fields["owner"] == KITTY_ADDRESS:
                    self.kitty += fields["amount"]
            elif name == "Seize":
                self.seized[fields["ref"]] += fields["amount"]
                if fields["owner"] == KITTY_ADDRESS:
                    if fields["amount"] != money.kitty_reward(self.kitty):
                        self.wrong_kitty_parts.append((self.kitty, fields["amount"]))
                    self.kitty -= fields["amount"]

            elif name in ("TaskFinalize", "ResultPushedBoost"):
                self._remember_settlement(own)

    def _remember_settlement(self, events: list[tuple[str, Any]]) -> None:
        """What the first seizure took is the sponsor's price; later ones are stakes of the wrong, and the kitty's."""
        (task, price), *losses = [(fields["ref"], fields["amount"]) for name, fields in events if name == "Seize"]
        paid = sum(fields["amount"] for name, fields in events if name == "Reward")
        self.settled[task] = price, paid - sum(amount for _, amount in losses)

    def _remember_match(self, fields: Any) -> None:
        for name in ("appHash", "datasetHash", "workerpoolHash", "requestHash"):
            if fields[name] != NULL_BYTES32:
                self.served[fields[name]] += fields["volume"]
                if fields[name] in self.closed:
                    self.matched_when_closed.append(fields[name])

    # --- what the contracts answered ----------------------------------------------------------------------------------

    @invariant()
    def every_staked_nrlc_belongs_to_somebody(self) -> None:
        assert sum(free for free, _ in self.seen.values()) == self.seen_supply

    @invariant()
    def the_pot_is_what_everybody_has_frozen(self) -> None:
        pot, _ = self.seen.get(self.hub_address, (0, 0))
        assert pot == sum(frozen for _, frozen in self.seen.values())

    @invariant()
    def the_hub_holds_rlc_for_every_staked_nrlc(self) -> None:
        assert self.seen_held == self.seen_supply + self.strayed

    @invariant()
    def the_kitty_cannot_be_withdrawn(self) -> None:
        assert self.seen.get(KITTY_ADDRESS, (0, 0)) == (0, self.kitty)

    # --- orders and deals ---------------------------------------------------------------------------------------------

    @invariant()
    def no_order_serves_more_tasks_than_it_offers(self) -> None:
        for name, served in self.served.items():
            assert served <= self.volumes[name]
            consumed = self.hub.consumed[name]
            assert consumed == (min(self.volumes[name], VOLUME_MAX) if name in self.closed else served)

    @invariant()
    def no_order_is_matched_once_it_is_closed(self) -> None:
        assert not self.matched_when_closed

    @invariant()
    def deals_never_change(self) -> None:
        for deals in (self.hub.deals, self.hub.boost_deals):
            for name, deal in deals.items():
                assert self.first_deals.setdefault(name, deal) == deal

    @invariant()
    def no_deal_is_both_classic_and_boost(self) -> None:
        assert not self.hub.deals.keys() & self.hub.boost_deals.keys()

    # --- tasks --------------------------------------------------------------------------------------------------------

    @invariant()
    def every_task_belongs_to_a_deal(self) -> None:
        boost = {
            task_id(name, index)
            for name, deal in self.hub.boost_deals.items()
            for index in range(min(deal.bot_size, 5))
        }
        for name, task in self.hub.tasks.items():
            if task.deal_id == NULL_BYTES32:
                assert name in boost
                assert task.status in _BOOST_ENDS
            else:
                assert task.index in self.hub.deals[task.deal_id].indexes
                assert name == task_id(task.deal_id, task.index)

    @invariant()
    def tasks_only_take_the_steps_they_may(self) -> None:
        for name, task in self.hub.tasks.items():
            before = self.last_statuses.get(name, TaskStatus.UNSET)
            if task.status is not before:
                ended_in_one_step = before is TaskStatus.UNSET and task.status in _BOOST_ENDS
                assert task.status in TASK_TRANSITIONS[before] or ended_in_one_step
                self.last_statuses[name] = task.status

    @invariant()
    def contributions_only_take_the_steps_they_may(self) -> None:
        for key, contribution in self.hub.contributions.items():
            before = self.last_contributions.get(key, ContributionStatus.UNSET)
            if contribution.status is not before:
                assert contribution.status in CONTRIBUTION_TRANSITIONS[before]
                self.last_contributions[key] = contribution.status

    @invariant()
    def a_consensus_is_a_result_that_stands(self) -> None:
        for name, task in self.hub.tasks.items():
            if task.status is TaskStatus.REVEALING:
                assert 0 <= task.reveal_counter <= task.winner_counter <= len(task.contributors)
                groups, deal = self.hub.groups[name], self.hub.deals[task.deal_id]
                assert trust.stands(groups, task.consensus_value, deal.trust)
                assert sum(trust.stands(groups, result, deal.trust) for result in groups) == 1 or deal.trust == 1

    @invariant()
    def nobody_contributes_twice(self) -> None:
        for task in self.hub.tasks.values():
            assert len(set(task.contributors)) == len(task.contributors)

    @invariant()
    def a_completed_task_was_proved_by_somebody(self) -> None:
        for name, task in self.hub.tasks.items():
            if task.status is TaskStatus.COMPLETED and task.deal_id != NULL_BYTES32:
                statuses = [self.hub.contribution(name, worker).status for worker in task.contributors]
                assert ContributionStatus.PROVED in statuses

    # --- money --------------------------------------------------------------------------------------------------------

    @invariant()
    def everything_frozen_has_a_reason(self) -> None:
        """The sponsor's price and the scheduler's stake for each task not yet ended, and each open contribution's."""
        owed: defaultdict[Address, int] = defaultdict(int)
        owed[KITTY_ADDRESS] = self.kitty
        ended: Counter[DealId] = Counter()
        for task in self.hub.tasks.values():
            if task.deal_id == NULL_BYTES32:
                continue
            deal = self.hub.deals[task.deal_id]
            if task.status in _LIVE:
                for worker in task.contributors:
                    owed[worker] += deal.worker_stake
            else:
                ended[task.deal_id] += 1
        for deal_id, deal in self.hub.deals.items():
            left = deal.bot_size - ended[deal_id]
            owed[deal.sponsor] += deal.task_cost * left
            owed[deal.workerpool.owner] += deal.scheduler_stake * left
        for deal_id, boost in self.hub.boost_deals.items():
            left = boost.bot_size - self._ended_in_boost(deal_id, boost.bot_size)
            owed[boost.sponsor] += boost.task_cost * left
            owed[boost.workerpool_owner] += money.scheduler_stake(boost.workerpool_price) * left
        assert {who: amount for who, amount in owed.items() if amount} == {
            who: frozen for who, (_, frozen) in self.seen.items() if frozen
        }

    def _ended_in_boost(self, deal_id: DealId, size: int) -> int:
        return sum(task_id(deal_id, index) in self.hub.tasks for index in range(min(size, 5)))

    @invariant()
    def what_a_task_seizes_it_pays(self) -> None:
        assert self.seized == self.rewarded

    @invariant()
    def a_finished_task_costs_exactly_its_price(self) -> None:
        costs = {
            name: self.hub.deals[task.deal_id].task_cost
            for name, task in self.hub.tasks.items()
            if task.deal_id != NULL_BYTES32
        }
        for name, (price, paid) in self.settled.items():
            assert price == paid == costs.get(name, price)

    @invariant()
    def the_kitty_pays_by_its_formula(self) -> None:
        assert not self.wrong_kitty_parts

    @invariant()
    def scores_follow_from_what_was_proved(self) -> None:
        for worker, score in self.expected_scores.items():
            assert self.hub.score(worker) == score
