"""`pyiexec keeper`: claim tasks that everybody else has forgotten."""

from __future__ import annotations

from pathlib import Path

import click

from pyiexec.cli.options import json_option, run_async
from pyiexec.cli.reporting import emit
from pyiexec.cli.service import config_option, start_service


@click.group()
def keeper() -> None:
    """Run a public keeper.

    Whoever claims a task after its final deadline frees what is locked in it: the requester gets the price back,
    workers get their stakes. A keeper does so for the tasks of any pool, also those that were never opened, and pays
    the gas.
    """


@keeper.command()
@config_option
def start(config: Path) -> int:
    """Look after deals until told to stop; a second start takes up what was under way."""
    return start_service("keeper", config)


@keeper.command()
@click.argument("url")
@json_option
@run_async
async def status(url: str) -> int:
    """Show what the keeper at URL has done; the exit code is 1 while something keeps it from its work."""
    import aiohttp

    from pyiexec.foundation.http import http_session
    from pyiexec.protocol.errors import IexecError

    try:
        async with http_session(timeout=5.0) as session, session.get(f"{url.rstrip('/')}/health") as response:
            health = await response.json()
            if response.status != 200 or not isinstance(health, dict):
                raise ValueError(f"HTTP {response.status}")
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        reason = str(error) or type(error).__name__
        raise IexecError("KEEPER_UNREACHABLE", f"no keeper answers at {url}: {reason}") from None
    emit(health)
    return 0 if health.get("ok") else 1
