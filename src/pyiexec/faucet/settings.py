"""Settings of the faucet."""

from __future__ import annotations

from pathlib import Path

from pyiexec.chain.networks import NetworkKind
from pyiexec.foundation.settings import Settings
from pyiexec.protocol.primitives import Address
from pyiexec.protocol.units import NRLC_PER_RLC


class FaucetSettings(Settings, frozen=True, kw_only=True):
    """What the faucet has to be told.

    Attributes:
        network: what is at stake on the network; on a main one the faucet does not start.
        database_url: SQLAlchemy URL.
        key_file: key of the account that pays.
        password_file: of the key file, if it is an encrypted one.
        rpc_url: node of the chain.
        hub: PoCo's contract on it, which names the money.
        nrlc: given at a time, nRLC.
        wei: coin for gas given at a time; nothing where the hub holds the chain's own coin.
        most_nrlc: an account that holds more of it gets none.
        cooldown_seconds: between two gifts to one account.
        rate_limit: requests a client may make.
        rate_limit_seconds: in so many seconds.
        trusted_proxies: networks of proxies whose word on who asks is believed.
        host: address to listen on.
        port: TCP port, 0 for a free one.
    """

    network: NetworkKind = NetworkKind.TEST
    database_url: str
    key_file: Path
    password_file: Path | None = None
    rpc_url: str
    hub: Address
    nrlc: int = 5 * NRLC_PER_RLC
    wei: int = 10**17
    most_nrlc: int = NRLC_PER_RLC
    cooldown_seconds: int = 24 * 3600
    rate_limit: int = 10
    rate_limit_seconds: float = 60.0
    trusted_proxies: tuple[str, ...] = ()
    host: str = "127.0.0.1"
    port: int = 0
