"""`make demo`: after set-up, and from a clean clone with empty caches."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from pathlib import Path

from verdict import Measured, conclude

REPOSITORY = Path(__file__).resolve().parents[1]
AFTER_SETUP, FROM_CLONE = 40.0, 300.0


def run_demo(folder: Path, environment: dict[str, str]) -> float:
    """Seconds that `make demo` takes; raises when it fails."""
    started = time.perf_counter()
    subprocess.run(["make", "--silent", "demo"], cwd=folder, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    """Clone, run twice: the first does all the set-up."""
    with tempfile.TemporaryDirectory(prefix="pyiexec-bench-") as scratch:
        clone = Path(scratch) / "clone"
        subprocess.run(["git", "clone", "--quiet", str(REPOSITORY), str(clone)], check=True)
        environment = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
        caches = {"XDG_CACHE_HOME": f"{scratch}/cache", "PIP_NO_CACHE_DIR": "1", "npm_config_cache": f"{scratch}/npm"}
        environment |= caches
        first = run_demo(clone, environment)
        print(f"from a clean clone: {first:.1f} s", flush=True)
        second = run_demo(clone, environment)
    conclude(
        Measured("bench-demo from a clean clone", first, "s", FROM_CLONE),
        Measured("bench-demo", second, "s", AFTER_SETUP),
    )


if __name__ == "__main__":
    main()
