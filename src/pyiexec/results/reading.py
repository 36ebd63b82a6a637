"""Content on its way out: begun before the answer's status is decided, and never with the origin's privileges."""

from __future__ import annotations

from collections.abc import AsyncIterator

from pyiexec.storage.cid import Cid
from pyiexec.storage.node import ContentNode

#: Content is anybody's: a browser must neither guess what it is nor let it act as this origin.
SAFE_HEADERS = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'",
    "referrer-policy": "no-referrer",
}


async def begun(node: ContentNode, cid: Cid, start: int, end: int) -> AsyncIterator[bytes]:
    """The bytes from `start` up to `end`, of which the first are already there.

    Raises:
        IexecError: as the node's `stream`: when not even the beginning can be sent, the answer can still say so.
    """
    pieces = node.stream(cid, start=start, end=end)
    first = await anext(pieces, b"")

    async def rest() -> AsyncIterator[bytes]:
        yield first
        async for piece in pieces:
            yield piece

    return rest()
