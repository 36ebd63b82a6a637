"""Files of a multipart request, taken in while they arrive.

Source: RFC 7578; the multipart form of kubo's ``add``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from urllib.parse import unquote

from multipart import (  # type: ignore[import-untyped]
    MultipartError,
    MultipartSegment,
    PushMultipartParser,
    parse_options_header,
)

from pyiexec.protocol.errors import IexecError
from pyiexec.results.folders import Folders
from pyiexec.results.options import AddOptions
from pyiexec.storage.dag_pb import Link
from pyiexec.storage.node import ContentNode, too_large

#: Files in one request at most.
MAX_FILES = 1000
_DIRECTORY = "application/x-directory"
_SYMLINK = "application/symlink"


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
    node: ContentNode, body: AsyncIterator[bytes], boundary: str, max_bytes: int, options: AddOptions
) -> AsyncIterator[tuple[Link, int | None]]:
    """Store each file of a multipart body, then the folders they stand in.

    Yields each once it is durable, under its name as the client gave it, with the bytes of a file and None for a
    folder.

    Args:
        node: where they go.
        body: the request's bytes.
        boundary: what separates the parts.
        max_bytes: for all files of the request together.
        options: how they are stored.

    Raises:
        IexecError: ``BAD_REQUEST`` for a body that is not well-formed, ``CONTENT_TOO_LARGE``, and as
            `ContentNode.put`. The file being received is not kept then.
    """
    events = _events(body, boundary)
    folders = Folders(wrap=options.wrap)
    left = max_bytes
    async for event in events:
        if not isinstance(event, MultipartSegment):
            raise IexecError("BAD_REQUEST", "the multipart body is not well-formed")
        names = _names_of(event, folders)
        if _kind_of(event) == _DIRECTORY:
            await _skip_empty(events)
            folders.add_folder(names)
            continue
        try:
            stored = await node.put(_content(events), layout=options.layout, max_bytes=left, keep=options.keep)
        except IexecError as error:
            raise too_large(max_bytes) if error.code == "CONTENT_TOO_LARGE" else error from None
        left -= stored.size
        link = Link("", stored.cid, stored.dag_bytes)
        if names or options.wrap:
            folders.add_file(names or [str(stored.cid)], link)
        yield link._replace(name="/".join(names) or str(stored.cid)), stored.size
    async for folder in folders.store(node, cid_version=options.layout.cid_version, keep=options.keep):
        yield folder, None


def _kind_of(part: MultipartSegment) -> str:
    kind: str = part.header("Content-Type", "").partition(";")[0].strip().lower()
    return kind


def _names_of(part: MultipartSegment, folders: Folders) -> list[str]:
    """The path under which a part is to be stored; empty for a file without one."""
    # Modes and times travel behind the name of the field; they would be part of what is hashed.
    if "?" in (part.name or ""):
        raise IexecError("BAD_REQUEST", "mode and mtime of files are not kept")
    if _kind_of(part) == _SYMLINK:
        raise IexecError("BAD_REQUEST", "symbolic links are not stored")
    path = unquote(part.filename or "")
    if not path and _kind_of(part) == _DIRECTORY:
        raise IexecError("BAD_REQUEST", "a folder needs a name")
    return folders.check(path) if path else []


async def _skip_empty(events: AsyncIterator[MultipartSegment | bytearray | None]) -> None:
    async for event in events:
        if event is None:
            return
        if event:
            raise IexecError("BAD_REQUEST", "a folder has no content of its own")


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
