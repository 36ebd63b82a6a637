"""Calls on paths. Only what lies in the output folder may be changed, and who tries elsewhere is remembered."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pyiexec.worker.runtimes.wasi.abi import Errno, OpenFlags, Refusal, Rights
from pyiexec.worker.runtimes.wasi.call_table import call
from pyiexec.worker.runtimes.wasi.descriptor_calls import file_status
from pyiexec.worker.runtimes.wasi.memory import GuestMemory
from pyiexec.worker.runtimes.wasi.process import Process
from pyiexec.worker.runtimes.wasi.tree import Folder, Node, Place


@contextmanager
def _writing(process: Process, fd: int, path: str, *, creates: bool = False) -> Iterator[Folder]:
    """Remember a write that is refused because it is not in the output folder.

    Who creates something in a folder that is missing elsewhere tried the same.
    """
    folder = process.folder(fd)
    try:
        yield folder
    except Refusal as refusal:
        nowhere = creates and refusal.errno is Errno.NOENT and process.tree.leads_outside(folder, path)
        if nowhere or refusal.errno in (Errno.ROFS, Errno.NOTCAPABLE):
            base = process.tree.path_of(folder).rstrip("/")
            process.note_refused_write(path if path.startswith("/") else f"{base}/{path}")
        raise


@call("iiiiiIIii")
def path_open(
    process: Process,
    memory: GuestMemory,
    fd: int,
    lookup: int,
    path_address: int,
    path_length: int,
    flags: int,
    rights: int,
    inheriting: int,
    fd_flags: int,
    result: int,
) -> None:
    """Open a file or folder, perhaps making the file."""
    memory.require(result, 4)
    path = memory.text(path_address, path_length)
    start = process.folder(fd)
    creates, truncates = flags & OpenFlags.CREATE, flags & OpenFlags.TRUNCATE
    if not creates and not truncates and not rights & Rights.FD_WRITE:
        node = process.tree.find(start, path).existing()
    else:
        with _writing(process, fd, path, creates=bool(creates)):
            node = _open_for_writing(process, process.tree.find(start, path), path, flags, rights)
    if flags & OpenFlags.DIRECTORY and not isinstance(node, Folder):
        raise Refusal(Errno.NOTDIR)
    if path.endswith("/") and not isinstance(node, Folder):
        raise Refusal(Errno.NOTDIR)
    memory.write_u32(result, process.open(node, rights, inheriting, fd_flags))


def _open_for_writing(process: Process, place: Place, path: str, flags: int, rights: int) -> Node:
    if place.node is None:
        if not flags & OpenFlags.CREATE:
            raise Refusal(Errno.NOENT)
        if flags & OpenFlags.DIRECTORY or path.endswith("/"):
            raise Refusal(Errno.INVAL)
        return process.tree.create_file(place)
    if flags & OpenFlags.CREATE and flags & OpenFlags.EXCLUSIVE:
        raise Refusal(Errno.EXIST)
    if isinstance(place.node, Folder):
        if flags & OpenFlags.TRUNCATE or (flags & OpenFlags.CREATE and not flags & OpenFlags.DIRECTORY):
            raise Refusal(Errno.ISDIR)
        return place.node
    if rights & Rights.FD_WRITE or flags & OpenFlags.TRUNCATE:
        place.changeable()
    if flags & OpenFlags.TRUNCATE:
        process.tree.truncate(place)
    return place.node


@call("iii")
def path_create_directory(process: Process, memory: GuestMemory, fd: int, address: int, length: int) -> None:
    """Make a folder."""
    path = memory.text(address, length)
    with _writing(process, fd, path, creates=True) as folder:
        process.tree.create_folder(process.tree.find(folder, path))


@call("iiiii")
def path_filestat_get(
    process: Process, memory: GuestMemory, fd: int, lookup: int, address: int, length: int, result: int
) -> None:
    """Tell what a path leads to."""
    node = process.tree.find(process.folder(fd), memory.text(address, length)).existing()
    memory.write(result, file_status(node.inode, node.file_type, node.size))


@call("iiiiIIi")
def path_filestat_set_times(
    process: Process,
    memory: GuestMemory,
    fd: int,
    lookup: int,
    address: int,
    length: int,
    access: int,
    change: int,
    flags: int,
) -> None:
    """File times are fixed; a program that copies them may believe that it did."""
    path = memory.text(address, length)
    with _writing(process, fd, path) as folder:
        place = process.tree.find(folder, path)
        place.existing()
        place.changeable()


@call("iiiiiii")
def path_link(
    process: Process,
    memory: GuestMemory,
    old_fd: int,
    lookup: int,
    old_address: int,
    old_length: int,
    new_fd: int,
    new_address: int,
    new_length: int,
) -> None:
    """There are no links."""
    raise Refusal(Errno.NOTSUP)


@call("iiiiii")
def path_readlink(
    process: Process, memory: GuestMemory, fd: int, address: int, length: int, buffer: int, count: int, result: int
) -> None:
    """There are no links."""
    process.tree.find(process.folder(fd), memory.text(address, length)).existing()
    raise Refusal(Errno.INVAL)


@call("iii")
def path_remove_directory(process: Process, memory: GuestMemory, fd: int, address: int, length: int) -> None:
    """Remove an empty folder."""
    path = memory.text(address, length)
    with _writing(process, fd, path) as folder:
        process.tree.remove_folder(process.tree.find(folder, path))


@call("iiiiii")
def path_rename(
    process: Process,
    memory: GuestMemory,
    fd: int,
    old_address: int,
    old_length: int,
    new_fd: int,
    new_address: int,
    new_length: int,
) -> None:
    """Move a file or folder."""
    old, new = memory.text(old_address, old_length), memory.text(new_address, new_length)
    with _writing(process, fd, old) as folder:
        source = process.tree.find(folder, old)
        source.existing()
        source.changeable()
    with _writing(process, new_fd, new, creates=True) as folder:
        target = process.tree.find(folder, new)
        target.changeable()
    process.tree.rename(source, target)


@call("iiiii")
def path_symlink(
    process: Process, memory: GuestMemory, old_address: int, old_length: int, fd: int, new_address: int, new_length: int
) -> None:
    """There are no links."""
    raise Refusal(Errno.NOTSUP)


@call("iii")
def path_unlink_file(process: Process, memory: GuestMemory, fd: int, address: int, length: int) -> None:
    """Remove a file."""
    path = memory.text(address, length)
    with _writing(process, fd, path) as folder:
        process.tree.unlink_file(process.tree.find(folder, path))
