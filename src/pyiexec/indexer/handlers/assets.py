"""Events of apps, datasets and workerpools."""

from __future__ import annotations

from collections.abc import Callable

from pyiexec.indexer.events import Event
from pyiexec.indexer.facts import AppFact, DatasetFact, WorkerpoolFact
from pyiexec.indexer.handlers.context import Context
from pyiexec.indexer.working_set import Row
from pyiexec.protocol.primitives import NULL_ADDRESS, NULL_BYTES32


def app_transfer(context: Context, event: Event) -> None:
    """An app was made or sold."""
    _transfer_asset(context, event, "apps", "app", make_app)


def dataset_transfer(context: Context, event: Event) -> None:
    """A dataset was made or sold."""
    _transfer_asset(context, event, "datasets", "dataset", make_dataset)


def workerpool_transfer(context: Context, event: Event) -> None:
    """A workerpool was made or sold."""
    _transfer_asset(context, event, "workerpools", "workerpool", make_workerpool)


def _transfer_asset(
    context: Context, event: Event, table: str, column: str, make: Callable[[Context, str, str], Row]
) -> None:
    asset, owner = event.fields["asset"], context.id_of(event.fields["to"])
    # What was counted about it stays: only its owner is another.
    row = context.rows.change(table, asset) or make(context, asset, owner)
    row["owner"] = owner
    row["timestamp"] = context.now
    if event.fields["from"] == NULL_ADDRESS:
        context.protocol()[f"{table}_count"] += 1
    sides = {"from": context.id_of(event.fields["from"]), "to": owner}
    context.record("ressource_transfer_events", event, event.name, **sides, **{column: asset})


def make_app(context: Context, app: str, owner: str) -> Row:
    """The row of an app that was not known."""
    fact = context.facts.apps.get(app) or AppFact(owner, "", "", "0x", NULL_BYTES32, "0x")
    return context.rows.make(
        "apps",
        {
            "id": app,
            "owner": context.id_of(owner),
            "name": fact.name,
            "type": fact.type,
            "multiaddr": fact.multiaddr,
            "checksum": fact.checksum,
            "mrenclave": fact.mrenclave,
            "timestamp": context.now,
            "usage_count": 0,
            "last_usage_timestamp": 0,
        },
    )


def make_dataset(context: Context, dataset: str, owner: str) -> Row:
    """The row of a dataset that was not known."""
    fact = context.facts.datasets.get(dataset) or DatasetFact(owner, "", "0x", NULL_BYTES32)
    return context.rows.make(
        "datasets",
        {
            "id": dataset,
            "owner": context.id_of(owner),
            "name": fact.name,
            "multiaddr": fact.multiaddr,
            "checksum": fact.checksum,
            "timestamp": context.now,
        },
    )


def make_workerpool(context: Context, workerpool: str, owner: str) -> Row:
    """The row of a workerpool that was not known."""
    fact = context.facts.workerpools.get(workerpool) or WorkerpoolFact(owner, "", 0, 0)
    return context.rows.make(
        "workerpools",
        {
            "id": workerpool,
            "owner": context.id_of(owner),
            "description": fact.description,
            "worker_stake_ratio": fact.worker_stake_ratio,
            "scheduler_reward_ratio": fact.scheduler_reward_ratio,
            "timestamp": context.now,
            "usage_count": 0,
            "last_usage_timestamp": 0,
        },
    )


def policy_update(context: Context, event: Event) -> None:
    """A workerpool changed its ratios; of what is no registered pool it means nothing."""
    workerpool = context.rows.change("workerpools", event.address)
    if workerpool is None:
        return
    fields = event.fields
    workerpool["worker_stake_ratio"] = fields["newWorkerStakeRatio"]
    workerpool["scheduler_reward_ratio"] = fields["newSchedulerRewardRatio"]
    context.record(
        "workerpool_events",
        event,
        event.name,
        workerpool=event.address,
        old_worker_stake_ratio=fields["oldWorkerStakeRatio"],
        new_worker_stake_ratio=fields["newWorkerStakeRatio"],
        old_scheduler_reward_ratio=fields["oldSchedulerRewardRatio"],
        new_scheduler_reward_ratio=fields["newSchedulerRewardRatio"],
    )
