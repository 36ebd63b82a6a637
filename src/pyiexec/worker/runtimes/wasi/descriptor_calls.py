"""Calls on open files, folders and standard streams."""

from __future__ import annotations

from pyiexec.worker.runtimes.wasi.abi import (
    DIRENT,
    FDSTAT,
    FILESTAT,
    PRESTAT,
    Errno,
    FdFlags,
    FileType,
    Refusal,
    Rights,
    Whence,
)
from pyiexec.worker.runtimes.wasi.call_table import call
from pyiexec.worker.runtimes.wasi.determinism import EPOCH_NS
from pyiexec.worker.runtimes.wasi.memory import GuestMemory
from pyiexec.worker.runtimes.wasi.process import OpenFile, OpenFolder, Process, Stream
from pyiexec.worker.runtimes.wasi.tree import Node

_READ_CHUNK = 1 << 22


def file_status(inode: int, file_type: FileType, size: int) -> bytes:
    """A file's status as the application sees it: every time is the virtual clock's start."""
    return FILESTAT.pack(0, inode, file_type, 1, size, EPOCH_NS, EPOCH_NS, EPOCH_NS)


@call("iIIi")
def fd_advise(process: Process, memory: GuestMemory, fd: int, offset: int, length: int, advice: int) -> None:
    """Advice on access patterns changes nothing."""
    process.file(fd)


@call("iII")
def fd_allocate(process: Process, memory: GuestMemory, fd: int, offset: int, length: int) -> None:
    """Make a file at least so long."""
    file = process.file(fd).changeable()
    if offset + length > file.size:
        file.resize(offset + length)


@call("i")
def fd_close(process: Process, memory: GuestMemory, fd: int) -> None:
    """Close a descriptor."""
    process.close(fd)


@call("i")
def fd_datasync(process: Process, memory: GuestMemory, fd: int) -> None:
    """Nothing is buffered."""
    process.descriptor(fd)


@call("i")
def fd_sync(process: Process, memory: GuestMemory, fd: int) -> None:
    """Nothing is buffered."""
    process.descriptor(fd)


@call("ii")
def fd_fdstat_get(process: Process, memory: GuestMemory, fd: int, result: int) -> None:
    """Tell a descriptor's type, flags and rights."""
    descriptor = process.descriptor(fd)
    packed = FDSTAT.pack(descriptor.file_type, descriptor.flags, descriptor.rights, descriptor.inheriting)
    memory.write(result, packed)


@call("ii")
def fd_fdstat_set_flags(process: Process, memory: GuestMemory, fd: int, flags: int) -> None:
    """Change a descriptor's flags."""
    process.descriptor(fd).flags = flags & FdFlags.ALL


@call("iII")
def fd_fdstat_set_rights(process: Process, memory: GuestMemory, fd: int, rights: int, inheriting: int) -> None:
    """Give up rights."""
    descriptor = process.descriptor(fd)
    if rights & ~descriptor.rights or inheriting & ~descriptor.inheriting:
        raise Refusal(Errno.NOTCAPABLE)
    descriptor.rights, descriptor.inheriting = rights, inheriting


@call("ii")
def fd_filestat_get(process: Process, memory: GuestMemory, fd: int, result: int) -> None:
    """Tell a file's inode, type and size; its times are the virtual clock's start."""
    descriptor = process.descriptor(fd)
    node: Node | None = None
    if isinstance(descriptor, OpenFile):
        node = descriptor.node
    elif isinstance(descriptor, OpenFolder):
        node = descriptor.folder
    inode, size = (node.inode, node.size) if node is not None else (0, 0)
    memory.write(result, file_status(inode, descriptor.file_type, size))


@call("iI")
def fd_filestat_set_size(process: Process, memory: GuestMemory, fd: int, size: int) -> None:
    """Cut or extend a file."""
    process.file(fd).changeable().resize(size)


@call("iIIi")
def fd_filestat_set_times(process: Process, memory: GuestMemory, fd: int, access: int, change: int, flags: int) -> None:
    """File times are fixed; a program that copies them may believe that it did."""
    process.file(fd).changeable()


@call("ii")
def fd_prestat_get(process: Process, memory: GuestMemory, fd: int, result: int) -> None:
    """Tell whether a descriptor is a preopened folder."""
    memory.write(result, PRESTAT.pack(0, len(_preopened(process, fd))))


@call("iii")
def fd_prestat_dir_name(process: Process, memory: GuestMemory, fd: int, buffer: int, count: int) -> None:
    """Write a preopened folder's name."""
    name = _preopened(process, fd)
    if count < len(name):
        raise Refusal(Errno.NAMETOOLONG)
    memory.write(buffer, name)


def _preopened(process: Process, fd: int) -> bytes:
    descriptor = process.descriptor(fd)
    if not isinstance(descriptor, OpenFolder) or descriptor.preopened_as is None:
        raise Refusal(Errno.BADF)
    return descriptor.preopened_as.encode()


def _scatter(process: Process, file: OpenFile, memory: GuestMemory, buffers: list[tuple[int, int]], offset: int) -> int:
    total = 0
    for start, length in buffers:
        memory.require(start, length)
        for done in range(0, length, _READ_CHUNK):
            process.go_on()
            wanted = min(_READ_CHUNK, length - done)
            content = file.read(offset + total, wanted)
            memory.write(start + done, content)
            total += len(content)
            if len(content) < wanted:
                return total
    return total


@call("iiii")
def fd_read(process: Process, memory: GuestMemory, fd: int, buffers: int, count: int, result: int) -> None:
    """Read at the position. stdin is empty."""
    descriptor = process.descriptor(fd)
    if not descriptor.rights & Rights.FD_READ:
        raise Refusal(Errno.BADF)
    if isinstance(descriptor, Stream):
        memory.write_u32(result, 0)
        return
    file = process.file(fd)
    total = _scatter(process, file, memory, memory.buffers(buffers, count), file.position)
    file.position += total
    memory.write_u32(result, total)


@call("iiiIi")
def fd_pread(
    process: Process, memory: GuestMemory, fd: int, buffers: int, count: int, offset: int, result: int
) -> None:
    """Read at an offset."""
    file = process.file(fd)
    if not file.rights & Rights.FD_READ:
        raise Refusal(Errno.BADF)
    memory.write_u32(result, _scatter(process, file, memory, memory.buffers(buffers, count), offset))


@call("iiii")
def fd_write(process: Process, memory: GuestMemory, fd: int, buffers: int, count: int, result: int) -> None:
    """Write at the position, or to a log."""
    descriptor = process.descriptor(fd)
    if not descriptor.rights & Rights.FD_WRITE:
        raise Refusal(Errno.BADF)
    if isinstance(descriptor, Stream):
        content = memory.gather(buffers, count)
        if descriptor.log is not None:
            descriptor.log.write(content)
    else:
        file = process.file(fd)
        content = memory.gather(buffers, count)
        target = file.changeable()
        offset = target.size if file.flags & FdFlags.APPEND else file.position
        file.write(offset, content)
        file.position = offset + len(content)
    memory.write_u32(result, len(content))


@call("iiiIi")
def fd_pwrite(
    process: Process, memory: GuestMemory, fd: int, buffers: int, count: int, offset: int, result: int
) -> None:
    """Write at an offset."""
    content = memory.gather(buffers, count)
    process.file(fd).write(offset, content)
    memory.write_u32(result, len(content))


@call("iIii")
def fd_seek(process: Process, memory: GuestMemory, fd: int, offset: int, whence: int, result: int) -> None:
    """Move the position."""
    file = process.file(fd)
    assert file.node is not None
    if whence not in tuple(Whence):
        raise Refusal(Errno.INVAL)
    signed = offset - (1 << 64) if offset >> 63 else offset
    base = {Whence.START: 0, Whence.CURRENT: file.position, Whence.END: file.node.size}[Whence(whence)]
    if not 0 <= base + signed < 1 << 63:
        raise Refusal(Errno.INVAL)
    file.position = base + signed
    memory.write_u64(result, file.position)


@call("ii")
def fd_tell(process: Process, memory: GuestMemory, fd: int, result: int) -> None:
    """Tell the position."""
    memory.write_u64(result, process.file(fd).position)


@call("iiiIi")
def fd_readdir(
    process: Process, memory: GuestMemory, fd: int, buffer: int, count: int, cookie: int, result: int
) -> None:
    """List a folder by name. The listing is taken when its beginning is read: it does not shift under a reader."""
    folder = process.folder(fd)
    descriptor = process.descriptor(fd)
    assert isinstance(descriptor, OpenFolder)
    memory.require(buffer, count)
    if descriptor.listing is None or cookie == 0:
        descriptor.listing = [(".", folder), ("..", folder), *folder.listing()]
    content = bytearray()
    for index in range(cookie, len(descriptor.listing)):
        name, node = descriptor.listing[index]
        encoded = name.encode("utf-8", "surrogateescape")
        content += DIRENT.pack(index + 1, node.inode, len(encoded), node.file_type) + encoded
        if len(content) >= count:
            break
    memory.write(buffer, bytes(content[:count]))
    memory.write_u32(result, min(len(content), count))


@call("ii")
def fd_renumber(process: Process, memory: GuestMemory, fd: int, to: int) -> None:
    """Move a descriptor onto another."""
    process.renumber(fd, to)
