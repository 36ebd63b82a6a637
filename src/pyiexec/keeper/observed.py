"""What a keeper shows of itself."""

from __future__ import annotations

from pyiexec.chain.heads import HeadFeed
from pyiexec.chain.observed import observe_follower, observe_transactions
from pyiexec.foundation.metrics import counter, gauge
from pyiexec.foundation.observation import Observation
from pyiexec.keeper.keeping import Keeper

CLAIMED = counter("keeper_claimed_tasks_total", "tasks claimed since the start")
OPEN_DEALS = gauge("keeper_open_deals", "deals looked after that may still hold money")
STUCK_DEALS = gauge("keeper_stuck_deals", "deals with tasks that could not be claimed; they are tried again")
LEADING = gauge("keeper_leading", "1 in the process that works, 0 in one that waits for it to end")


def observe_keeper(observation: Observation, keeper: Keeper, feed: HeadFeed) -> None:
    """Show a keeper's work."""
    metrics = observation.metrics
    metrics.watch(CLAIMED, lambda: keeper.claimed)
    metrics.watch(STUCK_DEALS, lambda: len(keeper.stuck))
    metrics.watch(LEADING, lambda: keeper.leading)
    metrics.ask(OPEN_DEALS, keeper.open_deals)
    observe_follower(observation, feed, keeper.followed)
    observe_transactions(observation, keeper.totals, lambda: keeper.transactions)
