"""Files of a multipart request, taken in while they arrive.

Source: RFC 7578; the multipart form of kubo's ``add``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple
from urllib.parse import unquote

from multipart import (  # type: ignore[import-untyped]
    MultipartError,
    MultipartSegment,
    PushMultipartParser,
    parse_options_header,
)

from pyiexec.protocol.errors import IexecError
from pyiexec.storage.store import ContentStore, Stored, too_large

#: Files in one request at most.
MAX_FILES = 1000
_DIRECTORY = "application/x-directory"


class Added(NamedTuple):
    """One file taken in: its name as the client gave it, and what it became."""

    name: str
    stored: Stored


def boundary_of(content_type: str) -> str:
    """The boundary of a multipart request.

    Raises:
        IexecError: ``BAD_REQUEST``.
    """
    kind, options = parse_options_header(content_type)
    if kind.lower() != "multipart/form-data" or not options.get("boundary"):
        raise IexecError("BAD_REQUEST", "content-type must be multipart/form-data with a boundary")
    return str(options["boundary"])


async def add_files(
    store: ContentStore, body: AsyncIterator[bytes], boundary: str, max_bytes: int
) -> AsyncIterator[Added]:
    """Store each file of a multipart body, yielding it once it is durable.

    Args:
        store: where they go.
        body: the request's bytes.
        boundary: what separates the parts.
        max_bytes: for all files of the request together.

    Raises:
        IexecError: ``BAD_REQUEST`` for a body that is not well-formed, ``CONTENT_TOO_LARGE``, ``STORE_UNWRITABLE``. The
            file being received is not kept then.
    """
    events = _events(body, boundary)
    left = max_bytes
    async for event in events:
        if not isinstance(event, MultipartSegment):
            raise IexecError("BAD_REQUEST", "the multipart body is not well-formed")
        if event.header("Content-Type", "").lower().startswith(_DIRECTORY):
            raise IexecError("BAD_REQUEST", "folders cannot be added; pack them into one file")
        try:
            stored = await store.put(_content(events), max_bytes=left)
        except IexecError as error:
            raise too_large(max_bytes) if error.code == "CONTENT_TOO_LARGE" else error from None
        left -= stored.size
        yield Added(unquote(event.filename or "") or str(stored.cid), stored)


async def _events(body: AsyncIterator[bytes], boundary: str) -> AsyncIterator[MultipartSegment | bytearray | None]:
    """Parts as they begin, their bytes, and None at the end of each."""
    try:
        with PushMultipartParser(boundary, max_segment_count=MAX_FILES) as parser:
            async for data in body:
                for event in parser.parse(data):
                    yield event
    except (MultipartError, ValueError) as error:
        raise IexecError("BAD_REQUEST", f"the multipart body is not well-formed: {error}") from None


async def _content(events: AsyncIterator[MultipartSegment | bytearray | None]) -> AsyncIterator[bytes]:
    async for event in events:
        if event is None:
            return
        assert not isinstance(event, MultipartSegment), "a part ends before the next begins"
        yield bytes(event)
