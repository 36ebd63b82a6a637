"""Settings of the result store."""

from __future__ import annotations

import msgspec


class ResultsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the result store has to be told.

    Attributes:
        directory: folder of the content.
        host: address to listen on.
        port: TCP port, 0 for a free one.
        max_upload_bytes: largest upload accepted in one request.
    """

    directory: str
    host: str = "127.0.0.1"
    port: int = 0
    max_upload_bytes: int = 1024 * 1024 * 1024
