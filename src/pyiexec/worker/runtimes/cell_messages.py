"""What a worker and a sandbox in a process of its own say to each other: length-prefixed MessagePack over pipes."""

from __future__ import annotations

import struct
from typing import BinaryIO, TypeAlias

import msgspec

from pyiexec.worker.runtimes.base import Limits, RunOutcome, StreamName

_LENGTH = struct.Struct("<I")
PREFIX_BYTES = _LENGTH.size


class Run(msgspec.Struct, frozen=True, tag=True, kw_only=True):
    """To the sandbox: run this, see `RunRequest`; nothing else is asked before it has ended.

    Attributes:
        app: the application's file; None when its content comes along.
    """

    app: str | None
    content: bytes
    args: list[str]
    environment: dict[str, str]
    input_dir: str
    output_dir: str
    limits: Limits
    seed: bytes


class Interrupt(msgspec.Struct, frozen=True, tag=True):
    """To the sandbox: stop what runs, unless it has ended."""


class Started(msgspec.Struct, frozen=True, tag=True):
    """From the sandbox: the application is compiled and starts."""


class Printed(msgspec.Struct, frozen=True, tag=True):
    """From the sandbox: what the application prints."""

    stream: StreamName
    content: bytes


class Ended(msgspec.Struct, frozen=True, tag=True):
    """From the sandbox: how the run ended."""

    outcome: RunOutcome


class Failed(msgspec.Struct, frozen=True, tag=True):
    """From the sandbox: there was no run, or none that tells about the application.

    Attributes:
        code: of the error catalogue; empty for a fault of this program, which `what` then describes.
    """

    code: str
    what: str


Question: TypeAlias = Run | Interrupt
Answer: TypeAlias = Started | Printed | Ended | Failed


def frame(message: Question | Answer) -> bytes:
    """A message as it goes over the pipe."""
    body = msgspec.msgpack.encode(message)
    return _LENGTH.pack(len(body)) + body


def body_length(prefix: bytes) -> int:
    """How many bytes follow."""
    length: int = _LENGTH.unpack(prefix)[0]
    return length


def decode_answer(body: bytes) -> Answer:
    """What the sandbox said."""
    answer: Answer = msgspec.msgpack.decode(body, type=Answer)
    return answer


def read_question(pipe: BinaryIO) -> Question | None:
    """Wait for what the worker says next; None once it is gone."""
    prefix = pipe.read(PREFIX_BYTES)
    if len(prefix) < PREFIX_BYTES:
        return None
    size = body_length(prefix)
    body = pipe.read(size)
    return msgspec.msgpack.decode(body, type=Question) if len(body) == size else None
