"""What each event means for the index: functions of an event and the rows at hand, which they change.

Where the published index loses or mixes up something that no client can depend on, this one does not; see
docs/decisions. Source: event handlers of the PoCo subgraph 2.1.2; events of PoCo 6.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from pyiexec.indexer.events import Event
from pyiexec.indexer.facts import Facts
from pyiexec.indexer.handlers import assets, market, money, tasks
from pyiexec.indexer.handlers.context import PROTOCOL, Context
from pyiexec.indexer.working_set import WorkingSet

__all__ = ["HANDLERS", "PROTOCOL", "apply_events"]

HANDLERS: Mapping[str, Callable[[Context, Event], None]] = {
    "Transfer": money.transfer,
    "Lock": money.lock,
    "Unlock": money.unlock,
    "Seize": money.seize,
    "Reward": money.reward,
    "CreateCategory": market.create_category,
    "OrdersMatched": market.orders_matched,
    "SchedulerNotice": market.scheduler_notice,
    "SchedulerNoticeBoost": market.scheduler_notice,
    "TaskInitialize": tasks.task_initialize,
    "TaskContribute": tasks.task_contribute,
    "TaskConsensus": tasks.task_consensus,
    "TaskReveal": tasks.task_reveal,
    "TaskReopen": tasks.task_reopen,
    "TaskFinalize": tasks.task_finalize,
    "TaskClaimed": tasks.task_claimed,
    "ResultPushedBoost": tasks.result_pushed,
    "AccurateContribution": tasks.contribution_judged,
    "FaultyContribution": tasks.contribution_judged,
    "AppTransfer": assets.app_transfer,
    "DatasetTransfer": assets.dataset_transfer,
    "WorkerpoolTransfer": assets.workerpool_transfer,
    "PolicyUpdate": assets.policy_update,
}


def apply_events(events: Iterable[Event], rows: WorkingSet, facts: Facts) -> None:
    """Take events into `rows`, in the order of the chain."""
    context = Context(rows, facts)
    for event in events:
        context.begin(event)
        HANDLERS[event.name](context, event)
