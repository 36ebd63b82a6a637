"""Running one service in the foreground."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

config_option = click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="Settings, TOML or JSON; PYIEXEC_<SETTING> variables override them.",
)


def start_service(kind: str, config: Path) -> int:
    """Serve until SIGTERM or Ctrl-C; logs go to standard error."""
    from pyiexec.devnet.parts import Kind
    from pyiexec.devnet.process import serve_until_signalled

    def ready(url: str) -> None:
        if sys.stderr.isatty():
            click.echo(f"{kind} is ready {url}".rstrip(), err=True)

    return serve_until_signalled(Kind(kind), config, None, ready, environment=os.environ)
