"""`pyiexec order`: orders as files and in the order book."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from pyiexec.cli.options import WORD, acting, reading
from pyiexec.cli.reporting import emit

KINDS = ("apporder", "datasetorder", "workerpoolorder", "requestorder")
ORDER_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def order() -> None:
    """Write, sign, publish, match and cancel orders.

    An order is a signed offer, kept as a JSON file. Four of them make a deal: an app's, a dataset's (or none), a
    workerpool's, and a request.
    """


def _read(kind: str, path: Path) -> Any:
    from pyiexec.protocol.errors import IexecError
    from pyiexec.protocol.orders import decode_order

    try:
        values = json.loads(path.read_text())
    except ValueError:
        raise IexecError("BAD_ORDER", f"{path} is not JSON") from None
    return decode_order(kind, values.get("order", values) if isinstance(values, dict) else values)


@order.command()
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@acting
async def init(kind: str, file: Path, open_client: Any) -> None:
    """Write an unsigned order to FILE, to be filled in and signed.

    Addresses are left null for you to replace, prices are 0; a request is made for your account.
    """
    from pyiexec.protocol.errors import IexecError
    from pyiexec.protocol.orders import ORDER_KINDS, order_to_json
    from pyiexec.protocol.primitives import NULL_ADDRESS

    if file.exists():
        raise IexecError("OUTPUT_EXISTS", f"{file} exists already")
    async with open_client() as client:
        owner = client.address
    fields: dict[str, Any] = {"app": NULL_ADDRESS, "requester": owner, "beneficiary": owner}
    if kind != "requestorder":
        fields = {kind.removesuffix("order"): NULL_ADDRESS}
    template = order_to_json(ORDER_KINDS[kind](**fields))
    file.write_text(json.dumps(template, indent=2) + "\n")
    emit({"file": str(file), "order": template}, f"fill in {file}, then `pyiexec order sign {kind} {file}`")


@order.command()
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("file", type=ORDER_FILE)
@click.option("--output", type=click.Path(dir_okay=False, path_type=Path), help="Where to write it.  [default: FILE]")
@acting
async def sign(kind: str, file: Path, output: Path | None, open_client: Any) -> None:
    """Sign the order in FILE with a fresh salt."""
    from pyiexec.protocol.orders import order_to_json

    unsigned = _read(kind, file)
    async with open_client() as client:
        signed = client.orders.sign(unsigned)
        order_hash = client.orders.hash(signed)
    target = output or file
    target.write_text(json.dumps(order_to_json(signed), indent=2) + "\n")
    emit({"orderHash": order_hash, "file": str(target), "order": order_to_json(signed)}, f"{order_hash} in {target}")


@order.command()
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("file", type=ORDER_FILE)
@acting
async def publish(kind: str, file: Path, open_client: Any) -> None:
    """Put the signed order in FILE into the order book."""
    async with open_client() as client:
        order_hash = await client.orders.publish(_read(kind, file))
    emit({"orderHash": order_hash}, f"published {order_hash}")


@order.command()
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("order_hash", type=WORD)
@acting
async def unpublish(kind: str, order_hash: str, open_client: Any) -> None:
    """Take an order out of the order book. Whoever has a copy can still match it: see `cancel`."""
    async with open_client() as client:
        await client.orderbook.unpublish(kind, client.connection.signer, order_hash=order_hash)
    emit({"orderHash": order_hash}, f"unpublished {order_hash}")


@order.command()
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("file", type=ORDER_FILE)
@acting
async def cancel(kind: str, file: Path, open_client: Any) -> None:
    """Close the order in FILE on chain: nobody can match it any more."""
    async with open_client() as client:
        transaction = await client.orders.cancel(_read(kind, file))
    emit({"txHash": transaction}, f"closed in {transaction}")


@order.command()
@click.argument("kind", type=click.Choice(KINDS))
@click.argument("order_hash", type=WORD)
@reading
async def show(kind: str, order_hash: str, open_client: Any) -> None:
    """Show a published order."""
    from pyiexec.protocol.orders import order_to_json

    async with open_client() as client:
        found = await client.orderbook.order(kind, order_hash)
    data = {
        "orderHash": found.order_hash,
        "status": found.status,
        "remaining": found.remaining,
        "signer": found.signer,
        "order": order_to_json(found.order),
    }
    emit(data)


@order.command()
@click.option("--app", "app_file", type=ORDER_FILE, required=True, help="Signed app order.")
@click.option("--workerpool", "workerpool_file", type=ORDER_FILE, required=True, help="Signed workerpool order.")
@click.option("--request", "request_file", type=ORDER_FILE, required=True, help="Signed request order.")
@click.option("--dataset", "dataset_file", type=ORDER_FILE, help="Signed dataset order.")
@acting
async def match(
    app_file: Path, workerpool_file: Path, request_file: Path, dataset_file: Path | None, open_client: Any
) -> None:
    """Make a deal of signed orders; the price is locked from the requester's stake."""
    from pyiexec.protocol.orders import NO_DATASET

    dataset = _read("datasetorder", dataset_file) if dataset_file else NO_DATASET
    async with open_client() as client:
        made = await client.orders.match(
            _read("apporder", app_file),
            dataset,
            _read("workerpoolorder", workerpool_file),
            _read("requestorder", request_file),
        )
    data = {"dealid": made.deal_id, "volume": made.volume, "txHash": made.transaction}
    emit(data, f"deal {made.deal_id} of {made.volume} tasks, in {made.transaction}")
