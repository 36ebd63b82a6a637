"""Settings of the result store."""

from __future__ import annotations

import msgspec

from pyiexec.protocol.primitives import Address


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
        rpc_url: node of the chain whose results the proxy takes; it, `chain_id` and `hub` are given together, and
            there is no proxy without them.
        chain_id: that chain.
        hub: PoCo's contract on it.
        database_url: SQLAlchemy URL of the proxy's database; a file in `directory` when None.
        token_key_file: keys that sign the proxy's tokens; a file in `directory` when None, made when it is missing.
        token_seconds: for how long a token is good.
        max_result_bytes: largest archive of a result, and most that may be in it.
        daily_bytes: results that one account may upload in a day.
    """

    directory: str
    host: str = "127.0.0.1"
    port: int = 0
    max_upload_bytes: int = 1024 * 1024 * 1024
    capacity_bytes: int | None = None
    upload_seconds: float = 86400.0
    kubo_url: str | None = None
    rpc_url: str | None = None
    chain_id: int | None = None
    hub: Address | None = None
    database_url: str | None = None
    token_key_file: str | None = None
    token_seconds: int = 86_400
    max_result_bytes: int = 256 * 1024 * 1024
    daily_bytes: int = 16 * 1024 * 1024 * 1024
