"""Network profiles: where a network's chain, contracts and services are, and whether its money is worth anything."""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

import msgspec

from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address, checksum

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
#: Name of the network of `pyiexec up`.
LOCAL = "local"


class NetworkKind(StrEnum):
    """What is at stake on a network.

    On `MAIN` it is real money: neither keys that everybody knows are accepted there, nor simulated enclaves, and
    nothing is given away.
    """

    LOCAL = "local"
    TEST = "test"
    MAIN = "main"


class NetworkProfile(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a client has to know of a network.

    Attributes:
        name: how the user calls it.
        kind: what is at stake.
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
        simulated_enclaves: whether attestations that no hardware signed are believed.
        start_block: first block worth looking at for this hub's events.
    """

    name: str
    kind: NetworkKind = NetworkKind.TEST
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
    simulated_enclaves: bool = False
    start_block: int = 0

    def __post_init__(self) -> None:
        if self.kind is NetworkKind.MAIN and self.faucet_url is not None:
            raise ValueError("nothing is given away on a main network, so it has no faucet")
        if self.kind is NetworkKind.MAIN and self.simulated_enclaves:
            raise ValueError("on a main network simulated enclaves are not believed")


def _arbitrum(
    name: str, kind: NetworkKind, chain_id: int, rpc_url: str, hub: str, market: str, start: int
) -> NetworkProfile:
    return NetworkProfile(
        name=name,
        kind=kind,
        chain_id=chain_id,
        rpc_url=rpc_url,
        hub=checksum(hub),
        market_url=f"https://{market}.{name}.iex.ec",
        gateway_url=f"https://ipfs-gateway.{name}.iex.ec",
        sms_url=f"https://sms.{name}.iex.ec",
        compass_url=f"https://compass.{name}.iex.ec",
        start_block=start,
    )


#: The public networks, as the JavaScript client 9 knows them.
PUBLIC: Mapping[str, NetworkProfile] = {
    profile.name: profile
    for profile in (
        _arbitrum(
            "arbitrum-mainnet",
            NetworkKind.MAIN,
            42161,
            "https://arb1.arbitrum.io/rpc",
            "0x098bFCb1E50ebcA0BaA92C12eA0c3F045A1aD9f0",
            "api.market",
            363864242,
        ),
        _arbitrum(
            "arbitrum-sepolia-testnet",
            NetworkKind.TEST,
            421614,
            "https://sepolia-rollup.arbitrum.io/rpc",
            "0xB2157BF2fAb286b2A4170E3491Ac39770111Da3E",
            "api-market",
            178282956,
        ),
    )
}


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


def check_name(name: str) -> str:
    """A name that a network can be added under.

    Raises:
        IexecError: ``BAD_REQUEST``.
    """
    if not _NAME.fullmatch(name):
        raise IexecError("BAD_REQUEST", f"{name[:70]!r} is no name of a network: use a-z, 0-9 and -")
    if name == LOCAL or name in PUBLIC:
        raise IexecError("BAD_REQUEST", f"the network {name} is known already", remedy="Choose another name.")
    return name
