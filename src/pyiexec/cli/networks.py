"""`pyiexec network`: the networks there are, and the configuration that other clients need for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from pyiexec.cli.options import (
    ADDRESS,
    data_directory,
    json_option,
    load_network,
    local_directory,
    networks_directory,
    run_async,
)
from pyiexec.cli.reporting import emit, table, wants_json

if TYPE_CHECKING:
    from pyiexec.chain.networks import NetworkProfile


@click.group()
def network() -> None:
    """List, show and add networks: public ones, your own, and the local one."""


def _known() -> dict[str, NetworkProfile]:
    from pyiexec.chain.networks import LOCAL, PUBLIC, load_profile

    files = sorted(networks_directory().glob("*.json"))
    local = local_directory() / "profile.json"
    return (
        ({LOCAL: load_profile(local)} if local.exists() else {})
        | {file.stem: load_profile(file) for file in files}
        | dict(PUBLIC)
    )


@network.command(name="list")
@json_option
def list_networks() -> None:
    """Show the networks that --network takes by name."""
    known = _known()
    if wants_json():
        emit({"networks": [_as_dict(profile) | {"name": name} for name, profile in known.items()]})
        return
    rows = [[name, str(profile.kind), str(profile.chain_id), profile.hub] for name, profile in known.items()]
    table("", ["network", "kind", "chain id", "hub"], rows)


@network.command()
@click.argument("name", required=False)
@click.option(
    "--js",
    "release",
    type=click.Choice(["8", "9"]),
    help="Print chain.json for this major release of the JavaScript client, npm iexec.",
)
@json_option
def show(name: str | None, release: str | None) -> None:
    """Show a network's profile, by default the local one's.

    With --js it prints what belongs into the file chain.json of a project of the JavaScript client.
    """
    import json

    profile = load_network(name)
    if release is None:
        emit(_as_dict(profile))
        return
    from pyiexec.chain.chain_json import chain_json

    content = chain_json(profile, 8 if release == "8" else 9)
    if wants_json():
        emit(content)
    else:
        click.echo(json.dumps(content, indent=2))


@network.command()
@click.argument("name")
@click.option("--kind", type=click.Choice(["local", "test", "main"]), default="test", show_default=True, help="Stakes.")
@click.option("--rpc-url", required=True, help="HTTP JSON-RPC endpoint of the chain.")
@click.option("--hub", type=ADDRESS, required=True, help="Address of the PoCo hub.")
@click.option("--market-url", required=True, help="Order book.")
@click.option("--gateway-url", required=True, help="Content store and gateway.")
@click.option("--scheduler-url", help="Task API, where there is just one pool.")
@click.option("--sms-url", help="Secret management service.")
@click.option("--compass-url", help="Where the task API of a pool is looked up.")
@click.option("--indexer-url", help="History over GraphQL.")
@click.option("--faucet-url", help="Gives away coin and RLC; not on a main network.")
@click.option("--simulated-enclaves", is_flag=True, help="Believe enclaves without hardware; not on a main network.")
@click.option("--start-block", type=click.IntRange(0), default=0, show_default=True, help="First block of the hub.")
@click.option("--replace", is_flag=True, help="Replace a network of the same name.")
@json_option
@run_async
async def add(name: str, kind: str, rpc_url: str, hub: str, replace: bool, **services: Any) -> None:
    """Add a network under NAME, after a look at its chain.

    Chain id and kind of money are read from the chain; a hub that does not answer is refused.
    """
    from pyiexec.chain.networks import NetworkKind, NetworkProfile, check_name
    from pyiexec.foundation.settings import save_settings
    from pyiexec.protocol.errors import IexecError
    from pyiexec.protocol.primitives import checksum

    file = networks_directory() / f"{check_name(name)}.json"
    if file.exists() and not replace:
        raise IexecError(
            "BAD_REQUEST", f"the network {name} is known already", remedy="Choose another name, or give --replace."
        )
    for field, url in {"rpc_url": rpc_url, **services}.items():
        if field.endswith("_url") and url is not None:
            _check_url(field, url)
    chain_id, native = await _ask_chain(rpc_url, hub)
    try:
        profile = NetworkProfile(
            name=name,
            kind=NetworkKind(kind),
            chain_id=chain_id,
            rpc_url=rpc_url,
            hub=checksum(hub),
            native=native,
            **services,
        )
    except ValueError as error:
        raise IexecError("BAD_REQUEST", str(error)) from None
    save_settings(profile, file)
    emit(_as_dict(profile) | {"file": str(file)}, f"added {name}: --network {name}")


@network.command()
@click.argument("name")
@json_option
def remove(name: str) -> None:
    """Forget a network that was added."""
    from pyiexec.chain.networks import check_name
    from pyiexec.protocol.errors import IexecError

    file = networks_directory() / f"{check_name(name)}.json"
    if not file.exists():
        raise IexecError("NETWORK_UNKNOWN", f"there is no network {name!r} in {data_directory()}")
    file.unlink()
    emit({"removed": name}, f"removed {name}")


def _check_url(field: str, url: str) -> None:
    from urllib.parse import urlsplit

    from pyiexec.protocol.errors import IexecError

    parts = urlsplit(url)
    option = "--" + field.replace("_", "-")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise IexecError("BAD_REQUEST", f"{option} must be an http or https URL")
    if field not in ("rpc_url", "indexer_url") and parts.path not in ("", "/"):
        # Clients resolve absolute paths against it, which drop any prefix.
        raise IexecError("BAD_REQUEST", f"{option} must be a bare origin, without a path")


async def _ask_chain(rpc_url: str, hub: str) -> tuple[int, bool]:
    """The chain's id, and whether the hub holds its coin."""
    from pyiexec.chain.escrow import is_native
    from pyiexec.chain.hub import Hub
    from pyiexec.chain.rpc import JsonRpc
    from pyiexec.protocol.errors import IexecError
    from pyiexec.protocol.primitives import checksum

    async with JsonRpc(rpc_url, timeout=10) as rpc:
        chain_id = await rpc.chain_id()
        if await rpc.call("eth_getCode", hub, "latest") == "0x":
            raise IexecError("BAD_REQUEST", f"there is no contract at {hub} on chain {chain_id}")
        return chain_id, is_native(await Hub(rpc, checksum(hub)).token())


def _as_dict(profile: NetworkProfile) -> dict[str, Any]:
    import msgspec

    found: dict[str, Any] = msgspec.to_builtins(profile)
    return {key: value for key, value in found.items() if value is not None}
