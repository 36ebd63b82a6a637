"""Settings of a keeper."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from msgspec import Meta

from pyiexec.foundation.settings import Settings
from pyiexec.protocol.primitives import Address


class KeeperSettings(Settings, frozen=True, kw_only=True):
    """Whose tasks are looked after, and who pays the gas.

    Attributes:
        rpc_url: JSON-RPC of the chain, over HTTP.
        heads_url: of the same chain over WebSocket; guessed from `rpc_url` when empty.
        hub: address of the PoCo hub.
        key_file: key of the account that pays the gas; it needs nothing else.
        password_file: of the key file, if it is an encrypted one.
        database_url: SQLAlchemy URL; several keepers on one database take turns, see `Database.lead`.
        start_block: first block worth looking at for deals, when the database is new.
        workerpools: whose deals are looked after; all when empty.
        requesters: whose deals are looked after; all when empty.
        patience_seconds: after the final deadline, in which the pool and the requester may claim themselves.
        batch_size: tasks claimed by one transaction at most.
        batch_gas: gas one transaction is meant to need at most; a task that needs more is claimed alone.
        max_gas_price: wei per unit of gas that is never exceeded; what that is too little for waits for cheaper blocks.
        host: interface to listen on for who asks how it is.
        port: TCP port; 0 takes a free one.
    """

    rpc_url: str
    heads_url: str = ""
    hub: Address
    key_file: Path
    password_file: Path | None = None
    database_url: str
    start_block: int = 0
    workerpools: tuple[Address, ...] = ()
    requesters: tuple[Address, ...] = ()
    patience_seconds: Annotated[int, Meta(ge=0)] = 60
    batch_size: Annotated[int, Meta(ge=1, le=256)] = 32
    batch_gas: Annotated[int, Meta(ge=100_000)] = 10_000_000
    max_gas_price: Annotated[int, Meta(ge=1)] | None = None
    host: str = "127.0.0.1"
    port: int = 0
