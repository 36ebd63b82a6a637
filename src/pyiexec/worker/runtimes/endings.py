"""What every runtime does with what a run leaves: the end of its logs, its result, and why there is none."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.results import callback_data, read_computed, result_digest


class Stop(NamedTuple):
    """How an application ended, or was ended; `cause` is None after a success."""

    cause: str | None
    message: str
    exit_code: int | None = None


class Log:
    """A standard stream: its beginning is kept, the rest counted; all of it is told to `tell`."""

    def __init__(self, limit: int, tell: Callable[[bytes], None] | None = None) -> None:
        self._kept = bytearray()
        self._limit = limit
        self._dropped = 0
        self._tell = tell

    @property
    def size(self) -> int:
        """Bytes written so far, kept or not."""
        return len(self._kept) + self._dropped

    def write(self, content: bytes) -> None:
        """Take note of what the application printed."""
        kept = content[: self._limit - len(self._kept)]
        self._kept += kept
        self._dropped += len(content) - len(kept)
        if self._tell is not None:
            self._tell(content)

    def text(self) -> bytes:
        """What was kept, and a note of what was not."""
        note = f"\n[{self._dropped} more bytes were not kept]\n".encode() if self._dropped else b""
        return bytes(self._kept) + note


def publish(outputs: Mapping[str, bytes | None], output_dir: Path) -> Stop:
    """Put what an application wrote where the worker wants it, whole or not at all.

    Args:
        outputs: content of files, None for folders, by their paths in the output folder; a folder precedes what is
            in it.

    Returns:
        A success, or ``APP_NO_RESULT`` when nothing can be voted on.
    """
    files = {path: content for path, content in outputs.items() if content is not None}
    try:
        computed = read_computed(files)
        if computed.callback_data is not None:
            callback_data(files)
        if computed.callback_data is None or computed.deterministic_output_path is not None:
            result_digest(files)
    except IexecError as error:
        return Stop("APP_NO_RESULT", error.what, 0)
    staging = Path(tempfile.mkdtemp(dir=output_dir.parent, prefix=f".{output_dir.name}-"))
    try:
        for path in outputs:
            if path in files:
                (staging / path).write_bytes(files[path])
            else:
                (staging / path).mkdir()
        if output_dir.exists():
            shutil.rmtree(output_dir)
        staging.rename(output_dir)
    except BaseException:
        shutil.rmtree(staging, ignore_errors=True)
        raise
    return Stop(None, "", 0)
