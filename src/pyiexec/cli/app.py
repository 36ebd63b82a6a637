"""`pyiexec app`: applications."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pyiexec.cli.options import ADDRESS, AMOUNT, TAG, acting, json_option, reading, run_async
from pyiexec.cli.reporting import emit

NULL_TAG = "0x" + "0" * 64
NULL_ADDRESS = "0x" + "0" * 40


@click.group()
def app() -> None:
    """Deploy, check, publish and show applications.

    An application is a WebAssembly module for WASI. It reads /iexec_in, writes /iexec_out, and names its result in
    /iexec_out/computed.json. It is stored by its content and registered on chain with its SHA-256.
    """


@app.command()
@click.argument("module", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", help="What people read.  [default: the file's name]")
@acting
async def deploy(module: Path, name: str | None, open_client: Any) -> None:
    """Store MODULE and register it for your account."""
    async with open_client() as client:
        deployed = await client.apps.deploy(name or module.stem, module.read_bytes())
    how = f"registered in {deployed.transaction}" if deployed.transaction else "registered before"
    emit({"address": deployed.address, "txHash": deployed.transaction}, f"{deployed.address} {how}")


@app.command()
@click.argument("address", type=ADDRESS)
@click.option("--price", type=AMOUNT, default=0, help="Price of one task.  [default: 0]")
@click.option("--volume", type=click.IntRange(1), default=1_000_000, show_default=True, help="Tasks on offer.")
@click.option("--tag", type=TAG, default=NULL_TAG, help="What the app needs of a worker, e.g. gpu.")
@click.option("--workerpool-restrict", type=ADDRESS, default=NULL_ADDRESS, help="Only this pool may run it.")
@click.option("--requester-restrict", type=ADDRESS, default=NULL_ADDRESS, help="Only this account may buy it.")
@acting
async def publish(
    address: str,
    price: int,
    volume: int,
    tag: str,
    workerpool_restrict: str,
    requester_restrict: str,
    open_client: Any,
) -> None:
    """Sign an order for the app at ADDRESS and put it into the order book."""
    from pyiexec.protocol.orders import AppOrder
    from pyiexec.protocol.primitives import Address, Bytes32

    order = AppOrder(
        app=Address(address),
        appprice=price,
        volume=volume,
        tag=Bytes32(tag),
        workerpoolrestrict=Address(workerpool_restrict),
        requesterrestrict=Address(requester_restrict),
    )
    async with open_client() as client:
        order_hash = await client.orders.publish(client.orders.sign(order))
    emit({"orderHash": order_hash}, f"published {order_hash}")


@app.command()
@click.argument("address", type=ADDRESS)
@reading
async def show(address: str, open_client: Any) -> None:
    """Show what the chain knows of the app at ADDRESS."""
    from msgspec import to_builtins

    async with open_client() as client:
        found = await client.apps.show(address)
    emit(to_builtins(found))


@app.command()
@click.argument("module", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--args", "arguments", default="", help="The app's arguments, as on a command line.")
@click.option(
    "--input", "inputs", type=click.Path(exists=True, dir_okay=False, path_type=Path), multiple=True, help="Input file."
)
@click.option("--volume", type=click.IntRange(1), default=1, show_default=True, help="Tasks in the bag.")
@click.option("--index", type=click.IntRange(0), default=0, show_default=True, help="Which task of the bag to run.")
@click.option("--seconds", type=click.IntRange(1), default=300, show_default=True, help="Time limit of one run.")
@json_option
@run_async
async def check(module: Path, arguments: str, inputs: tuple[Path, ...], volume: int, index: int, seconds: int) -> None:
    """Run MODULE twice under different circumstances and compare the results.

    Workers stake money on computing the same result as others: an app that depends on the time, on chance or on the
    order of files makes them lose it. Check before you publish.
    """
    import tempfile

    from pyiexec.protocol.authorization import WorkerpoolAuthorization
    from pyiexec.protocol.deals import Deal
    from pyiexec.protocol.ids import task_id
    from pyiexec.protocol.primitives import NULL_ADDRESS, NULL_BYTES32, DealId
    from pyiexec.worker import environment
    from pyiexec.worker.runtimes.base import RunRequest, limits_for, seed_for_task
    from pyiexec.worker.runtimes.check import run_app_twice
    from pyiexec.worker.runtimes.registry import RuntimeRegistry

    deal_id = DealId(NULL_BYTES32)
    task = task_id(deal_id, index)
    authorization = WorkerpoolAuthorization(worker=NULL_ADDRESS, task_id=task, deal_id=deal_id, index=index)
    names = [path.name for path in inputs]
    content = module.read_bytes()
    with tempfile.TemporaryDirectory(prefix="pyiexec-check-") as scratch:
        folder = Path(scratch) / "in"
        folder.mkdir()
        for path in inputs:
            (folder / environment.input_name(path.name)).write_bytes(path.read_bytes())
        request = RunRequest(
            app=content,
            args=environment.split_arguments(arguments),
            environment=environment.variables(authorization, Deal(bot_size=volume), names),
            input_dir=folder,
            output_dir=Path(scratch) / "out",
            limits=limits_for(seconds),
            seed=seed_for_task(task),
        )
        outcome = await run_app_twice(RuntimeRegistry.installed().choose(str(module), content), request)
    outcome.raise_for_failure()
    first = outcome.runs[0]
    data = {
        "deterministic": True,
        "digest": outcome.digests[0],
        "seconds": first.seconds,
        "fuel": first.fuel_used,
        "alsoDiffering": list(outcome.differing),
    }
    emit(data, f"deterministic: both runs gave {outcome.digests[0]} ({first.seconds:.2f} s, {first.fuel_used} fuel)")
