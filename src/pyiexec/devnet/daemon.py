"""The local network of `pyiexec up`: a process in the background that owns chain and services until told to stop."""

from __future__ import annotations

import asyncio
import fcntl
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import anyio
import msgspec

from pyiexec.devnet import roles
from pyiexec.devnet.demo import publish_pool
from pyiexec.devnet.network import STATE_FILE, Network, NetworkOptions, check, made_with
from pyiexec.foundation.logs import configure_logging, get_logger
from pyiexec.foundation.settings import from_json, save_settings
from pyiexec.protocol.errors import IexecError
from pyiexec.sdk.client import AsyncClient

#: Seconds in which the network must be up, and down.
UP_TIMEOUT, DOWN_TIMEOUT = 90.0, 40.0


def running_pid(directory: Path) -> int | None:
    """Process id of the network that holds the directory, None when it is down.

    The lock tells, not the file: a killed process leaves its number behind, but no lock.
    """
    path = directory / "network.pid"
    if not path.exists():
        return None
    with path.open("r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(file.read() or 0) or None
    return None


@contextmanager
def hold(directory: Path) -> Iterator[None]:
    """Own the directory for the life of this process.

    Raises:
        IexecError: ``NETWORK_RUNNING``.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (directory / "network.pid").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise IexecError("NETWORK_RUNNING", f"a network runs in {directory} already") from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def start(options: NetworkOptions) -> None:
    """Start the network in the background and return once it is up.

    A network that the directory holds already is taken up as it was made: accounts, stakes and ports are part of it.

    Raises:
        IexecError: ``BAD_REQUEST``; ``NETWORK_RUNNING``; whatever kept a part from starting, such as ``PORT_TAKEN``.
    """
    directory = options.directory
    options = made_with(directory) or options
    check(options)
    if running_pid(directory):
        raise IexecError("NETWORK_RUNNING", f"a network runs in {directory} already")
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    options_file = directory / "options.json"
    save_settings(options, options_file)
    reader, writer = os.pipe()
    with (directory / "network.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "pyiexec.devnet.daemon", str(options_file), str(writer)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[writer],
            start_new_session=True,
            cwd=directory,
        )
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        readable, _, _ = select.select([pipe], [], [], UP_TIMEOUT)
        answer = pipe.readline().decode() if readable else ""
    if answer.strip() != "up":
        process.terminate()
        process.wait(DOWN_TIMEOUT)
        if answer.startswith("{"):
            failure = msgspec.json.decode(answer)
            raise IexecError(failure["code"], failure["error"], remedy=failure["remedy"])
        raise IexecError("SERVICE_FAILED", f"the network did not come up, see {directory / 'network.log'}")
    # It outlives this process on purpose: nobody has to wait for it.
    process.returncode = 0


def stop(directory: Path) -> None:
    """End the network and wait until it is down.

    Raises:
        IexecError: ``NETWORK_STOPPED``; ``SERVICE_FAILED`` when it does not end.
    """
    pid = running_pid(directory)
    if pid is None:
        raise IexecError("NETWORK_STOPPED", f"no network runs in {directory}", remedy="There is nothing to stop.")
    handle = os.pidfd_open(pid)
    try:
        os.kill(pid, signal.SIGTERM)
        ended, _, _ = select.select([handle], [], [], DOWN_TIMEOUT)
    finally:
        os.close(handle)
    if not ended:
        raise IexecError("SERVICE_FAILED", f"process {pid} does not end", remedy=f"End it with `kill -9 {pid}`.")


def reset(directory: Path) -> None:
    """Delete the network's data.

    Raises:
        IexecError: ``NETWORK_RUNNING``.
    """
    if running_pid(directory):
        raise IexecError("NETWORK_RUNNING", f"a network runs in {directory}", remedy="Stop it with `pyiexec down`.")
    if directory.exists():
        shutil.rmtree(directory)


async def _run(options: NetworkOptions, report: int) -> None:
    stop_event = anyio.Event()

    async def watch_signals() -> None:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            async for _ in signals:
                stop_event.set()

    async with anyio.create_task_group() as group:
        group.start_soon(watch_signals)
        fresh = not (options.directory / STATE_FILE).exists()
        async with Network(options) as network:
            if fresh and options.sell_at is None:
                async with AsyncClient(network.profile, roles.account(roles.POOL_MANAGER)) as manager:
                    await publish_pool(manager, network.provision.workerpool)
            os.write(report, b"up\n")
            await stop_event.wait()
        group.cancel_scope.cancel()


def main() -> int:
    """Body of the background process: options file, and the descriptor to report to."""
    options = from_json(Path(sys.argv[1]).read_bytes(), NetworkOptions)
    report = int(sys.argv[2])
    configure_logging(service="network")
    log = get_logger(__name__)
    try:
        with hold(options.directory):
            asyncio.run(_run(options, report))
    except BaseException as error:
        cause = error
        while isinstance(cause, BaseExceptionGroup) and len(cause.exceptions) == 1:
            cause = cause.exceptions[0]
        log.error("the network failed", exc_info=error)
        explained = cause if isinstance(cause, IexecError) else IexecError("INTERNAL", "the network failed to start")
        os.write(report, msgspec.json.encode(explained.as_json()) + b"\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
