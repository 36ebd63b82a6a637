"""Settings of the order book."""

from __future__ import annotations

from pathlib import Path

from pyiexec.foundation.settings import Settings
from pyiexec.protocol.primitives import Address


class MarketSettings(Settings, frozen=True, kw_only=True):
    """What the order book has to be told.

    Attributes:
        database_url: ``sqlite:///`` and a path, or ``postgresql://`` for several processes on one book.
        rpc_url: node of the chain.
        chain_id: the chain served.
        hub: PoCo's contract on it.
        start_block: first block with events of the hub; an earlier one only costs time at the first start.
        host: address to listen on.
        port: TCP port, 0 for a free one.
        share_port: whether further processes of the order book may listen on the port, and share the work.
        open_orders_per_wallet: orders of one kind that one signer may have in the book at a time.
        challenge_seconds: for how long a login challenge can be answered.
        rebuild: forget at the start what was derived from the chain, and read it again from `start_block`.
        rate_limit: requests that one client may make in `rate_limit_seconds`, all at once if it likes; 0 for no limit.
        rate_limit_seconds: in which a budget that was used up is whole again.
        rate_limit_file: shared by processes of one machine that count together; None to count alone.
        trusted_proxies: addresses or networks of proxies whose word about who calls is believed.
        listeners: streams, and clients of socket.io, that one process serves at a time, of each.
        listener_backlog: events that one of them may be behind before it is cut off.
        heartbeat_seconds: of silence, after which a stream says that it lives.
    """

    database_url: str
    rpc_url: str
    chain_id: int
    hub: Address
    start_block: int = 0
    host: str = "127.0.0.1"
    port: int = 0
    share_port: bool = False
    open_orders_per_wallet: int = 50
    challenge_seconds: int = 300
    rebuild: bool = False
    rate_limit: int = 100
    rate_limit_seconds: float = 60.0
    rate_limit_file: Path | None = None
    trusted_proxies: tuple[str, ...] = ()
    listeners: int = 1000
    listener_backlog: int = 5000
    heartbeat_seconds: float = 20.0
