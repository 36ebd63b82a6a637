"""Server-sent events as they are read.

Source: Server-sent events, HTML Living Standard 9.2.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable

import msgspec


class Event(msgspec.Struct, frozen=True):
    """A server-sent event."""

    name: str
    data: bytes
    identifier: str


async def read_events(lines: AsyncIterable[bytes]) -> AsyncGenerator[Event, None]:
    """The events in the lines of a stream; one that is cut off by its end is dropped."""
    name, data, identifier = "message", list[bytes](), ""
    async for line in lines:
        field, _, value = line.rstrip(b"\r\n").partition(b":")
        value = value.removeprefix(b" ")
        if not field and not value:
            if data:
                yield Event(name, b"\n".join(data), identifier)
            name, data = "message", []
        elif field == b"event":
            name = value.decode(errors="replace")
        elif field == b"data":
            data.append(value)
        elif field == b"id":
            identifier = value.decode(errors="replace")
