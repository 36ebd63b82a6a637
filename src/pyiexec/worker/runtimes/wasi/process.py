"""The state of one run: its arguments, open files, clock, logs, and why it has to stop."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pyiexec.worker.runtimes.base import Limits, OnOutput
from pyiexec.worker.runtimes.endings import Log, Stop
from pyiexec.worker.runtimes.wasi.abi import Errno, FdFlags, FileType, Refusal, Rights
from pyiexec.worker.runtimes.wasi.determinism import RandomStream, VirtualClock
from pyiexec.worker.runtimes.wasi.tree import INPUT, OUTPUT, Folder, InputFile, Node, OutputFile, Tree

MAX_DESCRIPTORS = 256

#: Refused writes kept for the report; the first is what its author needs.
_MAX_REFUSED = 8


@dataclass(slots=True)
class Descriptor:
    """An open file, folder or standard stream."""

    rights: int
    inheriting: int = Rights.ALL
    flags: int = 0

    @property
    def file_type(self) -> FileType:
        """What it refers to."""
        return FileType.CHARACTER_DEVICE

    def close(self) -> None:
        """Let go of what it refers to."""


@dataclass(slots=True)
class Stream(Descriptor):
    """stdin, which is empty, or a log."""

    log: Log | None = None


@dataclass(slots=True)
class OpenFolder(Descriptor):
    """A folder, with the listing that a reader of it is in the middle of."""

    folder: Folder | None = None
    preopened_as: str | None = None
    listing: list[tuple[str, Node]] | None = None

    @property
    def file_type(self) -> FileType:
        """A folder."""
        return FileType.DIRECTORY


@dataclass(slots=True)
class OpenFile(Descriptor):
    """A file and the position in it."""

    node: InputFile | OutputFile | None = None
    position: int = 0
    host_descriptor: int | None = None

    @property
    def file_type(self) -> FileType:
        """A file."""
        return FileType.REGULAR_FILE

    def read(self, offset: int, count: int) -> bytes:
        """Up to `count` bytes from an offset."""
        if isinstance(self.node, OutputFile):
            return bytes(memoryview(self.node.data)[offset : offset + count])
        assert self.node is not None
        # Nothing beyond the size that the application was told, even if the file has grown.
        count = min(count, self.node.size - offset)
        if count <= 0:
            return b""
        if self.host_descriptor is None:
            self.host_descriptor = os.open(self.node.source, os.O_RDONLY | os.O_CLOEXEC)
        return os.pread(self.host_descriptor, count, offset)

    def write(self, offset: int, content: bytes) -> None:
        """Put content at an offset."""
        self.changeable().write(offset, content)

    def changeable(self) -> OutputFile:
        """The file as one that may be written."""
        if not self.rights & Rights.FD_WRITE or not isinstance(self.node, OutputFile):
            raise Refusal(Errno.BADF)
        return self.node

    def close(self) -> None:
        """Close the host's file, and give back the space of one that was unlinked meanwhile."""
        if self.host_descriptor is not None:
            os.close(self.host_descriptor)
            self.host_descriptor = None
        if isinstance(self.node, OutputFile):
            self.node.opened -= 1
            self.node.release()


class Process:
    """Everything that belongs to one run of one application."""

    def __init__(
        self,
        args: Sequence[str],
        environment: Mapping[str, str],
        input_dir: Path,
        limits: Limits,
        seed: bytes,
        interrupted: Callable[[], bool],
        on_output: OnOutput | None = None,
    ) -> None:
        self.args = [argument.encode() for argument in args]
        self.environment = [f"{name}={value}".encode() for name, value in sorted(environment.items())]
        self.tree = Tree(input_dir, output_bytes=limits.output_bytes, files=limits.files)
        self.clock = VirtualClock()
        self.random = RandomStream(seed)
        self.stdout = Log(limits.log_bytes, on_output and partial(on_output, "stdout"))
        self.stderr = Log(limits.log_bytes, on_output and partial(on_output, "stderr"))
        self.refused_writes: list[str] = []
        self.stopped: Stop | None = None
        self.fault: Exception | None = None
        self._interrupted = interrupted
        # libc looks a path up in the preopened folder with the longest matching name. The root catches every other
        # path, so that an attempt to write there is seen here and not answered by libc alone.
        self._descriptors: dict[int, Descriptor] = {
            0: Stream(Rights.ALL & ~Rights.FD_WRITE),
            1: Stream(Rights.ALL & ~Rights.FD_READ, log=self.stdout),
            2: Stream(Rights.ALL & ~Rights.FD_READ, log=self.stderr),
            3: OpenFolder(Rights.ALL, folder=self.tree.root, preopened_as="/"),
            4: OpenFolder(Rights.ALL, folder=self.tree.input, preopened_as=f"/{INPUT}"),
            5: OpenFolder(Rights.ALL, folder=self.tree.output, preopened_as=f"/{OUTPUT}"),
        }

    def stop(self, stop: Stop) -> None:
        """End the run; the first reason stands."""
        if self.stopped is None:
            self.stopped = stop

    def has_stopped(self) -> bool:
        """Whether the run is to end."""
        return self.stopped is not None

    def go_on(self) -> None:
        """Called now and then by a call that may take long.

        Raises:
            Refusal: ``CANCELED`` when the run has been interrupted.
        """
        if self._interrupted():
            raise Refusal(Errno.CANCELED)

    def note_refused_write(self, path: str) -> None:
        """Remember a write outside the output folder, which was refused."""
        if len(self.refused_writes) < _MAX_REFUSED:
            self.refused_writes.append(path)

    def descriptor(self, number: int) -> Descriptor:
        """An open descriptor.

        Raises:
            Refusal: ``BADF`` when it is not open.
        """
        try:
            return self._descriptors[number]
        except KeyError:
            raise Refusal(Errno.BADF) from None

    def folder(self, number: int) -> Folder:
        """The folder a descriptor refers to.

        Raises:
            Refusal: ``BADF`` or ``NOTDIR`` when it refers to none.
        """
        descriptor = self.descriptor(number)
        if not isinstance(descriptor, OpenFolder) or descriptor.folder is None:
            raise Refusal(Errno.NOTDIR)
        return descriptor.folder

    def file(self, number: int) -> OpenFile:
        """The file a descriptor refers to.

        Raises:
            Refusal: ``BADF``, ``ISDIR`` or, for a standard stream, ``SPIPE``.
        """
        descriptor = self.descriptor(number)
        if isinstance(descriptor, OpenFile):
            return descriptor
        raise Refusal(Errno.ISDIR if isinstance(descriptor, OpenFolder) else Errno.SPIPE)

    def open(self, node: Node, rights: int, inheriting: int, flags: int) -> int:
        """Open a file or folder and return the lowest free descriptor."""
        number = next((n for n in range(3, MAX_DESCRIPTORS) if n not in self._descriptors), None)
        if number is None:
            raise Refusal(Errno.MFILE)
        rights, inheriting, flags = rights & Rights.ALL, inheriting & Rights.ALL, flags & FdFlags.ALL
        if isinstance(node, Folder):
            self._descriptors[number] = OpenFolder(rights, inheriting, flags, folder=node)
        else:
            assert isinstance(node, InputFile | OutputFile)
            if isinstance(node, OutputFile):
                node.opened += 1
            self._descriptors[number] = OpenFile(rights, inheriting, flags, node=node)
        return number

    def close(self, number: int) -> None:
        """Close a descriptor."""
        self.descriptor(number).close()
        del self._descriptors[number]

    def renumber(self, number: int, to: int) -> None:
        """Move a descriptor onto another open one, which is closed."""
        moved = self.descriptor(number)
        self.descriptor(to)
        if number != to:
            self._descriptors[to].close()
            del self._descriptors[number]
            self._descriptors[to] = moved

    def end(self) -> None:
        """Close the host's files."""
        for descriptor in self._descriptors.values():
            descriptor.close()
        self._descriptors.clear()
