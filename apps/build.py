"""Compile the sample applications to WebAssembly, bit-identically wherever it runs.

`python apps/build.py` writes each module beside its source; `--into DIR` writes them elsewhere, in the same folders.
The compiler is the PyPI package `ziglang`, pinned in pyproject.toml: it brings clang, wasm-ld and WASI's libc, and its
caches live in a temporary folder of this run, so that neither an older cache nor a machine path can reach a module.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

APPS = Path(__file__).resolve().parent

#: Strict IEEE doubles (no contraction, no fast-math), no debug sections, no paths, the feature set every engine has.
FLAGS = [
    "-target",
    "wasm32-wasi",
    "-mcpu=generic",
    "-std=gnu11",
    "-O2",
    "-ffp-contract=off",
    "-fno-builtin-fma",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-g0",
    "-s",
    "-Wl,--strip-all",
]


def modules() -> dict[str, tuple[str, ...]]:
    """Each module and its C sources, as paths inside `apps/`."""
    faulty = {f"faulty/{source.stem}.wasm": (f"faulty/{source.name}",) for source in APPS.glob("faulty/*.c")}
    whole = {
        f"{app}/{app}.wasm": tuple(sorted(f"{app}/{source.name}" for source in APPS.glob(f"{app}/*.c")))
        for app in ("noop", "oracle", "raytracer")
    }
    return dict(sorted((whole | faulty).items()))


def build(module: str, sources: tuple[str, ...], into: Path, caches: Path) -> str:
    """Compile one module and return its SHA-256, which is an app's on-chain checksum."""
    target = into / module
    target.parent.mkdir(parents=True, exist_ok=True)
    # Nothing of the caller's environment, in which compilers look for flags and folders.
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "ZIG_GLOBAL_CACHE_DIR": str(caches / "global"),
        "ZIG_LOCAL_CACHE_DIR": str(caches / module.replace("/", "-")),
    }
    command = [sys.executable, "-m", "ziglang", "cc", *FLAGS, *sources, "-o", str(target)]
    subprocess.run(command, cwd=APPS, env=environment, check=True)
    target.chmod(0o644)
    return hashlib.sha256(target.read_bytes()).hexdigest()


def main(arguments: list[str] | None = None) -> None:
    """Build every module, or those named."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("module", nargs="*", help="such as raytracer/raytracer.wasm; all of them when none is named")
    parser.add_argument("--into", type=Path, default=APPS, help="folder to write to (default: beside the sources)")
    options = parser.parse_args(arguments)
    if importlib.util.find_spec("ziglang") is None:
        parser.error("the compiler is missing: pip install ziglang==0.17.0")
    known = modules()
    if unknown := sorted(set(options.module) - set(known)):
        parser.error(f"no such module: {', '.join(unknown)}; there are {', '.join(known)}")
    wanted = {module: known[module] for module in options.module or known}
    into = options.into.resolve()
    with tempfile.TemporaryDirectory(prefix="pyiexec-apps-") as folder, ThreadPoolExecutor(os.cpu_count()) as pool:
        caches = Path(folder)
        digests = pool.map(lambda item: build(item[0], item[1], into, caches), wanted.items())
        for module, digest in zip(wanted, digests, strict=True):
            print(f"{digest}  {module}")


if __name__ == "__main__":
    main()
