"""Writing a checked result to disk: whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pyiexec.protocol.errors import IexecError


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Write `files` into the new folder `folder`; names were checked when the archive was read.

    Raises:
        IexecError: ``OUTPUT_EXISTS``.
    """
    if folder.exists():
        raise IexecError("OUTPUT_EXISTS", f"{folder} exists already")
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        for name, content in files.items():
            target = scratch / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        scratch.chmod(0o755)
        scratch.rename(folder)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
