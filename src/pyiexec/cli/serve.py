"""`pyiexec serve`: run one of the services around the chain."""

from __future__ import annotations

from pathlib import Path

import click

from pyiexec.cli.service import config_option, start_service

#: Services without a command of their own.
SERVICES = ("market", "results", "indexer", "faucet")


@click.command()
@click.argument("service", type=click.Choice(SERVICES))
@config_option
def serve(service: str, config: Path) -> int:
    """Run an order book, a result store, an index or a faucet until told to stop.

    Several processes of an order book or an index may share a PostgreSQL database: all of them answer, and one follows
    the chain.
    """
    return start_service(service, config)
