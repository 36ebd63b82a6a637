"""Compiled WebAssembly modules, kept by the SHA-256 of their source so that an application is compiled once.

Loading a compiled module executes it, so only files written here are loaded: the folder belongs to this user alone, and
each file begins with the digest of the rest, which also catches one that was torn or rotted.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
import threading
from collections import OrderedDict
from importlib.metadata import version
from pathlib import Path

from wasmtime import Engine, Module, WasmtimeError

from pyiexec.protocol.errors import IexecError

#: Larger applications are refused: compiling takes memory and time in proportion.
MAX_MODULE_BYTES = 64 << 20

#: Names how modules are compiled (see `lane`); another name for other settings.
CONFIGURATION = "1"

_MAGIC = b"\0asm"
_DIGEST_BYTES = 32


def variant() -> str:
    """What compiled modules depend on besides their source."""
    return f"wasmtime {version('wasmtime')} {CONFIGURATION}"


def is_wasm(content: bytes) -> bool:
    """Whether content begins as a WebAssembly binary does."""
    return content.startswith(_MAGIC)


class ModuleCache:
    """Compiled modules in memory and, when a folder is given, on disk. Safe to share between threads.

    Raises:
        IexecError: ``CACHE_UNSAFE`` when the folder belongs to somebody else or lets others in.
    """

    def __init__(self, folder: Path | None, variant: str, *, in_memory: int = 16, on_disk: int = 64) -> None:
        self._folder = folder
        self._variant = hashlib.sha256(variant.encode()).hexdigest()[:16]
        self._in_memory = in_memory
        self._on_disk = on_disk
        self._compiled: OrderedDict[str, bytes] = OrderedDict()
        self._lock = threading.Lock()
        if folder is not None:
            _make_private(folder)

    def load(self, engine: Engine, digest: str, source: bytes) -> Module:
        """The module of `source`, whose SHA-256 is `digest`, for an engine of this cache's variant.

        Raises:
            IexecError: ``APP_INVALID_MODULE`` when it is no valid module.
        """
        # One at a time: compiling uses every core by itself, and nobody compiles what another thread is compiling.
        with self._lock:
            compiled = self._compiled.get(digest) or self._read(digest)
            if compiled is not None:
                try:
                    module = Module.deserialize(engine, compiled)
                except WasmtimeError:
                    # Of another engine version or processor: compiled anew and overwritten.
                    pass
                else:
                    self._remember(digest, compiled)
                    return module
            module = _compile(engine, source)
            compiled = bytes(module.serialize())
            self._remember(digest, compiled)
            self._write(digest, compiled)
            return module

    def collect(self, size: int) -> int:
        """Delete `size` bytes of compiled modules, the longest unused first, or all of them; the bytes deleted.

        Those in memory stay: they take no place on the disk.
        """
        gone = 0
        if self._folder is not None:
            for path in _oldest_first(self._folder):
                if gone >= size:
                    break
                gone += path.stat().st_size
                path.unlink(missing_ok=True)
        return gone

    def _remember(self, digest: str, compiled: bytes) -> None:
        self._compiled[digest] = compiled
        self._compiled.move_to_end(digest)
        while len(self._compiled) > self._in_memory:
            self._compiled.popitem(last=False)

    def _path(self, folder: Path, digest: str) -> Path:
        return folder / f"{digest}-{self._variant}.cwasm"

    def _read(self, digest: str) -> bytes | None:
        if self._folder is None:
            return None
        path = self._path(self._folder, digest)
        try:
            content = path.read_bytes()
            os.utime(path)
        except FileNotFoundError:
            return None
        compiled = content[_DIGEST_BYTES:]
        return compiled if hashlib.sha256(compiled).digest() == content[:_DIGEST_BYTES] else None

    def _write(self, digest: str, compiled: bytes) -> None:
        if self._folder is None:
            return
        with tempfile.NamedTemporaryFile(dir=self._folder, prefix=".writing-", delete=False) as file:
            file.write(hashlib.sha256(compiled).digest() + compiled)
        os.replace(file.name, self._path(self._folder, digest))
        for path in _oldest_first(self._folder)[: -self._on_disk]:
            path.unlink(missing_ok=True)


def _oldest_first(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.cwasm"), key=lambda path: path.stat().st_mtime)


def _compile(engine: Engine, source: bytes) -> Module:
    if not is_wasm(source):
        raise IexecError("APP_INVALID_MODULE", "the application is not a WebAssembly module")
    if len(source) > MAX_MODULE_BYTES:
        raise IexecError("APP_INVALID_MODULE", f"the application has more than {MAX_MODULE_BYTES} bytes")
    try:
        return Module(engine, source)
    except WasmtimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise IexecError("APP_INVALID_MODULE", f"the application is not a valid WebAssembly module: {reason}") from None


def _make_private(folder: Path) -> None:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o077:
        raise IexecError("CACHE_UNSAFE", f"{folder} is not a folder that belongs to this user alone")
