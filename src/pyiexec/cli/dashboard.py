"""What a worker does, in the terminal."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pyiexec.cli.reporting import console, moment
from pyiexec.devnet.parts import Kind
from pyiexec.devnet.process import serve_until_signalled
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.units import format_rlc
from pyiexec.worker.settings import WorkerSettings
from pyiexec.worker.status import WorkerStatus, watch_status

_MEBIBYTE = 1 << 20
#: Tasks shown at most; the rest is counted.
_SHOWN = 20


def facts(status: WorkerStatus) -> list[tuple[str, str]]:
    """A worker's state, line by line."""
    doing = {"run": "takes tasks", "finish": "ends what it runs", "pause": "stands still"}[status.mode]
    ended = ", ".join(f"{count} {name.lower()}" for name, count in sorted(status.ended.items())) or "none"
    budget = "" if status.disk_bytes is None else f" of {status.disk_bytes // _MEBIBYTE} MiB"
    return [
        ("worker", status.worker),
        ("workerpool", f"{status.workerpool} on chain {status.chain_id}"),
        ("scheduler", "connected" if status.connected else "not connected"),
        ("state", f"{doing}: {status.because}" if status.because else doing),
        ("slots", str(status.slots)),
        ("tasks", f"{len(status.tasks)} open; ended: {ended}"),
        ("stake", _stake(status)),
        ("disk", f"{status.disk_used // _MEBIBYTE} MiB{budget}"),
        ("process", f"{status.pid}, since {moment(int(status.started_at))}"),
    ]


def _stake(status: WorkerStatus) -> str:
    if status.stake is None:
        return "none needed so far"
    free, needed = format_rlc(status.stake.free), format_rlc(status.stake.needed)
    short = f": deposit {format_rlc(status.stake.short)} more" if status.stake.short else ""
    return f"{free} free, votes to come lock {needed}{short}"


def summary(status: WorkerStatus) -> str:
    """A worker's state and its open tasks, as text."""
    lines = [f"{name:<12}{value}" for name, value in facts(status)]
    lines += [f"{task.task_id}  {task.status}" for task in status.tasks]
    return "\n".join(lines)


def page(status: WorkerStatus) -> Group:
    """A worker's state and its open tasks, as a page of the terminal."""
    about = Table.grid(padding=(0, 2))
    for name, value in facts(status):
        about.add_row(Text(name, style="bold"), Text(value))
    tasks = Table("task", "status", "votes until", expand=False)
    for task in status.tasks[:_SHOWN]:
        deadline = datetime.fromtimestamp(task.contribution_deadline, UTC).strftime("%H:%M:%S")
        tasks.add_row(task.task_id, str(task.status), deadline)
    hidden = len(status.tasks) - _SHOWN
    rest = [Text(f"and {hidden} more")] if hidden > 0 else []
    return Group(about, *([tasks] if status.tasks else []), *rest)


def show(statuses: Iterable[WorkerStatus], screen: Console) -> None:
    """Show each status in place of the one before, until there are no more."""
    with Live(console=screen, auto_refresh=False) as live:
        for status in statuses:
            live.update(page(status), refresh=True)


def start_with_dashboard(config: Path, settings: WorkerSettings) -> int:
    """Run the worker, and show what it does; its log goes into ``worker.log`` of its folder."""
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    log_file = settings.data_dir / "worker.log"
    screen = console()
    watching: list[threading.Thread] = []

    def watch() -> None:
        try:
            show(watch_status(settings.data_dir), screen)
        except IexecError as error:
            # It ended before it was seen.
            click.echo(str(error), err=True)

    def ready(_address: str) -> None:
        thread = threading.Thread(target=watch, name="dashboard", daemon=True)
        thread.start()
        watching.append(thread)

    click.echo(f"waiting for {settings.scheduler_url}; the log is in {log_file}", err=True)
    code = serve_until_signalled(Kind.WORKER, config, log_file, ready, environment=os.environ)
    for thread in watching:
        thread.join()
    if code:
        click.echo(f"the worker failed; {log_file} tells why", err=True)
    return code
