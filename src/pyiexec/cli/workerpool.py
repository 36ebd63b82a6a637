"""`pyiexec workerpool`: workerpools."""

from __future__ import annotations

from typing import Any

import click

from pyiexec.cli.options import ADDRESS, AMOUNT, TAG, acting, reading
from pyiexec.cli.reporting import emit

NULL_TAG = "0x" + "0" * 64
NULL_ADDRESS = "0x" + "0" * 40


@click.group()
def workerpool() -> None:
    """Deploy, publish and show workerpools.

    A workerpool sells the computing power of its workers. Its owner runs the scheduler and stakes 30 % of the price of
    each task.
    """


@workerpool.command()
@click.argument("description")
@acting
async def deploy(description: str, open_client: Any) -> None:
    """Register a workerpool for your account."""
    async with open_client() as client:
        deployed = await client.workerpools.deploy(description)
    how = f"registered in {deployed.transaction}" if deployed.transaction else "registered before"
    emit({"address": deployed.address, "txHash": deployed.transaction}, f"{deployed.address} {how}")


@workerpool.command()
@click.argument("address", type=ADDRESS)
@click.option("--price", type=AMOUNT, default=0, help="Price of one task.  [default: 0]")
@click.option("--volume", type=click.IntRange(1), default=1, show_default=True, help="Tasks on offer.")
@click.option("--category", type=click.IntRange(0), default=0, show_default=True, help="Class of tasks by duration.")
@click.option("--trust", type=click.IntRange(0), default=0, show_default=True, help="Highest trust on offer.")
@click.option("--tag", type=TAG, default=NULL_TAG, help="What the workers have, e.g. gpu.")
@click.option("--app-restrict", type=ADDRESS, default=NULL_ADDRESS, help="Only this app.")
@click.option("--requester-restrict", type=ADDRESS, default=NULL_ADDRESS, help="Only this account may buy.")
@acting
async def publish(
    address: str,
    price: int,
    volume: int,
    category: int,
    trust: int,
    tag: str,
    app_restrict: str,
    requester_restrict: str,
    open_client: Any,
) -> None:
    """Sign an order for the pool at ADDRESS and put it into the order book."""
    from pyiexec.protocol.orders import WorkerpoolOrder
    from pyiexec.protocol.primitives import Address, Bytes32

    order = WorkerpoolOrder(
        workerpool=Address(address),
        workerpoolprice=price,
        volume=volume,
        tag=Bytes32(tag),
        category=category,
        trust=trust,
        apprestrict=Address(app_restrict),
        requesterrestrict=Address(requester_restrict),
    )
    async with open_client() as client:
        order_hash = await client.orders.publish(client.orders.sign(order))
    emit({"orderHash": order_hash}, f"published {order_hash}")


@workerpool.command()
@click.argument("address", type=ADDRESS)
@reading
async def show(address: str, open_client: Any) -> None:
    """Show what the chain knows of the pool at ADDRESS, and where its scheduler is reached."""
    from msgspec import to_builtins

    from pyiexec.protocol.errors import IexecError

    async with open_client() as client:
        found = to_builtins(await client.workerpools.show(address))
        if client.connection.profile.compass_url is not None:
            try:
                found["apiUrl"] = await client.workerpools.url(address)
            except IexecError as error:
                # What the chain says is worth showing without it.
                found["apiUrl"] = None
                found["apiUrlError"] = str(error)
    emit(found)


@workerpool.command("set-url")
@click.argument("address", type=ADDRESS)
@click.argument("url")
@acting
async def set_url(address: str, url: str, open_client: Any) -> None:
    """Tell the compass that the scheduler of the pool at ADDRESS is reached at URL, an origin; '' takes it back."""
    async with open_client() as client:
        await client.workerpools.set_url(address, url)
    emit({"address": address, "apiUrl": url}, f"{address} is at {url}" if url else f"{address} has no URL any more")
