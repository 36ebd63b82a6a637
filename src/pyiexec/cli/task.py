"""`pyiexec task`: tasks and their results."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pyiexec.cli.options import (
    WORD,
    acting,
    acting_client,
    client,
    json_option,
    network_option,
    reading,
    run_async,
    wallet_options,
)
from pyiexec.cli.reporting import emit, moment, table, wants_json
from pyiexec.protocol.errors import IexecError

if TYPE_CHECKING:
    from pyiexec.protocol.primitives import Bytes32, TaskId
    from pyiexec.sdk import AsyncClient, TaskUpdate
    from pyiexec.sdk.explanations import Explanation
    from pyiexec.sdk.task_logs import ReplicateLogs


@click.group()
def task() -> None:
    """Show, watch and claim tasks; get results. A task is one unit of a deal's bag."""


@task.command()
@click.argument("task_id", type=WORD)
@reading
async def show(task_id: Bytes32, open_client: Any) -> None:
    """Show a task on chain, and what the scheduler says of it."""
    from pyiexec.protocol.primitives import TaskId, to_hex
    from pyiexec.protocol.tasks import TaskStatus
    from pyiexec.protocol.traces import trace_of

    async with open_client() as client:
        found = await client.tasks.show(TaskId(task_id))
        try:
            explained = await client.tasks.explain(TaskId(task_id))
            silence = None
        except IexecError as error:
            explained, silence = None, error
    if wants_json():
        data = {
            "taskId": task_id,
            "status": found.status.name,
            "dealId": found.deal_id,
            "trace": trace_of(found.deal_id),
            "index": found.index,
            "contributors": list(found.contributors),
            "contributionDeadline": found.contribution_deadline,
            "finalDeadline": found.final_deadline,
            "consensus": found.consensus_value,
            "resultDigest": found.result_digest,
            "results": found.results.decode(errors="replace"),
            "resultsCallback": to_hex(found.results_callback),
            "scheduler": explained or (silence.as_json() if silence else None),
        }
        emit(data)
        return
    facts = {
        "status": found.status.name,
        "deal": found.deal_id,
        "trace": trace_of(found.deal_id),
        "index": found.index,
        "contributions until": moment(found.contribution_deadline),
        "final deadline": moment(found.final_deadline),
        "contributions": len(found.contributors),
    }
    if found.status is TaskStatus.COMPLETED:
        facts |= {"result digest": found.result_digest, "result": found.results.decode(errors="replace")}
    emit(facts)
    if silence is not None:
        click.echo(f"\n{silence.what}  [{silence.code}]")
    elif explained is not None:
        _show_explanation(explained)


def _show_forecast(forecast: Mapping[str, Any]) -> None:
    """What the scheduler expects."""
    from pyiexec.cli.printing import printable

    place = f"It is number {forecast['position']} in line" if forecast["position"] else "It has its workers"
    if not forecast["eta"]:
        click.echo(f"{place}; nothing can be said of when it ends while the pool has no worker.")
        return
    starts = f", begun by {printable(forecast['startsBy'])}" if forecast["position"] else ""
    click.echo(f"{place}{starts}, and should end at {printable(forecast['eta'])}")
    between = f"between {printable(forecast['earliest'])} and {printable(forecast['latest'])}"
    click.echo(f"  {between}, judging by {forecast['observed']} of its kind.")


def _show_explanation(view: Mapping[str, Any]) -> None:
    """The scheduler's side: its phase, why the task does not go on, and its workers."""
    from pyiexec.cli.printing import printable

    click.echo(f"\nThe scheduler says {view['currentStatus']}.")
    if cause := view["cause"]:
        click.echo(f"{printable(cause['what'])}  [{cause['code']}]")
        click.echo(f"  {cause['remedy']}")
    if forecast := view.get("forecast"):
        _show_forecast(forecast)
    rows = [
        [
            replicate["walletAddress"],
            replicate["currentStatus"],
            replicate.get("appExitCode", ""),
            replicate.get("cause", {}).get("code", ""),
            printable(replicate.get("cause", {}).get("what", "")),
        ]
        for replicate in view["replicates"]
    ]
    if rows:
        click.echo("")
        table("", ["worker", "status", "exit code", "cause", "explanation"], rows)


@task.command()
@click.argument("task_id", type=WORD)
@click.option("--logs", is_flag=True, help="Show what the application printed, too; for the task's requester alone.")
@json_option
@network_option
@wallet_options
def debug(task_id: Bytes32, logs: bool, network: str | None, **wallet: Any) -> None:
    """Show how a task fared on every worker, step by step, and why it failed."""
    opened = acting_client(network, **wallet) if logs else client(network)
    run_async(_debug)(task_id, logs, opened)


async def _debug(task_id: Bytes32, logs: bool, opened: Any) -> None:
    from pyiexec.protocol.primitives import TaskId

    wanted = TaskId(task_id)
    async with opened as user:
        view = await user.tasks.explain(wanted)
        if view is None:
            raise IexecError("TASK_UNKNOWN", f"the pool's scheduler does not know the task {task_id}")
        try:
            found = await user.tasks.logs(wanted) if logs else []
        except IexecError as error:
            if error.code != "LOGS_UNKNOWN":
                raise
            found = []
    if wants_json():
        printed = {"logs": [_as_json(log) for log in found]} if logs else {}
        emit({"taskId": task_id, "scheduler": view} | printed)
        return
    _show_explanation(view)
    _show_steps(view)
    for log in found:
        _show_log(log)


@task.command()
@click.argument("task_id", type=WORD)
@reading
async def why(task_id: Bytes32, open_client: Any) -> None:
    """Say why a task is where it is: each change with its reason, what is awaited, until when, and what happens then.

    The pool's scheduler is asked; while it is silent the chain tells what it can.
    """
    from pyiexec.protocol.primitives import TaskId

    async with open_client() as client:
        found = await client.tasks.why(TaskId(task_id))
    if wants_json():
        import msgspec

        emit(msgspec.to_builtins(found))
    else:
        _show_reasons(found)


def _show_reasons(found: Explanation) -> None:
    from pyiexec.cli.printing import printable

    # What failed is told by its cause, in the next line.
    told = found.cause is not None and found.cause.code == found.reason
    reason = "" if told or not found.reason else f": {printable(found.meaning)}  [{printable(found.reason)}]"
    click.echo(f"{printable(found.state)} since {printable(found.since)}{reason}")
    for cause in (found.cause, found.silence):
        if cause is not None:
            click.echo(f"{printable(cause.what)}  [{printable(cause.code)}]\n  {printable(cause.remedy)}")
    if found.awaited is not None:
        awaits = found.awaited
        click.echo(f"It waits for {printable(awaits.what)}  [{printable(awaits.code)}]")
        click.echo(f"  until {printable(awaits.until)}; then {printable(awaits.then)}.")
    if found.trace:
        click.echo(f"Its trace in every log: {found.trace}")
    if found.forecast is not None:
        import msgspec

        _show_forecast(msgspec.to_builtins(found.forecast))
    click.echo(f"\nWhat the {found.source} has seen:\n")
    steps = [[step.date, step.who, step.state, step.reason, step.meaning] for step in found.history]
    table("", ["when", "who", "state", "reason", "meaning"], [[printable(cell) for cell in row] for row in steps])


def _show_steps(view: Mapping[str, Any]) -> None:
    steps = [[change["date"], "task", change["status"], change.get("code", "")] for change in view["dateStatusList"]]
    for replicate in view["replicates"]:
        steps += [
            [change["date"], replicate["walletAddress"], change["status"], change.get("code", "")]
            for change in replicate["statusUpdateList"]
        ]
    click.echo("")
    # The sort is stable: what happened in the same second stays in its order.
    table("", ["when", "who", "status", "cause"], sorted(steps, key=lambda step: step[0]))


def _as_json(log: ReplicateLogs) -> dict[str, str]:
    return {"walletAddress": log.worker, "stdout": log.stdout, "stderr": log.stderr}


def _show_log(log: ReplicateLogs) -> None:
    from pyiexec.cli.printing import printable

    for stream, text in (("stdout", log.stdout), ("stderr", log.stderr)):
        click.secho(f"\n{stream} of {log.worker}", italic=True)
        click.echo(printable(text), nl=not text.endswith("\n"))


@task.command()
@click.argument("task_id", type=WORD)
@click.option("--follow", is_flag=True, help="Go on until the task is over.")
@acting
async def logs(task_id: Bytes32, follow: bool, open_client: Any) -> None:
    """Show what a task's application printed on each worker; only who ordered the task may read it.

    With --follow and --json it prints one object a line.
    """
    from pyiexec.protocol.primitives import TaskId

    async with open_client() as user:
        if not follow:
            found = await user.tasks.logs(TaskId(task_id))
            if wants_json():
                emit({"taskId": task_id, "logs": [_as_json(log) for log in found]})
            else:
                for log in found:
                    _show_log(log)
            return
        await _follow(user, TaskId(task_id))


async def _follow(user: AsyncClient, task_id: TaskId) -> None:
    import json
    from contextlib import aclosing

    from pyiexec.cli.printing import printable

    shown = None
    async with aclosing(user.tasks.follow_logs(task_id)) as pieces:
        async for piece in pieces:
            if wants_json():
                line = {"walletAddress": piece.worker, "stream": piece.stream, "offset": piece.offset}
                click.echo(json.dumps(line | {"text": piece.text}))
                continue
            if shown != (piece.worker, piece.stream):
                shown = piece.worker, piece.stream
                click.secho(f"\n{piece.stream} of {piece.worker}", italic=True)
            click.echo(printable(piece.text), nl=False)


@task.command()
@click.argument("task_id", type=WORD)
@reading
async def watch(task_id: Bytes32, open_client: Any) -> None:
    """Follow a task until it ends: what happens on chain, and what its scheduler says when nothing does.

    With --json it prints one object a line.
    """
    from contextlib import aclosing

    from pyiexec.cli.silence import telling_of_silence
    from pyiexec.protocol.primitives import TaskId

    async with open_client() as client:
        found = await client.tasks.show(TaskId(task_id))
        start = client.connection.profile.start_block
        async with (
            telling_of_silence(client, lambda text: click.echo(text, err=True)),
            aclosing(client.deals.watch([found.deal_id], start_block=start)) as updates,
        ):
            async for update in updates:
                if update.task_id != task_id:
                    continue
                _tell(update)
                if update.status.name in ("COMPLETED", "FAILED"):
                    break


def _tell(update: TaskUpdate) -> None:
    import json

    obstacle = update.obstacle
    if wants_json():
        line = {"event": update.event, "status": update.status.name, "worker": update.worker}
        if obstacle is not None:
            line |= {"code": obstacle.code, "explanation": obstacle.explanation, "remedy": obstacle.remedy}
        click.echo(json.dumps(line | {"txHash": update.transaction, "block": update.block}))
        return
    by = f" by {update.worker}" if update.worker else ""
    why = f"{obstacle.explanation}  [{obstacle.code}]" if obstacle is not None else update.transaction
    click.echo(f"{update.event}{by}  [{update.status.name}]  {why}".rstrip())


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
