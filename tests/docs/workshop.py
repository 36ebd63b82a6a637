"""Where the pages' examples are run: a home of their own, and a local network that is up."""

from __future__ import annotations

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

from tests.docs.pages import REPOSITORY, Block, Command, blocks, commands
from tests.docs.warm import STAND_IN

#: Announces the next command's output.
_MARK = "\x1e"
_BIN = Path(sys.executable).parent


class Workshop:
    """Runs what pages say, each page once.

    Attributes:
        folder: where commands start; it looks like a checkout, as far as examples need one.
        environment: of everything that is run. The home is new; downloaded tools are shared with the machine's.
    """

    def __init__(self, home: Path) -> None:
        self.folder = home / "checkout"
        self.folder.mkdir()
        (self.folder / "apps").symlink_to(REPOSITORY / "apps")
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("PYIEXEC_", "XDG_"))
        }
        self.environment |= {
            "HOME": str(home),
            "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache")),
            "COLUMNS": "120",
        }
        self.environment["PATH"] = f"{self._warm_up(home)}:{_BIN}:{os.environ['PATH']}"
        self._done: set[Path] = set()

    def _warm_up(self, home: Path) -> Path:
        """A folder with a `pyiexec` that starts at once, see `warm`."""
        folder = home / "bin"
        folder.mkdir()
        address = str(home / "warm")
        command = folder / "pyiexec"
        command.write_text(STAND_IN.format(python=sys.executable, socket=address))
        command.chmod(command.stat().st_mode | stat.S_IXUSR)
        self._warm = subprocess.Popen(
            [sys.executable, "-m", "tests.docs.warm", address],
            cwd=REPOSITORY,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        assert self._warm.stdout is not None
        assert self._warm.stdout.readline() == b"ready\n"
        return folder

    def close(self) -> None:
        """End what was started; the network is ended with a command."""
        self._warm.terminate()
        self._warm.wait(10)
        assert self._warm.stdout is not None
        self._warm.stdout.close()

    def run_page(self, page: Path) -> None:
        """Run the page's commands and programs from top to bottom, in one shell."""
        if page in self._done:
            return
        self._done.add(page)
        wanted: list[Command] = []
        for block in blocks(page):
            if block.excuse or block.is_test:
                continue
            if block.language == "console":
                wanted += commands(block)
            elif block.language == "python":
                wanted.append(Command(block, f"python {self.write(block)}", ()))
        if wanted:
            self.run(wanted)

    def write(self, block: Block) -> str:
        """Put a block into a file; the file's name."""
        name = block.name or f"block_{block.line}.py"
        (self.folder / name).write_text(block.text + "\n")
        return name

    def run(self, wanted: list[Command]) -> None:
        """Type commands into one shell and compare what they print."""
        script = "exec 2>&1\nset -euo pipefail\n"
        for command in wanted:
            script += f"printf '\\036'\n{command.text}\n"
        ended = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
            timeout=150,
            check=False,
        )
        printed = ended.stdout.split(_MARK)[1:]
        last = wanted[len(printed) - 1]
        assert ended.returncode == 0, f"{last.block.place}: {last.text!r} failed:\n{printed[-1]}"
        for command, output in zip(wanted, printed, strict=True):
            assert "Traceback" not in output, f"{command.block.place}: {command.text!r}\n{output}"
            _compare(command, output)


def _compare(command: Command, output: str) -> None:
    lines = iter([" ".join(line.split()) for line in output.splitlines()])
    for shown in command.shown:
        pattern = ".*".join(re.escape(part) for part in " ".join(shown.split()).split("…"))
        assert any(re.fullmatch(pattern, line) for line in lines), (
            f"{command.block.place}: {command.text!r} does not print {shown!r} (or not in this order), but:\n{output}"
        )
