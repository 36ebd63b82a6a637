"""Network profiles: where a network's chain, contracts and services are."""

from __future__ import annotations

from pathlib import Path

import msgspec

from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address


class NetworkProfile(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a client has to know of a network.

    Attributes:
        name: how the user calls it.
        chain_id: EIP-155 id of the chain.
        rpc_url: HTTP JSON-RPC endpoint; its WebSocket twin is tried for pushed heads.
        hub: address of the PoCo hub; token and registries are read from it.
        market_url: order book.
        gateway_url: content-addressed store and gateway.
        scheduler_url: the pool's task API, where the network runs just one pool.
        sms_url: secret management service.
        compass_url: where the task API of any pool is looked up.
        indexer_url: history of the chain, over GraphQL.
        faucet_url: gives away coin and RLC, on networks where they are worth nothing.
        native: whether the hub holds the chain's own coin instead of RLC the token.
        start_block: first block worth looking at for this hub's events.
    """

    name: str
    chain_id: int
    rpc_url: str
    hub: Address
    market_url: str
    gateway_url: str
    scheduler_url: str | None = None
    sms_url: str | None = None
    compass_url: str | None = None
    indexer_url: str | None = None
    faucet_url: str | None = None
    native: bool = False
    start_block: int = 0


def load_profile(path: Path) -> NetworkProfile:
    """A profile from a JSON file; fields it does not know are left to others.

    Raises:
        IexecError: ``NETWORK_UNKNOWN``.
    """
    try:
        return msgspec.json.decode(path.read_bytes(), type=NetworkProfile)
    except OSError:
        raise IexecError("NETWORK_UNKNOWN", f"there is no network described in {path}") from None
    except msgspec.DecodeError as error:
        raise IexecError("NETWORK_UNKNOWN", f"{path} does not describe a network: {error}") from None
