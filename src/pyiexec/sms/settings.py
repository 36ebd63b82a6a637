"""Settings of the secret management service."""

from __future__ import annotations

from pyiexec.foundation.settings import Settings
from pyiexec.protocol.primitives import Address


class SmsSettings(Settings, frozen=True, kw_only=True):
    """What the secret management service has to be told.

    Attributes:
        database_url: SQLAlchemy URL.
        key_file: key ring that the secrets are encrypted with; made at the first start.
        rpc_url: node of the chain.
        chain_id: the chain served.
        hub: PoCo's contract on it, whose registries say who owns what.
        host: address to listen on.
        port: TCP port, 0 for a free one.
        origins: under which clients reach the service, such as ``https://sms.example``; a bound authorisation must
            name one of them. When there is none, the address it listens on.
        accept_legacy: whether the JS SDK's authorisation is taken, which can be replayed elsewhere.
        rate_limit: requests that one client may make in `rate_limit_seconds`; 0 for no limit. Whether a secret is set
            may be asked by anybody, but not for ever more names.
        rate_limit_seconds: in which a budget that was used up is whole again.
        trusted_proxies: networks of proxies whose word is believed about who the client is.
    """

    database_url: str
    key_file: str
    rpc_url: str
    chain_id: int
    hub: Address
    host: str = "127.0.0.1"
    port: int = 0
    origins: tuple[str, ...] = ()
    accept_legacy: bool = True
    rate_limit: int = 300
    rate_limit_seconds: float = 60.0
    trusted_proxies: tuple[str, ...] = ()
