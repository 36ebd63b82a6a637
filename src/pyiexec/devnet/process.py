"""One service as a process of its own: reads its settings, serves until told to stop."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import anyio

from pyiexec.devnet.parts import Kind, entry_point, settings_type
from pyiexec.foundation.logs import configure_logging, get_logger
from pyiexec.foundation.settings import load_settings
from pyiexec.protocol.errors import IexecError

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Ask the kernel to end this process when its parent is gone, so that nothing outlives a killed network."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


async def run_service(kind: Kind, settings_file: Path, ready: Callable[[str], None]) -> None:
    """Run a service of `kind` until SIGTERM or SIGINT."""
    settings = load_settings(settings_type(kind), settings_file, {})
    stop = anyio.Event()

    async def watch_signals() -> None:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async for _ in signals:
                stop.set()

    async with anyio.create_task_group() as group:
        group.start_soon(watch_signals)
        await entry_point(kind)(settings, ready=ready, stop=stop)
        group.cancel_scope.cancel()


def serve_until_signalled(
    kind: Kind, settings_file: Path, log_file: Path | None, ready: Callable[[str], None], *, level: str = "info"
) -> int:
    """Body of a service process; the exit code."""
    configure_logging(level=level, json=log_file is not None, file=log_file, service=settings_file.stem)
    log = get_logger(__name__)
    try:
        anyio.run(run_service, kind, settings_file, ready)
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
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()
    os.chdir(directory)

    def ready(url: str) -> None:
        os.write(pipe, (url or "-").encode() + b"\n")
        os.close(pipe)

    sys.exit(serve_until_signalled(Kind(kind), Path(settings_file), Path(log_file), ready))
