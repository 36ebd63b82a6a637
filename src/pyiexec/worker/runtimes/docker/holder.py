"""A program that does nothing, for a container whose only purpose is to be there.

What an application writes lies in a file system in memory, which the engine takes down with the last container that
has it. A second container keeps it until the result has been read. The program in it must run in any image, an empty
one too, so it is a static executable of a few instructions: wait for a signal, again and again.

Source: System V ABI, ELF-64 object file format; Linux system call numbers (pause is 34 on x86-64, ppoll 73 on arm64).
"""

from __future__ import annotations

import struct

_LOADED_AT = 0x400000
_HEADER, _PROGRAM_HEADER = 64, 56
_EXECUTABLE, _LOADABLE, _READ_EXECUTE = 2, 1, 5

#: By the engine's name of a processor: ELF's number of it, and its instructions.
_MACHINES = {
    # mov eax, 34; syscall; jmp to the start
    "x86_64": (62, bytes.fromhex("b822000000 0f05 ebf7")),
    # x0 to x3 = 0; x8 = 73; svc 0; branch to the start
    "aarch64": (
        183,
        struct.pack("<7I", 0xD2800000, 0xD2800001, 0xD2800002, 0xD2800003, 0xD2800928, 0xD4000001, 0x17FFFFFA),
    ),
}

#: The processors for which there is such a program.
ARCHITECTURES = frozenset(_MACHINES)


def executable(architecture: str) -> bytes:
    """The program for a processor of `ARCHITECTURES`."""
    machine, code = _MACHINES[architecture]
    start = _HEADER + _PROGRAM_HEADER
    size = start + len(code)
    # Magic, 64 bits, little-endian, version 1.
    header = b"\x7fELF\x02\x01\x01".ljust(16, b"\0") + struct.pack(
        "<HHIQQQIHHHHHH",
        _EXECUTABLE,
        machine,
        1,
        _LOADED_AT + start,
        _HEADER,
        0,
        0,
        _HEADER,
        _PROGRAM_HEADER,
        1,
        0,
        0,
        0,
    )
    segment = struct.pack("<IIQQQQQQ", _LOADABLE, _READ_EXECUTE, 0, _LOADED_AT, _LOADED_AT, size, size, 0x1000)
    return header + segment + code
