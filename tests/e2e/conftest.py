"""Fixtures of whole networks."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from pyiexec.cli.reporting import run_and_report
from pyiexec.cli.root import root

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
