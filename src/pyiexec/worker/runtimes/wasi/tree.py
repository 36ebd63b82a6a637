"""The files an application sees: a root with ``iexec_in`` (the task's inputs) and ``iexec_out`` (its result).

Inputs are read from the host where they lie; what the application writes stays in memory, counted against its limits,
until its run has succeeded. No path of the application is ever resolved by the host.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from pyiexec.worker.runtimes.wasi.abi import Errno, FileType, Refusal

INPUT = "iexec_in"
OUTPUT = "iexec_out"

#: Names and paths longer than this could not be written to every worker's disk.
MAX_NAME_BYTES = 255
MAX_PATH_BYTES = 1024


class OutputTooLargeError(Exception):
    """The application writes more than it may; the message says what."""


class Quota:
    """What the output folder may still take."""

    def __init__(self, output_bytes: int, files: int) -> None:
        self._limits = (output_bytes, files)
        self._bytes = output_bytes
        self._files = files

    def take_bytes(self, count: int) -> None:
        """Count bytes written, or given back when negative."""
        self._bytes -= count
        if self._bytes < 0:
            raise OutputTooLargeError(f"it wrote more than the {self._limits[0]} bytes that a result may have")

    def take_files(self, count: int) -> None:
        """Count files and folders created, or given back when negative."""
        self._files -= count
        if self._files < 0:
            raise OutputTooLargeError(f"it made more than the {self._limits[1]} files that a result may have")


class Node:
    """A file or folder; `inode` numbers nodes in an order that does not depend on the host."""

    file_type = FileType.REGULAR_FILE

    def __init__(self, inode: int) -> None:
        self.inode = inode

    @property
    def size(self) -> int:
        """Bytes of content."""
        return 0


class Folder(Node):
    """A folder, whose entries the application may change when it is `writable`."""

    file_type = FileType.DIRECTORY

    def __init__(self, inode: int, *, writable: bool) -> None:
        super().__init__(inode)
        self.writable = writable
        self.children: dict[str, Node] = {}

    def listing(self) -> list[tuple[str, Node]]:
        """The entries in the order of their names' bytes, whatever order they were created in."""
        return sorted(self.children.items(), key=lambda entry: os.fsencode(entry[0]))


class InputFile(Node):
    """A file of the host, for reading."""

    def __init__(self, inode: int, source: Path, size: int) -> None:
        super().__init__(inode)
        self.source = source
        self._size = size

    @property
    def size(self) -> int:
        """Bytes of content when the run began."""
        return self._size


class OutputFile(Node):
    """A file written by the application. Its bytes count until it is both unlinked and closed."""

    def __init__(self, inode: int, quota: Quota) -> None:
        super().__init__(inode)
        self.data = bytearray()
        self.linked = True
        self.opened = 0
        self._quota = quota

    @property
    def size(self) -> int:
        """Bytes written."""
        return len(self.data)

    def resize(self, size: int) -> None:
        """Cut the content or extend it with zeros."""
        self._quota.take_bytes(size - len(self.data))
        if size < len(self.data):
            del self.data[size:]
        else:
            self.data.extend(bytes(size - len(self.data)))

    def write(self, offset: int, content: bytes) -> None:
        """Put content at an offset, extending the file as needed."""
        end = offset + len(content)
        if content and end > len(self.data):
            self.resize(end)
        self.data[offset:end] = content

    def release(self) -> None:
        """Give the bytes back once nobody can reach them."""
        if not self.linked and not self.opened:
            self.resize(0)


class Place:
    """Where a path leads: an entry of a folder, which may be missing.

    Attributes:
        folder: the folder that holds the entry; None for the folder the path started from.
        name: the entry's name in it.
        node: what is there, None if nothing.
        path: the entry's whole path, for messages.
    """

    __slots__ = ("folder", "name", "node", "path")

    def __init__(self, folder: Folder | None, name: str, node: Node | None, path: str) -> None:
        self.folder = folder
        self.name = name
        self.node = node
        self.path = path

    def existing(self) -> Node:
        """What is there, which must be something."""
        if self.node is None:
            raise Refusal(Errno.NOENT)
        return self.node

    def changeable(self) -> Folder:
        """The folder that holds the entry, which must be writable."""
        if self.folder is None or not self.folder.writable:
            raise Refusal(Errno.ROFS)
        return self.folder


class Tree:
    """The whole of what the application sees."""

    def __init__(self, input_dir: Path, *, output_bytes: int, files: int) -> None:
        self._inodes = 1
        self._quota = Quota(output_bytes, files)
        self.root = Folder(self._inodes, writable=False)
        self.input = Folder(self._next_inode(), writable=False)
        self.output = Folder(self._next_inode(), writable=True)
        self.root.children = {INPUT: self.input, OUTPUT: self.output}
        self._paths: dict[int, str] = {self.root.inode: "", self.input.inode: INPUT, self.output.inode: OUTPUT}
        self._load(input_dir, self.input)

    def _next_inode(self) -> int:
        self._inodes += 1
        return self._inodes

    def _load(self, source: Path, folder: Folder) -> None:
        for entry in sorted(os.scandir(source), key=lambda entry: os.fsencode(entry.name)):
            if entry.is_dir(follow_symlinks=False):
                child = Folder(self._next_inode(), writable=False)
                folder.children[entry.name] = child
                self._paths[child.inode] = f"{self._paths[folder.inode]}/{entry.name}"
                self._load(Path(entry.path), child)
            elif entry.is_file():
                folder.children[entry.name] = InputFile(self._next_inode(), Path(entry.path), entry.stat().st_size)

    def path_of(self, folder: Folder) -> str:
        """A folder's path from the root, for messages."""
        return "/" + self._paths[folder.inode]

    def find(self, start: Folder, path: str) -> Place:
        """Follow a path of the application from one of its folders.

        Raises:
            Refusal: ``NOTCAPABLE`` when the path is absolute or climbs above `start`, ``NOENT`` or ``NOTDIR`` when a
                folder on the way is missing or none, ``INVAL`` or ``NAMETOOLONG`` when it has no proper form.
        """
        if path.startswith("/"):
            raise Refusal(Errno.NOTCAPABLE)
        if not path or "\0" in path:
            raise Refusal(Errno.INVAL if path else Errno.NOENT)
        way: list[tuple[Folder, str]] = []
        here: Node | None = start
        for name in path.split("/"):
            if name in ("", "."):
                if here is not None and not isinstance(here, Folder):
                    raise Refusal(Errno.NOTDIR)
                continue
            if here is None:
                raise Refusal(Errno.NOENT)
            if not isinstance(here, Folder):
                raise Refusal(Errno.NOTDIR)
            if name == "..":
                if not way:
                    raise Refusal(Errno.NOTCAPABLE)
                here = way.pop()[0]
                continue
            if len(name.encode()) > MAX_NAME_BYTES:
                raise Refusal(Errno.NAMETOOLONG)
            way.append((here, name))
            here = here.children.get(name)
        if not way:
            return Place(None, ".", start, self.path_of(start))
        folder, name = way[-1]
        return Place(folder, name, here, f"{self.path_of(folder).rstrip('/')}/{name}")

    def leads_outside(self, start: Folder, path: str) -> bool:
        """Whether the last folder of a path that exists is not the application's to change."""
        way = [start]
        for name in path.split("/"):
            child = way[-1].children.get(name)
            if name == "..":
                way = way[:-1] or way
            elif isinstance(child, Folder):
                way.append(child)
            elif name not in ("", "."):
                break
        return not way[-1].writable

    def create_file(self, place: Place) -> OutputFile:
        """Make an empty file at a place where nothing is."""
        file = OutputFile(self._next_inode(), self._quota)
        self._attach(place, file)
        return file

    def create_folder(self, place: Place) -> None:
        """Make an empty folder at a place where nothing is."""
        folder = Folder(self._next_inode(), writable=True)
        self._attach(place, folder)
        self._paths[folder.inode] = place.path[1:]

    def _attach(self, place: Place, node: Node) -> None:
        if place.node is not None:
            raise Refusal(Errno.EXIST)
        folder = place.changeable()
        _check_name(place)
        self._quota.take_files(1)
        folder.children[place.name] = node

    def unlink_file(self, place: Place) -> None:
        """Remove a file; who has it open may go on using it."""
        node = place.existing()
        folder = place.changeable()
        if not isinstance(node, OutputFile):
            raise Refusal(Errno.ISDIR)
        del folder.children[place.name]
        self._quota.take_files(-1)
        node.linked = False
        node.release()

    def remove_folder(self, place: Place) -> None:
        """Remove an empty folder."""
        node = place.existing()
        folder = place.changeable()
        if not isinstance(node, Folder):
            raise Refusal(Errno.NOTDIR)
        if node.children:
            raise Refusal(Errno.NOTEMPTY)
        del folder.children[place.name]
        # An open descriptor of the removed folder must not bring it back to life.
        node.writable = False
        self._quota.take_files(-1)

    def truncate(self, place: Place) -> None:
        """Empty a file."""
        node = place.existing()
        place.changeable()
        if not isinstance(node, OutputFile):
            raise Refusal(Errno.ISDIR)
        node.resize(0)

    def rename(self, source: Place, target: Place) -> None:
        """Move a file or folder, replacing a file by a file or an empty folder by a folder."""
        node = source.existing()
        old, new = source.changeable(), target.changeable()
        if node is target.node:
            return
        if isinstance(node, Folder):
            if new is node or self._below(node, new):
                raise Refusal(Errno.INVAL)
            longest = max((len(path.encode()) for path, _ in self._walk(node, target.path)), default=0)
            if longest > MAX_PATH_BYTES:
                raise Refusal(Errno.NAMETOOLONG)
        _check_name(target)
        if target.node is not None:
            if isinstance(node, Folder):
                self.remove_folder(target)
            else:
                self.unlink_file(target)
        del old.children[source.name]
        new.children[target.name] = node
        if isinstance(node, Folder):
            self._paths[node.inode] = target.path[1:]
            for path, child in self._walk(node, target.path):
                if isinstance(child, Folder):
                    self._paths[child.inode] = path[1:]

    def _below(self, folder: Folder, wanted: Folder) -> bool:
        return any(node is wanted for _, node in self._walk(folder, ""))

    def _walk(self, folder: Folder, path: str) -> Iterator[tuple[str, Node]]:
        for name, node in folder.listing():
            yield f"{path}/{name}", node
            if isinstance(node, Folder):
                yield from self._walk(node, f"{path}/{name}")

    def outputs(self) -> dict[str, bytearray | None]:
        """Everything in the output folder by its path there: a file's content, or None for a folder; parents first."""
        return {
            path[1:]: node.data if isinstance(node, OutputFile) else None for path, node in self._walk(self.output, "")
        }


def _check_name(place: Place) -> None:
    """Refuse a name that could not stand in a result archive."""
    if not place.name.isprintable() or "\\" in place.name or ":" in place.name:
        raise Refusal(Errno.INVAL)
    if len(place.path.encode()) > MAX_PATH_BYTES:
        raise Refusal(Errno.NAMETOOLONG)
