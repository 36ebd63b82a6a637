"""`pyiexec compass`: run the service that tells where schedulers are."""

from __future__ import annotations

from pathlib import Path

import click

from pyiexec.cli.service import start_service


@click.group()
def compass() -> None:
    """Run the compass.

    Clients ask it where the scheduler of a workerpool is reached; owners of pools tell it, with a signature.
    """


@compass.command()
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="Settings, TOML or JSON; PYIEXEC_<SETTING> variables override them.",
)
def start(config: Path) -> int:
    """Answer until told to stop."""
    return start_service("compass", config)
