"""Reading and writing an application's linear memory from a system call."""

from __future__ import annotations

from struct import Struct
from typing import Any

from wasmtime import Caller, Memory

from pyiexec.worker.runtimes.wasi.abi import IOVEC, U32, U64, Errno, Refusal

#: As many buffers as a system call takes on Linux.
_MAX_BUFFERS = 1024


class GuestMemory:
    """The application's memory during one call. Addresses outside it are refused with ``FAULT``.

    Attributes:
        moved: bytes read and written so far.
    """

    __slots__ = ("_caller", "_memory", "moved")

    def __init__(self, caller: Caller, memory: Memory) -> None:
        self._caller = caller
        self._memory = memory
        self.moved = 0

    def read(self, address: int, count: int) -> bytes:
        """A copy of `count` bytes."""
        content = bytes(self._memory.read(self._caller, address, address + count))
        if len(content) != count:
            raise Refusal(Errno.FAULT)
        self.moved += count
        return content

    def write(self, address: int, content: bytes) -> None:
        """Put bytes at an address."""
        if address + len(content) > self._memory.data_len(self._caller):
            raise Refusal(Errno.FAULT)
        if content:
            self._memory.write(self._caller, content, address)
            self.moved += len(content)

    def require(self, address: int, count: int) -> None:
        """Refuse a buffer that is not wholly inside the memory, before anything is done for it."""
        if address + count > self._memory.data_len(self._caller):
            raise Refusal(Errno.FAULT)

    def text(self, address: int, count: int) -> str:
        """A path or name; ``ILSEQ`` when it is not UTF-8."""
        try:
            return self.read(address, count).decode()
        except UnicodeDecodeError:
            raise Refusal(Errno.ILSEQ) from None

    def unpack(self, layout: Struct, address: int) -> tuple[Any, ...]:
        """A structure."""
        return layout.unpack(self.read(address, layout.size))

    def write_u32(self, address: int, value: int) -> None:
        """Put a 32-bit number."""
        self.write(address, U32.pack(value))

    def write_u64(self, address: int, value: int) -> None:
        """Put a 64-bit number."""
        self.write(address, U64.pack(value))

    def buffers(self, address: int, count: int) -> list[tuple[int, int]]:
        """A list of buffers as (address, length)."""
        if count > _MAX_BUFFERS:
            raise Refusal(Errno.INVAL)
        return list(IOVEC.iter_unpack(self.read(address, count * IOVEC.size)))

    def gather(self, address: int, count: int) -> bytes:
        """What a list of buffers holds, joined."""
        return b"".join(self.read(start, length) for start, length in self.buffers(address, count))
