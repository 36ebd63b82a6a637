"""Who pays whom: prices, stakes, the kitty and the sharing of a task's reward. All amounts are nRLC.

Every share is floored exactly where the hub floors it, and nothing is lost: what rounding leaves goes to the scheduler.

Source: PoCo `matchOrders` (stakes), settlement of `finalize`, `contributeAndFinalize` and `claim`.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pyiexec.protocol.primitives import Address
from pyiexec.protocol.tasks import ContributionStatus

#: Per cent of the workerpool's price that its scheduler stakes for each task.
WORKERPOOL_STAKE_RATIO = 30
#: Per cent of the kitty that a scheduler receives with a finalized task.
KITTY_RATIO = 10
#: Least part of the kitty that is paid out, unless it holds less.
KITTY_MIN = 10**9
#: The account that gathers the stakes of schedulers whose tasks failed.
KITTY_ADDRESS = Address("0x99c2268479b93fDe36232351229815DF80837e23")


class Share(msgspec.Struct, frozen=True):
    """What one contributor brings to the sharing of a task; `log_weight` is that of its contribution."""

    worker: Address
    status: ContributionStatus
    log_weight: int


class Distribution(msgspec.Struct, frozen=True):
    """How the workerpool's price and the stakes of the wrong were shared.

    Attributes:
        workers: what each contributor won, or minus the stake it lost, in contribution order.
        scheduler: what the scheduler won, rounding included.
    """

    workers: dict[Address, int]
    scheduler: int


def task_cost(app: int, dataset: int, workerpool: int) -> int:
    """What the requester pays for one task, from the three prices."""
    return app + dataset + workerpool


def scheduler_stake(price: int) -> int:
    """What the scheduler locks for one task sold at `price`; floored before any volume multiplies it."""
    return price * WORKERPOOL_STAKE_RATIO // 100


def worker_stake(price: int, ratio: int) -> int:
    """What a worker locks to contribute to one task sold at `price`, by the pool's policy of `ratio` per cent."""
    return price * ratio // 100


def kitty_reward(kitty: int) -> int:
    """What a kitty holding `kitty` pays to the scheduler of a finalized task."""
    return min(max(kitty * KITTY_RATIO // 100, KITTY_MIN), kitty)


def distribute(pool_price: int, worker_stake: int, scheduler_ratio: int, contributors: Sequence[Share]) -> Distribution:
    """Share the reward of a task finalized after reveals.

    Contributors that are not PROVED lose `worker_stake` to the others, who share by log-weight what `scheduler_ratio`
    per cent leaves them. The gains of all sum up to `pool_price`.
    """
    proved = [share for share in contributors if share.status is ContributionStatus.PROVED]
    total = pool_price + worker_stake * (len(contributors) - len(proved))
    budget = total * (100 - scheduler_ratio) // 100
    weights = sum(share.log_weight for share in proved)
    workers = {
        share.worker: budget * share.log_weight // weights
        if share.status is ContributionStatus.PROVED
        else -worker_stake
        for share in contributors
    }
    return Distribution(workers, total - sum(gain for gain in workers.values() if gain > 0))


def single_worker_reward(pool_price: int, scheduler_ratio: int) -> tuple[int, int]:
    """What worker and scheduler win from a task that one worker contributed and finalized at once."""
    worker = pool_price * (100 - scheduler_ratio) // 100
    return worker, pool_price - worker
