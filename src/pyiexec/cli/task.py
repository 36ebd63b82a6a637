"""`pyiexec task`: tasks and their results."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pyiexec.cli.options import WORD, acting, reading
from pyiexec.cli.reporting import emit, wants_json

if TYPE_CHECKING:
    from pyiexec.protocol.primitives import Bytes32


@click.group()
def task() -> None:
    """Show, watch and claim tasks; get results. A task is one unit of a deal's bag."""


@task.command()
@click.argument("task_id", type=WORD)
@reading
async def show(task_id: Bytes32, open_client: Any) -> None:
    """Show a task on chain, and what the scheduler says of it."""
    from pyiexec.protocol.primitives import TaskId, to_hex

    async with open_client() as client:
        found = await client.tasks.show(TaskId(task_id))
        explained = await client.tasks.explain(TaskId(task_id))
    data = {
        "taskId": task_id,
        "status": found.status.name,
        "dealId": found.deal_id,
        "index": found.index,
        "contributors": list(found.contributors),
        "contributionDeadline": found.contribution_deadline,
        "finalDeadline": found.final_deadline,
        "consensus": found.consensus_value,
        "resultDigest": found.result_digest,
        "results": found.results.decode(errors="replace") if found.results else "",
        "resultsCallback": to_hex(found.results_callback),
        "scheduler": explained,
    }
    emit(data)


@task.command()
@click.argument("task_id", type=WORD)
@reading
async def watch(task_id: Bytes32, open_client: Any) -> None:
    """Follow a task until it ends."""
    import json

    from pyiexec.protocol.primitives import TaskId

    async with open_client() as client:
        found = await client.tasks.show(TaskId(task_id))
        start = client.connection.profile.start_block
        async for update in client.deals.watch([found.deal_id], start_block=start):
            if update.task_id != task_id:
                continue
            if wants_json():
                line = {"event": update.event, "status": update.status.name, "worker": update.worker}
                click.echo(json.dumps(line | {"txHash": update.transaction, "block": update.block}))
            else:
                by = f" by {update.worker}" if update.worker else ""
                click.echo(f"{update.event}{by}  [{update.status.name}]  {update.transaction}")
            if update.status.name in ("COMPLETED", "FAILED"):
                break


@task.command()
@click.argument("task_id", type=WORD)
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder to unpack into.  [default: a folder named after the task]",
)
@reading
async def result(task_id: Bytes32, output: Path | None, open_client: Any) -> None:
    """Download a task's result, check it against the digest on chain, and unpack it."""
    from pyiexec.cli.unpacking import write_files
    from pyiexec.protocol.primitives import TaskId

    async with open_client() as client:
        found = await client.tasks.result(TaskId(task_id))
    folder = output or Path(task_id)
    write_files(folder, found.files)
    data = {"taskId": task_id, "digest": found.digest, "folder": str(folder), "files": sorted(found.files)}
    emit(data, f"{len(found.files)} files in {folder}, digest {found.digest} as proved on chain")


@task.command()
@click.argument("task_id", type=WORD)
@acting
async def claim(task_id: Bytes32, open_client: Any) -> None:
    """Take back the price of a task that was not completed in time."""
    from pyiexec.protocol.primitives import TaskId

    async with open_client() as client:
        transaction = await client.tasks.claim(TaskId(task_id))
    emit({"txHash": transaction}, f"claimed in {transaction}")
