"""`pyiexec deal`: deals."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pyiexec.cli.options import WORD, acting, reading
from pyiexec.cli.reporting import emit, moment, table, wants_json

if TYPE_CHECKING:
    from pyiexec.protocol.primitives import Bytes32


@click.group()
def deal() -> None:
    """Show deals. A deal is what matching four orders makes: a bag of tasks, bought and locked."""


@deal.command()
@click.argument("deal_id", type=WORD)
@reading
async def show(deal_id: Bytes32, open_client: Any) -> None:
    """Show a deal and the state of its tasks."""
    from msgspec import to_builtins

    from pyiexec.protocol.primitives import DealId
    from pyiexec.protocol.units import format_rlc

    async with open_client() as client:
        found = await client.deals.show(DealId(deal_id))
        final = await client.deals.final_deadline(found)
        ids = found.task_ids(DealId(deal_id))
        tasks = await client.connection.hub.tasks(ids)
    listed = [
        {"index": index, "taskId": task_id, "status": task.status.name}
        for index, task_id, task in zip(found.indexes, ids, tasks, strict=True)
    ]
    if wants_json():
        emit({"deal": to_builtins(found), "finalDeadline": final, "tasks": listed})
        return
    facts = {
        "app": found.app.pointer,
        "workerpool": found.workerpool.pointer,
        "requester": found.requester,
        "price per task": format_rlc(found.task_cost),
        "trust": found.trust,
        "category": found.category,
        "params": found.params,
        "final deadline": moment(final),
    }
    emit(facts)
    table("", ["index", "task", "status"], [[row["index"], row["taskId"], row["status"]] for row in listed])


@deal.command()
@click.argument("deal_id", type=WORD)
@acting
async def claim(deal_id: Bytes32, open_client: Any) -> None:
    """Take back the price of every task of a deal that was not completed in time."""
    from pyiexec.protocol.primitives import DealId

    async with open_client() as client:
        transactions = await client.tasks.claim_deal(DealId(deal_id))
    emit({"txHashes": transactions}, "\n".join(transactions) or "nothing to claim")
