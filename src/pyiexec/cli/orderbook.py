"""`pyiexec orderbook`: what is on offer."""

from __future__ import annotations

from typing import Any

import click

from pyiexec.cli.options import ADDRESS, TAG, reading
from pyiexec.cli.reporting import emit, table, wants_json


@click.group()
def orderbook() -> None:
    """Browse the orders on offer, cheapest first."""


async def _list(open_client: Any, kind: str, price: str, **filters: Any) -> None:
    from pyiexec.protocol.orders import order_to_json
    from pyiexec.protocol.units import format_rlc

    async with open_client() as client:
        offers = await client.orderbook.orders(kind, **filters)
    if wants_json():
        listed = [
            {"orderHash": offer.order_hash, "remaining": offer.remaining, "order": order_to_json(offer.order)}
            for offer in offers
        ]
        emit({"orders": listed, "count": len(listed)})
        return
    rows = [[offer.order_hash, format_rlc(getattr(offer.order, price)), offer.remaining] for offer in offers]
    table("", ["order", "price", "remaining"], rows)


@orderbook.command()
@click.argument("address", type=ADDRESS)
@click.option("--min-volume", type=click.IntRange(1), help="Orders for at least that many tasks.")
@reading
async def app(address: str, min_volume: int | None, open_client: Any) -> None:
    """Orders for the app at ADDRESS."""
    await _list(open_client, "apporder", "appprice", app=address, minVolume=min_volume)


@orderbook.command()
@click.argument("address", type=ADDRESS)
@reading
async def dataset(address: str, open_client: Any) -> None:
    """Orders for the dataset at ADDRESS."""
    await _list(open_client, "datasetorder", "datasetprice", dataset=address)


@orderbook.command()
@click.argument("address", type=ADDRESS, required=False)
@click.option("--category", type=click.IntRange(0), help="Class of tasks by duration.")
@click.option("--min-trust", type=click.IntRange(0), help="Pools that offer at least this trust.")
@click.option("--min-tag", type=TAG, help="Pools that have at least this, e.g. gpu.")
@click.option("--min-volume", type=click.IntRange(1), help="Orders for at least that many tasks.")
@reading
async def workerpool(
    address: str | None,
    category: int | None,
    min_trust: int | None,
    min_tag: str | None,
    min_volume: int | None,
    open_client: Any,
) -> None:
    """Orders of workerpools, of the one at ADDRESS if given."""
    filters = {"category": category, "minTrust": min_trust, "minTag": min_tag, "minVolume": min_volume}
    await _list(open_client, "workerpoolorder", "workerpoolprice", workerpool=address, **filters)


@orderbook.command()
@click.argument("address", type=ADDRESS, required=False)
@click.option("--category", type=click.IntRange(0), help="Class of tasks by duration.")
@reading
async def requester(address: str | None, category: int | None, open_client: Any) -> None:
    """Requests waiting for a pool, of the account at ADDRESS if given."""
    await _list(open_client, "requestorder", "workerpoolmaxprice", requester=address, category=category)
