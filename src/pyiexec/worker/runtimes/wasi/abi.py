"""Numbers and layouts of WASI preview 1, as its witx definition gives them (little-endian, natural alignment)."""

from __future__ import annotations

import struct
from enum import IntEnum

MODULE = "wasi_snapshot_preview1"


class Errno(IntEnum):
    """The error numbers that our calls answer."""

    SUCCESS = 0
    BADF = 8
    CANCELED = 11
    EXIST = 20
    FAULT = 21
    FBIG = 22
    ILSEQ = 25
    INVAL = 28
    IO = 29
    ISDIR = 31
    MFILE = 33
    NAMETOOLONG = 37
    NOENT = 44
    NOTDIR = 54
    NOTEMPTY = 55
    NOTSOCK = 57
    NOTSUP = 58
    ROFS = 69
    SPIPE = 70
    NOTCAPABLE = 76


class Refusal(Exception):  # noqa: N818 - it is an answer to the application, not an error of ours
    """A call is answered with an error number."""

    def __init__(self, errno: Errno) -> None:
        super().__init__(errno.name)
        self.errno = errno


class FileType(IntEnum):
    """Kinds of file."""

    CHARACTER_DEVICE = 2
    DIRECTORY = 3
    REGULAR_FILE = 4


class Rights:
    """Rights that decide something here; libc asks for the others and gets them."""

    FD_READ = 1 << 1
    FD_WRITE = 1 << 6
    ALL = (1 << 30) - 1


class OpenFlags:
    """Flags of ``path_open``."""

    CREATE = 1
    DIRECTORY = 2
    EXCLUSIVE = 4
    TRUNCATE = 8


class FdFlags:
    """Flags of an open file."""

    APPEND = 1
    ALL = 31


class Whence(IntEnum):
    """What an offset of ``fd_seek`` counts from."""

    START = 0
    CURRENT = 1
    END = 2


class ClockId(IntEnum):
    """Clocks."""

    REALTIME = 0
    MONOTONIC = 1
    PROCESS_CPU = 2
    THREAD_CPU = 3


class EventType(IntEnum):
    """What ``poll_oneoff`` waits for."""

    CLOCK = 0
    FD_READ = 1
    FD_WRITE = 2


CLOCK_IS_ABSOLUTE = 1

IOVEC = struct.Struct("<II")  # buffer, length
PRESTAT = struct.Struct("<B3xI")  # tag (0: folder), length of its name
FDSTAT = struct.Struct("<BxH4xQQ")  # type, flags, rights, inheriting rights
FILESTAT = struct.Struct("<QQB7xQQQQQ")  # device, inode, type, links, size, access, modification and change time
DIRENT = struct.Struct("<QQIB3x")  # next cookie, inode, length of name, type
SUBSCRIPTION = struct.Struct("<QB7xI4xQQH6x")  # user data, type, clock or descriptor, timeout, precision, flags
EVENT = struct.Struct("<QHB5xQH6x")  # user data, error, type, bytes ready, flags
U32 = struct.Struct("<I")
U64 = struct.Struct("<Q")
