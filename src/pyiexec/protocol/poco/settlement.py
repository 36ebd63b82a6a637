"""Who is paid and who is punished when a task ends. The order of the steps is the order of the events.

Source: PoCo 6.2, settlement of `finalize`, `contributeAndFinalize` and `claim`; amounts are nRLC.
"""

from __future__ import annotations

from collections.abc import Sequence

from pyiexec.protocol import money, trust
from pyiexec.protocol.deals import Deal
from pyiexec.protocol.money import KITTY_ADDRESS, Share
from pyiexec.protocol.poco.order_management import OrderManagement
from pyiexec.protocol.primitives import Address, TaskId
from pyiexec.protocol.tasks import ContributionStatus


class Settlement(OrderManagement):
    """The ends of a task."""

    def _open_kitty(self, task_id: TaskId) -> int:
        """Take from the kitty what the scheduler of a finished task receives of it."""
        part = money.kitty_reward(self.frozen_of(KITTY_ADDRESS))
        if part:
            self._seize(KITTY_ADDRESS, part, task_id)
        return part

    def _succeed(self, task_id: TaskId, deal: Deal) -> None:
        """Take the price from the sponsor, pay app and dataset, free the scheduler's stake, open the kitty."""
        self._seize(deal.sponsor, deal.task_cost, task_id)
        for resource in (deal.app, deal.dataset):
            if resource.price:
                self._reward(resource.owner, resource.price, task_id)
        self._unlock(deal.workerpool.owner, deal.scheduler_stake)
        part = self._open_kitty(task_id)
        if part:
            self._reward(deal.workerpool.owner, part, task_id)

    def _share_out(self, task_id: TaskId, deal: Deal, contributors: Sequence[Address]) -> None:
        """Pay those who were proved right, seize the stakes of the others, and leave the rest to the scheduler."""
        shares = []
        for worker in contributors:
            contribution = self.contributions[task_id, worker]
            shares.append(Share(worker, contribution.status, contribution.weight))
        shared = money.distribute(deal.workerpool.price, deal.worker_stake, deal.scheduler_reward_ratio, shares)
        for share in shares:
            worker, score = share.worker, self.score(share.worker)
            if share.status is ContributionStatus.PROVED:
                self._unlock(worker, deal.worker_stake)
                self._reward(worker, shared.workers[worker], task_id)
                if len(contributors) > 1:
                    self.scores[worker] = trust.rewarded_score(score, len(contributors))
                    self.world.emit(self.address, "AccurateContribution", worker=worker, taskid=task_id)
            else:
                self._seize(worker, deal.worker_stake, task_id)
                self.scores[worker] = trust.slashed_score(score)
                self.world.emit(self.address, "FaultyContribution", worker=worker, taskid=task_id)
        self._reward(deal.workerpool.owner, shared.scheduler, task_id)

    def _share_with_one(self, task_id: TaskId, deal: Deal, worker: Address) -> None:
        """The reward of a task with one worker, which staked nothing."""
        part, rest = money.single_worker_reward(deal.workerpool.price, deal.scheduler_reward_ratio)
        self._reward(worker, part, task_id)
        self._reward(deal.workerpool.owner, rest, task_id)

    def _fail(self, task_id: TaskId, deal: Deal, contributors: Sequence[Address]) -> None:
        """Refund the sponsor, give the scheduler's stake to the kitty, free every worker."""
        self._unlock(deal.sponsor, deal.task_cost)
        self._seize(deal.workerpool.owner, deal.scheduler_stake, task_id)
        self._feed_kitty(deal.scheduler_stake, task_id)
        for worker in contributors:
            self._unlock(worker, deal.worker_stake)
