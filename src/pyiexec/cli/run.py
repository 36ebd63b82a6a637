"""`pyiexec run`: one command from an app to its result."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pyiexec.cli.options import ADDRESS, AMOUNT, TAG, acting
from pyiexec.cli.reporting import emit, wants_json
from pyiexec.protocol.errors import IexecError

if TYPE_CHECKING:
    from pyiexec.protocol.primitives import DealId
    from pyiexec.sdk import AsyncClient, Endings, Execution, Quote, TaskUpdate

NULL_TAG = "0x" + "0" * 64


@click.command()
@click.argument("app", type=ADDRESS)
@click.option("--args", "arguments", default="", help="The app's arguments, as on a command line.")
@click.option(
    "--input",
    "inputs",
    multiple=True,
    help="Input: a local file, which is stored by its content, or the URL of one stored before.",
)
@click.option("--volume", type=click.IntRange(1), default=1, show_default=True, help="Number of tasks.")
@click.option("--trust", type=click.IntRange(0), default=1, show_default=True, help="One wrong result in so many.")
@click.option("--category", type=click.IntRange(0), help="Class of tasks by duration.  [default: the cheapest]")
@click.option("--tag", type=TAG, default=NULL_TAG, help="What the tasks need of a worker, e.g. gpu.")
@click.option("--workerpool", type=ADDRESS, help="Only this pool.")
@click.option("--max-price", type=AMOUNT, help="Most to pay for all tasks together.")
@click.option("--yes", is_flag=True, help="Do not ask before paying.")
@click.option("--no-wait", is_flag=True, help="Return once the deal is made.")
@click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the results.  [default: one named after the first deal]",
)
@acting
async def run(
    app: str,
    arguments: str,
    inputs: tuple[str, ...],
    volume: int,
    trust: int,
    category: int | None,
    tag: str,
    workerpool: str | None,
    max_price: int | None,
    yes: bool,
    no_wait: bool,
    output: Path | None,
    open_client: Any,
) -> None:
    """Run the app at ADDRESS: find the best offer, show its exact price, buy, wait, download the proved results.

    \b
    pyiexec run 0x… --args "--size 10" --input data.csv --trust 10 --max-price "2 RLC"

    An interrupted run loses nothing: the deal goes on, and `pyiexec deal show` and `pyiexec task result` find it.
    """
    if output is not None and output.exists():
        raise IexecError("OUTPUT_EXISTS", f"{output} exists already, nothing was bought")
    async with open_client() as client:
        urls = [await _store(client, source) for source in inputs]
        with _traces() as deals:
            execution: Execution = await client.buy(
                app,
                args=arguments,
                inputs=urls,
                volume=volume,
                trust=trust,
                category=category,
                tag=tag,
                workerpool=workerpool,
                max_price=max_price,
                approve=lambda quote: _approve(quote, yes),
                announce=deals.append,
            )
            data = {
                "price": execution.quote.total,
                "deals": execution.deal_ids,
                "txHashes": [match.transaction for match in execution.matches],
            }
            if no_wait:
                emit(data, "\n".join(f"deal {deal_id}" for deal_id in execution.deal_ids))
                return
            endings = await _follow(client, execution)
        results = [await client.tasks.result(task) for task in endings.completed]
        final = await client.final_deadline(execution)
    from pyiexec.cli.unpacking import write_files

    folder = output or Path(execution.deal_ids[0])
    order = {task: number for number, task in enumerate(endings.task_ids)}
    for result in results:
        write_files(folder / f"{order[result.task_id]:04d}" if len(order) > 1 else folder, result.files)
    if results and endings.failures and not wants_json():
        click.echo(f"{len(results)} proved results in {folder}")
    endings.raise_for_failures(execution.deal_ids, final)
    tasks = [{"taskId": result.task_id, "digest": result.digest} for result in results]
    emit(data | {"tasks": tasks, "folder": str(folder)}, f"{len(results)} proved results in {folder}")


async def _store(client: AsyncClient, source: str) -> str:
    if source.startswith(("http://", "https://")):
        return source
    path = Path(source)
    if not path.is_file():
        raise IexecError("BAD_REQUEST", f"there is no input file {source}")
    return await client.store(path.read_bytes())


def _approve(quote: Quote, yes: bool) -> bool:
    from pyiexec.protocol.units import format_rlc

    if not wants_json():
        for share in quote.shares:
            pool = share.workerpool_order
            click.echo(
                f"{share.volume} x ({format_rlc(share.app_order.appprice)} for the app"
                f" + {format_rlc(pool.workerpoolprice)} for pool {pool.workerpool})"
            )
        click.echo(f"price: {format_rlc(quote.total)} at trust {quote.trust}, category {quote.category}")
    if yes:
        return True
    if wants_json() or not sys.stdin.isatty():
        return False
    return click.confirm("Buy?", default=True)


@contextmanager
def _traces() -> Iterator[list[DealId]]:
    """Deals made, or about to be, in the block; when it is interrupted, how to find them again is said."""
    import anyio

    deals: list[DealId] = []
    try:
        yield deals
    except anyio.get_cancelled_exc_class():
        if deals:
            ways = " or ".join(f"`pyiexec deal show {deal_id}`" for deal_id in deals)
            click.echo(f"Interrupted. What was bought goes on: see {ways}.", err=True)
        raise


async def _follow(client: AsyncClient, execution: Execution) -> Endings:
    """Show how far the tasks are, and what keeps them from going on."""
    from pyiexec.cli.progress import TaskProgress
    from pyiexec.cli.silence import telling_of_silence

    said: set[str] = set()
    with TaskProgress(execution.quote.volume) as progress:

        def show(update: TaskUpdate) -> None:
            progress.show(update)
            if update.obstacle is not None and update.obstacle.code not in said:
                said.add(update.obstacle.code)
                progress.say(f"task {update.index}: {update.obstacle.explanation}  [{update.obstacle.code}]")

        async with telling_of_silence(client, progress.say):
            return await client.wait(execution, show)
