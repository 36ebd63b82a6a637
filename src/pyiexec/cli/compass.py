"""`pyiexec compass`: run the service that tells where schedulers are."""

from __future__ import annotations

from pathlib import Path

import click

from pyiexec.cli.service import config_option, start_service


@click.group()
def compass() -> None:
    """Run the compass.

    Clients ask it where the scheduler of a workerpool is reached; owners of pools tell it, with a signature.
    """


@compass.command()
@config_option
def start(config: Path) -> int:
    """Answer until told to stop."""
    return start_service("compass", config)
