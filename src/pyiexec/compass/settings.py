"""Settings of the compass."""

from __future__ import annotations

import msgspec

from pyiexec.foundation.settings import Settings
from pyiexec.protocol.primitives import Address


class CompassChain(Settings, frozen=True, kw_only=True):
    """A chain whose pools the compass knows.

    Attributes:
        chain_id: its EIP-155 id.
        rpc_url: a node of it.
        hub: PoCo's contract on it, whose registry says who owns which pool.
        workerpools: URLs of pools that did not register one, by address.
    """

    chain_id: int
    rpc_url: str
    hub: Address
    workerpools: dict[str, str] = msgspec.field(default_factory=dict)


class CompassSettings(Settings, frozen=True, kw_only=True):
    """What the compass has to be told.

    Attributes:
        database_url: SQLAlchemy URL.
        chains: those that are served.
        host: address to listen on.
        port: TCP port, 0 for a free one.
    """

    database_url: str
    chains: tuple[CompassChain, ...]
    host: str = "127.0.0.1"
    port: int = 0
