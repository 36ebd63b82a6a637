"""The configuration file of the JavaScript client, ``chain.json``: what its users change to come here.

Release 9 refuses keys it does not know, among them those by which release 8 finds a result proxy and pays in the
chain's own coin; so the file depends on the release.
"""

from __future__ import annotations

from typing import Any, Literal

from pyiexec.chain.networks import NetworkProfile
from pyiexec.protocol.errors import IexecError

#: Major releases of npm `iexec` that a file can be written for.
Release = Literal[8, 9]


def javascript_releases(profile: NetworkProfile) -> tuple[Release, ...]:
    """The releases that can use a network."""
    # Release 9 cannot pay in the chain's own coin.
    return (8,) if profile.native else (8, 9)


def chain_json(profile: NetworkProfile, release: Release) -> dict[str, Any]:
    """Content of ``chain.json`` with one network, the default.

    Raises:
        IexecError: ``BAD_REQUEST`` when the release cannot use the network.
    """
    if release not in javascript_releases(profile):
        raise IexecError(
            "BAD_REQUEST",
            f"release {release} of the JavaScript client cannot pay in the chain's own coin",
            remedy="Use release 8, or a network with RLC the token.",
        )
    chain: dict[str, Any] = {
        # The client wants it as text.
        "id": str(profile.chain_id),
        "host": profile.rpc_url,
        "hub": profile.hub,
        "iexecGateway": profile.market_url,
        "ipfsGateway": profile.gateway_url,
    }
    if profile.sms_url:
        chain["sms"] = profile.sms_url
    if profile.compass_url:
        chain["compass"] = profile.compass_url
    if profile.indexer_url:
        chain["pocoSubgraph"] = f"{profile.indexer_url}/graphql/{profile.chain_id}"
    if release == 8:
        chain["resultProxy"] = profile.gateway_url
        if profile.native:
            chain["native"] = True
    return {"default": profile.name, "chains": {profile.name: chain}}
