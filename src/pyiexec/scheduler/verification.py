"""Whether what a worker uploaded is the result the chain agreed on: looked at before the pool's money depends on it."""

from __future__ import annotations

import anyio.to_thread

from pyiexec.protocol import ids
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import ResultHash, TaskId
from pyiexec.protocol.results import callback_data, result_digest, unpack
from pyiexec.storage.client import ContentClient

#: The storage whose locations are ``/ipfs/<cid>``.
STORAGE = "ipfs"
_PREFIX = "/ipfs/"
_MAX_FILES = 65_536
#: Archives up to this size are unpacked where they are, larger ones on a thread.
_SMALL = 256 * 1024


async def verify_upload(
    content: ContentClient, location: str, *, task_id: TaskId, consensus: ResultHash, callback: bool, max_bytes: int
) -> bytes:
    """Fetch and check a result; the data for the deal's callback, empty when it has none.

    Raises:
        IexecError: ``CONTENT_NOT_FOUND``, ``CONTENT_MISMATCH``, ``CONTENT_TOO_LARGE``, ``STORE_UNREACHABLE``,
            ``BAD_CID``, ``BAD_RESULT``, or ``RESULT_WRONG`` when it is another result than the one agreed on.
    """
    if not location.startswith(_PREFIX):
        raise IexecError("BAD_CID", f"{location!r} is not a location of the form {_PREFIX}<cid>")
    data = await content.fetch(location.removeprefix(_PREFIX), max_bytes)

    def check() -> bytes:
        files = unpack(data, max_bytes, _MAX_FILES)
        if ids.result_hash(task_id, result_digest(files, callback=callback)) != consensus:
            raise IexecError("RESULT_WRONG", f"what lies at {location} is not the result the chain agreed on")
        return callback_data(files) if callback else b""

    return check() if len(data) <= _SMALL else await anyio.to_thread.run_sync(check)
