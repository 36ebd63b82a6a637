"""Settings of the result store."""

from __future__ import annotations

import msgspec


class ResultsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the result store has to be told.

    Attributes:
        directory: folder of the content, and of uploads under way.
        host: address to listen on.
        port: TCP port, 0 for a free one.
        max_upload_bytes: largest upload accepted in one request.
        capacity_bytes: content kept at most; None for as much as the disk has.
        upload_seconds: for how long an upload that broke off can be resumed.
        kubo_url: API of an IPFS node that keeps the content instead of `directory`.
    """

    directory: str
    host: str = "127.0.0.1"
    port: int = 0
    max_upload_bytes: int = 1024 * 1024 * 1024
    capacity_bytes: int | None = None
    upload_seconds: float = 86400.0
    kubo_url: str | None = None
