"""A real Prometheus, as Debian ships it, installed and started by the test run."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pyiexec.chain.anvil import free_port
from pyiexec.foundation.lifetime import tie_to_parent


def program(name: str) -> str:
    """The path of ``prometheus`` or ``promtool``, after installing them if need be."""
    found = shutil.which(name)
    if found is None:
        if os.geteuid() != 0:
            raise RuntimeError("Prometheus is not installed (Debian: apt install prometheus)")
        with (Path(tempfile.gettempdir()) / "pyiexec-test-prometheus-preparation").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            _install()
        found = shutil.which(name)
    if found is None:
        raise RuntimeError(f"Prometheus was installed, and there is no {name}")
    return found


def _install() -> None:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    # Without its friends: none of them is wanted, and the service is not to be started.
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "prometheus"]
    # A bare machine has no lists of packages, or old ones.
    if subprocess.run(install, env=environment, capture_output=True, check=False).returncode:
        subprocess.run(["apt-get", "update", "-qq"], env=environment, capture_output=True, check=True)
        subprocess.run(install, env=environment, capture_output=True, check=True)


class Prometheus:
    """A server with a configuration and a folder of its own; use as a context manager."""

    def __init__(self, config: Path, folder: Path) -> None:
        self._url = f"http://127.0.0.1:{(port := free_port())}"
        self._log = folder / "prometheus.log"
        self._command = [
            program("prometheus"),
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'prometheus-data'}",
            f"--web.listen-address=127.0.0.1:{port}",
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Prometheus:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command, stdout=log, stderr=log, preexec_fn=tie_to_parent(signal.SIGKILL)
            )
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(30)

    def ask(self, path: str, **query: str) -> Any:
        """What its API answers."""
        with urllib.request.urlopen(f"{self._url}/api/v1/{path}?{urllib.parse.urlencode(query)}", timeout=10) as answer:
            return json.load(answer)["data"]

    def until(self, path: str, enough: Callable[[Any], bool], *, timeout: float = 60, **query: str) -> Any:
        """The first answer that is enough, which must come in time."""
        deadline = time.monotonic() + timeout
        answer: Any = None
        while time.monotonic() < deadline:
            assert self._process is not None
            assert self._process.poll() is None, self._log.read_text()
            try:
                answer = self.ask(path, **query)
                if enough(answer):
                    return answer
            except OSError as error:
                # It has not begun to listen.
                answer = error
            # Prometheus asks by the clock, and tells nobody when.
            time.sleep(0.2)
        raise AssertionError(f"{path} {query}: {answer}\n{self._log.read_text()[-3000:]}")
