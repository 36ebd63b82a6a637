"""How much a store holds, and whether more fits in."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from pathlib import Path

from pyiexec.protocol.errors import IexecError


class Space:
    """Bytes taken of a capacity; may be used from several threads.

    Args:
        folders: whose files count; they are measured once, here.
        capacity: bytes, or None for as many as the disk has.
    """

    def __init__(self, folders: Iterable[Path], capacity: int | None) -> None:
        self._capacity = capacity
        self._lock = threading.Lock()
        self._used = 0
        if capacity is not None:
            for folder in folders:
                with os.scandir(folder) as entries:
                    self._used += sum(entry.stat(follow_symlinks=False).st_size for entry in entries)

    def check(self, more: int) -> None:
        """Refuse what does not fit in beside what is there.

        Raises:
            IexecError: ``STORE_FULL``.
        """
        if self._capacity is not None and self._used + more > self._capacity:
            raise IexecError("STORE_FULL", f"the content store is full: it takes {self._capacity} bytes")

    def take(self, count: int) -> None:
        """Count what was stored."""
        with self._lock:
            self._used += count
