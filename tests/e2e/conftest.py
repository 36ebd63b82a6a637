"""Fixtures of whole networks."""

from __future__ import annotations

import contextlib
import io
import json
import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from pyiexec.cli.reporting import run_and_report
from pyiexec.cli.root import root
from tests.e2e.js_sdk.compatibility import pytest_runtest_logreport, pytest_sessionfinish

#: Hooks of pytest.
__all__ = ["pytest_runtest_logreport", "pytest_sessionfinish"]

PYIEXEC = Path(sys.executable).with_name("pyiexec")


class Outcome:
    """What a command printed, and how it ended."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.out = out
        self.err = err
        assert "Traceback" not in out + err, out + err

    @property
    def json(self) -> dict[str, Any]:
        """The object printed with --json."""
        answer: dict[str, Any] = json.loads(self.out)
        return answer


class Cli:
    """The installed command, run as a user would, with folders of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environment = os.environ | {"HOME": str(home), "XDG_DATA_HOME": str(home / "data"), "COLUMNS": "160"}
        self.environment.pop("PYIEXEC_PRIVATE_KEY", None)
        # The tool cache is the machine's: what is downloaded once serves all tests.
        self.environment.setdefault("XDG_CACHE_HOME", str(Path.home() / ".cache"))

    def __call__(self, *arguments: str, timeout: float = 120, stdin: str | None = None) -> Outcome:
        """Run it to its end."""
        process = subprocess.run(
            [str(PYIEXEC), *arguments],
            cwd=self.home,
            env=self.environment,
            input=stdin if stdin is not None else "",
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Outcome(process.returncode, process.stdout, process.stderr)

    def json(self, *arguments: str, timeout: float = 120) -> dict[str, Any]:
        """Run it with --json and expect success."""
        outcome = self(*arguments, "--json", timeout=timeout)
        assert outcome.code == 0, (outcome.out + outcome.err)[-3000:]
        return outcome.json

    def refused(self, *arguments: str, code: str, timeout: float = 120) -> dict[str, Any]:
        """Run it with --json and expect it to be refused with an error code, cause and remedy."""
        outcome = self(*arguments, "--json", timeout=timeout)
        assert outcome.code == 1, (outcome.out + outcome.err)[-3000:]
        answer = outcome.json
        assert answer["code"] == code, answer
        assert answer["error"], answer
        assert answer["remedy"], answer
        return answer


class QuickCli(Cli):
    """The same command run inside the test process, which pays for its imports once."""

    def __call__(self, *arguments: str, timeout: float = 120, stdin: str | None = None) -> Outcome:
        """Run it to its end; `timeout` is pytest's."""
        out, err = io.StringIO(), io.StringIO()
        with (
            pytest.MonkeyPatch.context() as patch,
            contextlib.chdir(self.home),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            patch.setattr(os, "environ", dict(self.environment))
            patch.setattr(sys, "argv", ["pyiexec", *arguments])
            patch.setattr(sys, "stdin", io.StringIO(stdin or ""))
            code = run_and_report(root)
        return Outcome(code, out.getvalue(), err.getvalue())


def local_directory(cli: Cli) -> Path:
    """Where the network of `up` lives."""
    return cli.home / "data" / "pyiexec" / "local"


def daemon_pid(cli: Cli) -> int:
    """The process in the background that owns the network."""
    return int((local_directory(cli) / "network.pid").read_text())


def descendants(pid: int) -> list[int]:
    """Processes started by a process, and by those."""
    children = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        # Processes come and go while they are counted.
        with contextlib.suppress(OSError):
            if int(status.read_text().rpartition(")")[2].split()[1]) == pid:
                children.append(int(status.parent.name))
    return [below for child in children for below in (child, *descendants(child))]


def part_pid(cli: Cli, name: str) -> int:
    """The process of a part of the network, found by the log that it keeps open."""
    log = "chain.log" if name == "chain" else f"logs/{name}.log"
    wanted = local_directory(cli) / log
    for pid in descendants(daemon_pid(cli)):
        for entry in Path(f"/proc/{pid}/fd").glob("*"):
            with contextlib.suppress(OSError):
                if entry.readlink() == wanted:
                    return pid
    raise AssertionError(f"{name} does not run")


def has_ended(pid: int, timeout: float = 60.0) -> bool:
    """Whether a process ends in time."""
    try:
        handle = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        return bool(select.select([handle], [], [], timeout)[0])
    finally:
        os.close(handle)


@pytest.fixture(scope="module")
def make_cli(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Cli]:
    """Makes commands that share nothing."""
    return lambda: Cli(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def network_options() -> Sequence[str]:
    """Options of `up` for the module's network."""
    return ("--workers", "3", "--block-time", "0")


@pytest.fixture(scope="module")
def cli(make_cli: Callable[[], Cli], network_options: Sequence[str]) -> Iterator[Cli]:
    """The command, with a network of its own running in the background."""
    command = make_cli()
    command.json("up", "--any-ports", *network_options)
    yield command
    command("down")


@pytest.fixture(scope="module")
def quick(cli: Cli) -> QuickCli:
    """The command for the module's network, at the price of a function call."""
    return QuickCli(cli.home)
