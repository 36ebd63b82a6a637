"""One service as a process of its own: reads its settings, serves until told to stop."""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import anyio
import uvloop

from pyiexec.devnet.parts import Kind, entry_point, settings_type
from pyiexec.foundation.logs import configure_logging, get_logger
from pyiexec.foundation.settings import load_settings
from pyiexec.protocol.errors import IexecError


async def run_service(
    kind: Kind,
    settings_file: Path,
    environment: Mapping[str, str],
    signals: Sequence[signal.Signals],
    ready: Callable[[str], None],
    parent: int | None = None,
) -> None:
    """Run a service of `kind` until one of `signals` comes, or the parent's sentinel tells that it is gone."""
    settings = load_settings(settings_type(kind), settings_file, environment)
    stop = anyio.Event()

    async def watch_signals() -> None:
        with anyio.open_signal_receiver(*signals) as received:
            async for _ in received:
                stop.set()

    async def watch_parent(sentinel: int) -> None:
        await anyio.wait_readable(sentinel)
        stop.set()

    def started(url: str) -> None:
        # What a service begins with it keeps: collections of cyclic garbage, which hold everything up, pass it over.
        gc.freeze()
        ready(url)

    async with anyio.create_task_group() as group:
        group.start_soon(watch_signals)
        if parent is not None:
            group.start_soon(watch_parent, parent)
        await entry_point(kind)(settings, ready=started, stop=stop)
        group.cancel_scope.cancel()


def serve_until_signalled(
    kind: Kind,
    settings_file: Path,
    log_file: Path | None,
    ready: Callable[[str], None],
    *,
    environment: Mapping[str, str] = MappingProxyType({}),
    signals: Sequence[signal.Signals] = (signal.SIGTERM, signal.SIGINT),
    parent: int | None = None,
    level: str = "info",
) -> int:
    """Body of a service process; the exit code.

    Args:
        log_file: standard error when None.
        environment: whose ``PYIEXEC_`` variables override the settings in the file.
        signals: that end the service in order.
        parent: descriptor that becomes readable when the process that started this one is gone, which ends it too.
    """
    configure_logging(level=level, json=log_file is not None, file=log_file, service=settings_file.stem)
    log = get_logger(__name__)
    try:
        uvloop.run(run_service(kind, settings_file, environment, signals, ready, parent))
    except BaseException as error:
        cause = error
        while isinstance(cause, BaseExceptionGroup) and len(cause.exceptions) == 1:
            cause = cause.exceptions[0]
        if isinstance(cause, IexecError):
            log.error("the service stopped", code=cause.code, cause=cause.what, remedy=cause.remedy)
            if log_file is None:
                raise cause from None
        else:
            log.exception("the service failed")
            if log_file is None:
                raise
        return 1
    return 0


def child_main(kind: str, settings_file: str, log_file: str, pipe: int, directory: str) -> None:
    """Entry of a forked service process: tells its URL through `pipe`, a file descriptor."""
    # Ctrl-C in the terminal reaches every process; the network answers it, and ends its parts in order.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.chdir(directory)
    # What libraries print belongs into the log, not on the terminal of whoever started the network.
    with Path(log_file).open("ab") as log:
        os.dup2(log.fileno(), sys.stdout.fileno())
        os.dup2(log.fileno(), sys.stderr.fileno())

    def ready(url: str) -> None:
        os.write(pipe, (url or "-").encode() + b"\n")
        os.close(pipe)

    # The fork server lives as long as its children do: only the network itself tells that nobody needs them any more.
    network = multiprocessing.parent_process()
    code = serve_until_signalled(
        Kind(kind),
        Path(settings_file),
        Path(log_file),
        ready,
        signals=(signal.SIGTERM,),
        parent=None if network is None else network.sentinel,
    )
    sys.exit(code)
