"""`pyiexec worker`: lend this machine to a workerpool."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pyiexec.cli.options import ADDRESS, ask_password, json_option, load_network, network_option
from pyiexec.cli.reporting import FAILED, console, emit, wants_json
from pyiexec.cli.service import config_option, start_service

if TYPE_CHECKING:
    from pyiexec.sdk import NetworkProfile
    from pyiexec.worker.settings import WorkerSettings
    from pyiexec.worker.status import WorkerStatus

#: Name of the settings file in a worker's folder.
SETTINGS = "worker.toml"


@click.group()
def worker() -> None:
    """Run a worker on this machine.

    A worker connects out to its pool's scheduler, runs tasks in a sandbox, stakes RLC on their results, and is paid
    for those that stand.
    """


@worker.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), default=Path())
@click.option("--workerpool", type=ADDRESS, required=True, help="The pool it is to work for.")
@click.option(
    "--key-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Its private key or keystore file; a new account is made otherwise.",
)
@click.option(
    "--password-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Password of the keystore file; of a new one it is asked for otherwise.",
)
@click.option("--scheduler-url", metavar="URL", help="Origin of the pool's scheduler.  [default: looked up]")
@click.option("--slots", type=click.IntRange(1, 1024), default=1, show_default=True, help="Tasks at a time.")
@network_option
@json_option
def init(
    folder: Path,
    workerpool: str,
    key_file: Path | None,
    password_file: Path | None,
    scheduler_url: str | None,
    slots: int,
    network: str | None,
) -> None:
    """Write the settings of a new worker into FOLDER, by default this one.

    A file that is there already is never overwritten.
    """
    from pyiexec.chain.keystore import read_key_file
    from pyiexec.protocol.errors import IexecError
    from pyiexec.protocol.primitives import Address
    from pyiexec.worker.first_settings import first_settings

    folder = folder.absolute()
    file = folder / SETTINGS
    if file.exists():
        raise IexecError("OUTPUT_EXISTS", f"{file} is there already", remedy="Edit it, or name another folder.")
    profile = load_network(network)
    if scheduler_url is None:
        scheduler_url = _find_scheduler(profile, Address(workerpool))
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if key_file is None:
        key_file, password_file = _new_account(folder, password_file)
    address = read_key_file(key_file, password_file).address
    text = first_settings(
        key_file=key_file.absolute(),
        password_file=None if password_file is None else password_file.absolute(),
        rpc_url=profile.rpc_url,
        hub=profile.hub,
        workerpool=Address(workerpool),
        scheduler_url=scheduler_url,
        gateway_url=profile.gateway_url,
        data_dir=folder / "worker-data",
        slots=slots,
    )
    _write_new(file, text)
    emit({"address": address, "settings": str(file)}, f"worker {address} in {file}")


def _find_scheduler(profile: NetworkProfile, workerpool: Any) -> str:
    """Origin of a pool's scheduler, from the network's profile where there is just one, else from its compass."""
    import asyncio

    from pyiexec.protocol.errors import IexecError
    from pyiexec.sdk import AsyncClient

    if profile.scheduler_url is not None:
        return profile.scheduler_url
    if profile.compass_url is None:
        raise IexecError(
            "WORKERPOOL_URL_UNKNOWN",
            f"the network {profile.name} has no compass to look up the scheduler of {workerpool}",
            remedy="Name it with --scheduler-url.",
        )

    async def ask() -> str:
        async with AsyncClient(profile) as client:
            return await client.workerpools.url(workerpool)

    return asyncio.run(ask())


def _new_account(folder: Path, password_file: Path | None) -> tuple[Path, Path]:
    """A keystore file of a new account, and the file of its password, which a worker must have when nobody is there."""
    from pyiexec.chain.keystore import create_keyfile
    from pyiexec.chain.signer import Signer

    password = ask_password(password_file, "Password of the worker's new keystore file", confirm=True)
    if password_file is None:
        password_file = folder / "password.txt"
        _write_new(password_file, password + "\n")
    return create_keyfile(folder, Signer.from_key(os.urandom(32)), password), password_file


def _write_new(file: Path, text: str) -> None:
    """Write a file that its owner alone may read, unless it is there."""
    from pyiexec.protocol.errors import IexecError

    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
            opened.write(text)
    except FileExistsError:
        raise IexecError("OUTPUT_EXISTS", f"{file} is there already", remedy="Name another folder.") from None
    except OSError as error:
        raise IexecError("BAD_SETTINGS", f"cannot write {file}: {error.strerror}") from None


@worker.command()
@config_option
@click.option("--dashboard", is_flag=True, help="Show what it does in the terminal; the log goes into its folder.")
def start(config: Path, dashboard: bool) -> int:
    """Work until told to stop; a second start takes up what was under way."""
    if not dashboard:
        return start_service("worker", config)
    from pyiexec.cli.dashboard import start_with_dashboard

    return start_with_dashboard(config, _load(config))


@worker.command()
@config_option
@click.option("--watch", is_flag=True, help="Go on showing it, until Ctrl-C or its end.")
@json_option
def status(config: Path, watch: bool) -> None:
    """Show what the worker with these settings does now."""
    from msgspec import to_builtins

    from pyiexec.cli.dashboard import show, summary
    from pyiexec.worker.status import read_status, watch_status

    data_dir = _load(config).data_dir
    if not watch:
        found: WorkerStatus = read_status(data_dir)
        emit(to_builtins(found), summary(found))
    elif wants_json():
        for found in watch_status(data_dir):
            emit(to_builtins(found))
    else:
        show(watch_status(data_dir), console())


@worker.command()
@config_option
@json_option
def doctor(config: Path) -> int:
    """Try everything the worker depends on, and say what to do about what does not work."""
    import asyncio

    from pyiexec.foundation.clock import SystemClock
    from pyiexec.worker.doctor import Finding, examine
    from pyiexec.worker.sensors import LinuxSensors

    settings = _load(config)

    async def collect() -> list[Finding]:
        found = []
        async for finding in examine(settings, LinuxSensors(), SystemClock()):
            found.append(finding)
            if not wants_json():
                click.echo(f"{'ok' if finding.good else 'problem':<8}{finding.name:<12}{finding.what}")
                if finding.remedy:
                    click.echo(f"{'':<20}{finding.remedy}")
        return found

    findings = asyncio.run(collect())
    well = all(finding.good for finding in findings)
    if wants_json():
        emit({"ok": well, "checks": [finding._asdict() for finding in findings]})
    return 0 if well else FAILED


@worker.command()
@config_option
@click.option("--user", metavar="NAME", default="pyiexec", show_default=True, help="Whom the service runs as.")
@json_option
def unit(config: Path, user: str) -> None:
    """Print a systemd unit that runs the worker, shut in, from the machine's start on."""
    from pyiexec.worker.unit import systemd_unit

    program = Path(sys.argv[0])
    command = [str(program.absolute())] if program.name == "pyiexec" else [sys.executable, "-m", "pyiexec"]
    command += ["worker", "start", "--config", str(config.absolute())]
    settings = _load(config)
    reads = [path for path in (settings.key_file, settings.password_file) if path is not None]
    text = systemd_unit(
        command=command,
        data_dir=settings.data_dir.absolute(),
        reads=[path.absolute() for path in [config, *reads]],
        user=user,
    )
    emit({"unit": text}, text.rstrip("\n"))


def _load(config: Path) -> WorkerSettings:
    from pyiexec.foundation.settings import load_settings
    from pyiexec.worker.settings import WorkerSettings

    return load_settings(WorkerSettings, config, os.environ)
