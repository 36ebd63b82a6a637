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

    An application is a WebAssembly module for WASI, or a container image. It reads /iexec_in, writes /iexec_out, and
    names its result in /iexec_out/computed.json. A module is stored by its content and registered on chain with its
    SHA-256, an image stays in its registry and is registered with its digest.
    """


@app.command()
@click.argument("module", required=False, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--docker", "image", metavar="IMAGE@sha256:...", help="Register a container image instead of a module.")
@click.option("--name", help="What people read.  [default: that of the file or image]")
@acting
async def deploy(module: Path | None, image: str | None, name: str | None, open_client: Any) -> None:
    """Store MODULE, or take note of an image, and register it for your account."""
    if (module is None) == (image is None):
        raise click.UsageError("Give a module, or an image with --docker.")
    async with open_client() as client:
        if module is not None:
            deployed = await client.apps.deploy(name or module.stem, module.read_bytes())
        else:
            assert image is not None
            short = image.partition("@")[0].rpartition("/")[2].partition(":")[0]
            deployed = await client.apps.deploy_image(name or short, image)
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
@click.option("--seconds", type=click.IntRange(1), default=300, show_default=True, help="Time of the category.")
@json_option
@run_async
async def check(module: Path, arguments: str, inputs: tuple[Path, ...], seconds: int) -> None:
    """Run MODULE twice under different circumstances and compare the results.

    Workers stake money on computing the same result as others: an app that depends on the time, on chance or on the
    order of files makes them lose it. Check before you publish.
    """
    from pyiexec.worker.runtimes.check import run_app_twice

    content = {path.name: path.read_bytes() for path in inputs}
    found = await run_app_twice(module.read_bytes(), arguments, content, seconds=seconds)
    data = {"deterministic": True, "digest": found.digest, "seconds": found.seconds, "fuel": found.fuel_used}
    emit(
        data | {"files": sorted(found.files)},
        f"deterministic: both runs gave {found.digest} ({found.seconds:.2f} s, {found.fuel_used} fuel)",
    )
