"""A content store in a process of its own, to be killed and measured: ``python process.py DIRECTORY``."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path
from types import TracebackType

import anyio

from pyiexec.results.service import serve
from pyiexec.results.settings import ResultsSettings


class StoreProcess:
    """A running store; killed without warning in the end, as at any other time."""

    def __init__(self, directory: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(directory)], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        assert self.url.startswith("http://"), "the store did not start"

    def __enter__(self) -> StoreProcess:
        return self

    def __exit__(self, _t: type[BaseException] | None, _e: BaseException | None, _b: TracebackType | None) -> None:
        self.kill()

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def peak_bytes(self) -> int:
        """The most memory it ever had."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1]) * 1024


async def _serve(directory: str) -> None:
    await serve(
        ResultsSettings(directory=directory, max_upload_bytes=4 << 30),
        ready=lambda url: print(url, flush=True),
        stop=anyio.Event(),
    )


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
