"""The development chain: anvil, installed from its npm package and run as a child process.

Mixed mining (a block for every transaction, and one per interval) is the default: plain auto-mining leaves pipelined
transactions pending for good, see docs/decisions. The hardfork is pinned so that gas figures stay comparable.
"""

from __future__ import annotations

import os
import platform
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

import anyio
import anyio.to_thread
import msgspec

from pyiexec.chain.npm import cache_directory, fetch
from pyiexec.chain.rpc import JsonRpc
from pyiexec.foundation.lifetime import tie_to_parent
from pyiexec.protocol.errors import IexecError

VERSION = "1.7.1"
HARDFORK = "cancun"
CHAIN_ID = 31337
BLOCK_GAS_LIMIT = 30_000_000
#: States of former blocks that anvil may write to disk, besides those it keeps in memory. Without a limit it writes
#: them all, a third of a megabyte for each block, and leaves them behind when it is killed.
STATES_ON_DISK = 256
#: The well-known test mnemonic: its keys are public and guard nothing of value.
MNEMONIC = "test test test test test test test test test test test junk"

#: npm packages that carry the native binary, with their Subresource Integrity.
PACKAGES: Mapping[str, tuple[str, str]] = {
    "Linux-x86_64": (
        "@foundry-rs/anvil-linux-amd64",
        "sha512-+XmShybEaxfCrr0OUUZwYEy2OnYZt5pHH9TzBtLv3+VrK0O/ANuNSVEahqNhKHlgX7GRJ59383ofNhxkRWIYTg==",
    ),
}


def find_binary(environment: Mapping[str, str] = os.environ) -> Path | None:
    """The installed anvil, or the one named by ``PYIEXEC_ANVIL``."""
    named = environment.get("PYIEXEC_ANVIL")
    candidate = Path(named) if named else cache_directory(environment) / f"anvil-{VERSION}" / "bin" / "anvil"
    return candidate if candidate.is_file() else None


def install(environment: Mapping[str, str] = os.environ) -> Path:
    """The path of anvil, fetched with npm on first use and checked against its pinned hash.

    Raises:
        IexecError: ``ANVIL_UNAVAILABLE``.
    """
    found = find_binary(environment)
    if found:
        return found
    system = f"{platform.system()}-{platform.machine()}"
    if system not in PACKAGES:
        raise IexecError("ANVIL_UNAVAILABLE", f"no pinned anvil {VERSION} for {system}")
    package, integrity = PACKAGES[system]
    folder = cache_directory(environment) / f"anvil-{VERSION}"
    if folder.is_dir():
        # There was no binary in it, or it would have been found: whatever left it so, it is fetched again.
        shutil.rmtree(folder)
    try:
        return fetch(package, VERSION, integrity, folder, environment) / "bin" / "anvil"
    except IexecError as error:
        raise IexecError("ANVIL_UNAVAILABLE", error.what) from error


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port nobody listens on right now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def require_free(host: str, port: int) -> None:
    """Refuse a TCP port that something listens on.

    Raises:
        IexecError: ``PORT_TAKEN``.
    """
    with socket.socket() as probe:
        # As servers do: connections that are still being closed do not count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise IexecError("PORT_TAKEN", f"cannot listen on {host}:{port}: {error.strerror}") from None


class AnvilOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How the chain runs.

    Attributes:
        port: TCP port on the loopback interface; 0 takes a free one.
        block_time: seconds between interval blocks.
        mixed: also mine a block as soon as a transaction arrives.
        state: file that keeps the chain between runs.
        accounts: how many funded test accounts to make.
        log: file for the node's output.
        trace: write every request into it.
    """

    port: int = 0
    block_time: float = 1.0
    mixed: bool = True
    state: Path | None = None
    accounts: int = 32
    log: Path | None = None
    trace: bool = False
    chain_id: int = CHAIN_ID
    block_gas_limit: int = BLOCK_GAS_LIMIT


class Anvil:
    """A running anvil; use as an async context manager, or `start` and `stop`."""

    def __init__(self, options: AnvilOptions | None = None) -> None:
        self.options = options or AnvilOptions()
        self.port = self.options.port or free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._states: Path | None = None

    @property
    def url(self) -> str:
        """HTTP JSON-RPC endpoint."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def ws_url(self) -> str:
        """WebSocket JSON-RPC endpoint."""
        return f"ws://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """Process id while running."""
        assert self._process is not None, "anvil is not running"
        return self._process.pid

    def _command(self, binary: Path) -> list[str]:
        options = self.options
        command = [str(binary), "--host", "127.0.0.1", "--port", str(self.port)]
        if not options.trace:
            command.append("--quiet")
        command += ["--hardfork", HARDFORK, "--chain-id", str(options.chain_id), "--mnemonic", MNEMONIC]
        command += ["--accounts", str(options.accounts), "--gas-limit", str(options.block_gas_limit)]
        command += ["--block-time", f"{options.block_time:g}", "--order", "fifo"]
        command += ["--max-persisted-states", str(STATES_ON_DISK), "--cache-path", str(self._states)]
        if options.mixed:
            command.append("--mixed-mining")
        if options.state:
            command += ["--state", str(options.state), "--state-interval", "10"]
        return command

    def launch(self) -> None:
        """Start the process without waiting for it to answer.

        Raises:
            IexecError: ``ANVIL_UNAVAILABLE``; ``PORT_TAKEN``, or else whatever listens there would be taken for it.
        """
        binary = install()
        require_free("127.0.0.1", self.port)
        self._states = Path(tempfile.mkdtemp(prefix="pyiexec-chain-"))
        log = self.options.log.open("ab") if self.options.log else subprocess.DEVNULL
        try:
            # Its own process group: Ctrl-C in the terminal must reach the network first, which then ends the chain.
            # Should the network be killed instead, the chain saves its state and ends as well.
            self._process = subprocess.Popen(
                self._command(binary),
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=tie_to_parent(signal.SIGINT),
            )
        finally:
            if not isinstance(log, int):
                log.close()

    async def wait_ready(self, timeout: float = 20.0) -> None:
        """Until the node answers.

        Raises:
            IexecError: ``ANVIL_UNAVAILABLE`` when it exits or stays silent.
        """
        assert self._process is not None, "launch first"
        with anyio.move_on_after(timeout):
            async with JsonRpc(self.url, timeout=timeout) as rpc:
                while self._process.poll() is None:
                    try:
                        await rpc.chain_id()
                    except IexecError:
                        # The process gives no sign when its socket is open; a short pause is all there is.
                        await anyio.sleep(0.005)
                    else:
                        return
        code = self._process.poll()
        await self.stop()
        fate = "did not answer" if code is None else f"exited with {code}"
        raise IexecError("ANVIL_UNAVAILABLE", f"anvil on port {self.port} {fate}")

    async def start(self) -> Anvil:
        """Start and wait until it answers."""
        self.launch()
        await self.wait_ready()
        return self

    async def stop(self) -> None:
        """End the process; it writes its state first."""
        if self._states is not None:
            states, self._states = self._states, None
            try:
                await self._stop_process()
            finally:
                shutil.rmtree(states, ignore_errors=True)

    async def _stop_process(self) -> None:
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            try:
                await anyio.to_thread.run_sync(self._process.wait, 10.0)
            except subprocess.TimeoutExpired:
                self._process.kill()
                await anyio.to_thread.run_sync(self._process.wait)
        self._process = None

    async def __aenter__(self) -> Anvil:
        return await self.start()

    async def __aexit__(
        self, _t: type[BaseException] | None, _e: BaseException | None, _b: TracebackType | None
    ) -> None:
        with anyio.CancelScope(shield=True):
            await self.stop()
