"""What an application left in its output folder, out of the archive in which the engine hands it over.

Nothing is unpacked to disk: the archive is read for the plain files in it, and whatever else an application made up is
refused by its name.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass

from pyiexec.worker.runtimes.base import Limits
from pyiexec.worker.runtimes.endings import Stop

#: Bytes of an archive beside the content of a file: headers for a long name and for the file, and padding.
_OVERHEAD = 8 * 1024
_END = 64 * 1024
#: Below this share of what is allowed a failed write is not put down to fullness.
_FULL = 0.999


@dataclass(frozen=True, slots=True)
class Outputs:
    """An output folder.

    Attributes:
        files: content of files, None for folders, by their paths in it; a folder precedes what is in it.
        is_full: whether nothing more would have fitted.
        fault: why it cannot be a result, None if it can.
    """

    files: Mapping[str, bytes | None]
    is_full: bool
    fault: Stop | None


def archive_limit(limits: Limits) -> int:
    """Bytes beyond which an archive holds more than an application may write."""
    return limits.output_bytes + (limits.files + 1) * _OVERHEAD + _END


def read_archive(archive: bytes | None, limits: Limits) -> Outputs:
    """The output folder in an archive of it; None stands for one that was too long to be read."""
    if archive is None:
        what = f"the application's output has more than {limits.output_bytes} bytes"
        return Outputs({}, True, Stop("APP_OUTPUT_TOO_LARGE", what, 0))
    found: dict[str, bytes | None] = {}
    fault: Stop | None = None
    size = 0
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
        for member in tar:
            # The folder itself comes first, and every name begins with its own.
            name = member.name.partition("/")[2]
            if not name:
                continue
            size += member.size
            if member.isdir():
                found[name] = None
            elif member.isreg():
                content = tar.extractfile(member)
                assert content is not None, "it is a plain file"
                found[name] = content.read()
            elif member.islnk() and found.get(original := member.linkname.partition("/")[2]) is not None:
                found[name] = found[original]
            else:
                fault = fault or _special(name, member)
    is_full = size >= limits.output_bytes * _FULL or len(found) >= limits.files
    total = sum(len(content) for content in found.values() if content is not None)
    if fault is None and (total > limits.output_bytes or len(found) > limits.files):
        what = f"the application's output has {total} bytes in {len(found)} files and folders"
        fault = Stop("APP_OUTPUT_TOO_LARGE", what, 0)
    return Outputs(found, is_full, fault)


def _special(name: str, member: tarfile.TarInfo) -> Stop:
    kind = f"a link to {member.linkname[:80]!r}" if member.issym() else "no plain file"
    return Stop("APP_BAD_OUTPUT", f"the application left {name[:80]!r} in its output folder, which is {kind}", 0)
