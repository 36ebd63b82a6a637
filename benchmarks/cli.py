"""Start-up of the command line beside that of npm `iexec`, in the same run."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from pyiexec.chain.npm import cache_directory
from verdict import Measured, conclude

PEER = "iexec@9.0.1"
RUNS, BAR = 9, 0.3
COMMANDS = {"--version": ["--version"], "--help": ["--help"], "order --help": ["order", "--help"]}


def install_peer() -> Path:
    """The peer's executable, installed once into the cache."""
    folder = cache_directory(os.environ) / PEER
    executable = folder / "node_modules" / ".bin" / "iexec"
    if not executable.exists():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            ["npm", "install", "--prefix", str(folder), "--no-audit", "--no-fund", "--silent", PEER], check=True
        )
    return executable


def seconds(command: list[str]) -> float:
    """Wall time of one run."""
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    """Alternate between both, so that whatever else the machine does hits both alike."""
    ours = Path(sys.executable).parent / "pyiexec"
    theirs = install_peer()
    figures = []
    for name, arguments in COMMANDS.items():
        seconds([str(ours), *arguments])
        seconds([str(theirs), *arguments])
        mine, peers = [], []
        for _ in range(RUNS):
            mine.append(seconds([str(ours), *arguments]))
            peers.append(seconds([str(theirs), *arguments]))
        median, peer = statistics.median(mine), statistics.median(peers)
        print(f"{name}: pyiexec {median * 1000:.0f} ms, iexec {peer * 1000:.0f} ms")
        figures.append(Measured(f"bench-cli {name}", median / peer, "x", BAR))
    conclude(*figures)


if __name__ == "__main__":
    main()
