"""`pyiexec worker`: lend this machine to a workerpool."""

from __future__ import annotations

from pathlib import Path

import click

from pyiexec.cli.service import config_option, start_service


@click.group()
def worker() -> None:
    """Run a worker on this machine.

    A worker connects out to its pool's scheduler, runs tasks in a sandbox, stakes RLC on their results, and is paid
    for those that stand.
    """


@worker.command()
@config_option
def start(config: Path) -> int:
    """Work until told to stop; a second start takes up what was under way."""
    return start_service("worker", config)
