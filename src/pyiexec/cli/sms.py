"""`pyiexec sms`: run the secret management service, and change its key."""

from __future__ import annotations

import os
from pathlib import Path

import click

from pyiexec.cli.options import json_option, run_async
from pyiexec.cli.reporting import emit
from pyiexec.cli.service import config_option, start_service


@click.group()
def sms() -> None:
    """Run the secret management service.

    It keeps the secrets of owners, encrypted, and tells them to nobody but enclaves.
    """


@sms.command()
@config_option
def start(config: Path) -> int:
    """Keep secrets until told to stop; the first start makes the key ring."""
    return start_service("sms", config)


@sms.command("rotate-key")
@config_option
@click.option("--batch", type=click.IntRange(1, 10_000), default=200, show_default=True, help="Secrets at a time.")
@json_option
@run_async
async def rotate_key(config: Path, batch: int) -> None:
    """Encrypt every secret with a new key and destroy the old one.

    The service may go on running. Interrupted, the next run finishes what this one began.
    """
    from pyiexec.foundation.database import Database
    from pyiexec.foundation.settings import load_settings
    from pyiexec.sms.keyring import KeyFile
    from pyiexec.sms.rotation import rotate
    from pyiexec.sms.service import MIGRATIONS
    from pyiexec.sms.settings import SmsSettings

    settings = load_settings(SmsSettings, config, os.environ)
    database = await Database.open(settings.database_url, [MIGRATIONS])
    try:
        done = await rotate(
            database,
            KeyFile(Path(settings.key_file)),
            os.urandom,
            batch=batch,
            on_progress=lambda done, total: click.echo(f"{done} of {total}", err=True),
        )
    finally:
        await database.close()
    data = {"keyId": done.key_id, "secrets": done.secrets, "resumed": done.resumed}
    emit(data, f"{done.secrets} secrets now under key {done.key_id}")
