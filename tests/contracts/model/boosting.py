"""Steps of the Boost workflow."""

from __future__ import annotations

from pyiexec.protocol import ids
from pyiexec.protocol.primitives import NULL_ADDRESS, DealId, ResultDigest, bytes32, keccak256
from pyiexec.protocol.tags import requires_tee

from .dice import Dice
from .invariants import task_id
from .stage import WORKERS
from .steps import step
from .working import PLAYED, Working


class Boosting(Working):
    """What is done with tasks that take one transaction."""

    def unended(self) -> list[tuple[DealId, int]]:
        """Some tasks of each deal without a result."""
        return [
            (name, index)
            for name, deal in self.hub.boost_deals.items()
            for index in range(min(deal.bot_size, PLAYED))
            if task_id(name, index) not in self.hub.tasks
        ]

    def pushable(self) -> list[tuple[DealId, int]]:
        return [(name, index) for name, index in self.unended() if self.now() < self.hub.boost_deals[name].deadline]

    def overdue(self) -> list[tuple[DealId, int]]:
        return [(name, index) for name, index in self.unended() if self.hub.boost_deals[name].deadline <= self.now()]

    @step(4, lambda history: history.pushable())
    def push_result(self, dice: Dice) -> None:
        self.push(dice, *dice.choose(self.pushable()[-8:]))

    @step(4, lambda history: history.overdue())
    def claim_boost(self, dice: Dice) -> None:
        self.claim_it(*dice.choose(self.overdue()[:8]))

    def claim_it(self, deal: DealId, index: int) -> None:
        self.call("stranger", "claimBoost", [deal, index], lambda now: self.hub.claim_boost(deal, index, now=now))

    def push(self, dice: Dice, name: DealId, index: int) -> None:
        deal, worker = self.hub.boost_deal(name), dice.choose(WORKERS)
        task, who = task_id(name, index), self.at(worker)
        papers = self.papers(dice, deal.workerpool_owner, tee=requires_tee(bytes32(int(deal.short_tag, 16))))
        results = dice.pick(b"link", b"", b"x" * 84, b"y" * (4097 if dice.chance(10) else 1000))
        payload = dice.pick(*[b"payload"] * 9, b"", b"z" * 4097)
        digest = ResultDigest(bytes32(keccak256(payload if deal.callback != NULL_ADDRESS else results)))
        attested = self.attest(papers, ids.boost_enclave_hash(who, task, digest))
        arguments = name, index, results, payload, self.permit(worker, task, papers), self.at(papers[0]), attested
        gas = self.too_little_gas(dice, deal.callback, worker, "pushResultBoost", arguments)
        self.call(
            worker,
            "pushResultBoost",
            arguments,
            lambda now: self.hub.push_result_boost(*arguments, sender=who, now=now, starved=gas is not None),
            gas=gas,
        )
