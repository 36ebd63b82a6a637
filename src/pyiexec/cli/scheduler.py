"""`pyiexec scheduler`: manage a workerpool."""

from __future__ import annotations

from pathlib import Path

import click

from pyiexec.cli.service import config_option, start_service


@click.group()
def scheduler() -> None:
    """Run the scheduler of a workerpool.

    It watches the chain for deals of its pool, hands their tasks to workers, and finalizes what they proved.
    """


@scheduler.command()
@config_option
def start(config: Path) -> int:
    """Manage the pool until told to stop; a second start takes up what was under way."""
    return start_service("scheduler", config)
