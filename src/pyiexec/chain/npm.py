"""Fetching a published npm package, pinned by its hash: only its archive is used, nothing of it is run or installed."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

from pyiexec.protocol.errors import IexecError


def cache_directory(environment: Mapping[str, str]) -> Path:
    """Where downloaded tools live between runs (XDG base directories)."""
    base = environment.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "pyiexec"


def fetch(
    package: str,
    version: str,
    integrity: str,
    target: Path,
    environment: Mapping[str, str],
    *,
    wanted: Callable[[str], bool] = lambda _name: True,
) -> Path:
    """The folder `target` holding the files of a package; downloaded on first use.

    Args:
        integrity: Subresource Integrity of the archive, sha512.
        wanted: which files to keep, by their path in the package.

    Raises:
        IexecError: ``DOWNLOAD_FAILED``.
    """
    if target.is_dir():
        return target
    npm = shutil.which("npm", path=environment.get("PATH"))
    if npm is None:
        raise IexecError("DOWNLOAD_FAILED", f"npm is not installed, and {package} comes with it")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        packed = subprocess.run(
            [npm, "pack", f"{package}@{version}", "--json", "--pack-destination", scratch],
            cwd=scratch,
            capture_output=True,
            text=True,
            check=False,
        )
        if packed.returncode != 0:
            raise IexecError("DOWNLOAD_FAILED", f"npm could not fetch {package}: {packed.stderr.strip()[-300:]}")
        archive = Path(scratch) / json.loads(packed.stdout)[0]["filename"]
        digest = "sha512-" + base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
        if digest != integrity:
            raise IexecError("DOWNLOAD_FAILED", f"{package} {version} does not have the pinned content", retry=False)
        unpacked = Path(scratch) / "unpacked"
        unpacked.mkdir()
        with tarfile.open(archive) as tar:
            _unpack(tar, unpacked, wanted)
        try:
            # Atomic: of two processes that fetch at once one comes first, and both find all of it.
            unpacked.rename(target)
        except OSError:
            if not target.is_dir():
                raise
    return target


def _unpack(tar: tarfile.TarFile, folder: Path, wanted: Callable[[str], bool]) -> None:
    # Debian 12's Python is older than extraction filters. Plain files below the package's folder are all there may be.
    for member in tar:
        path = PurePosixPath(member.name)
        inner = path.relative_to(*path.parts[:1])
        if not member.isfile() or path.is_absolute() or ".." in path.parts or not wanted(str(inner)):
            continue
        content = tar.extractfile(member)
        assert content is not None, "the member is a file"
        target = folder / inner
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as file:
            shutil.copyfileobj(content, file)
        target.chmod(0o755 if member.mode & 0o100 else 0o644)
