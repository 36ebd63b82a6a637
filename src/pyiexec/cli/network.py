"""`pyiexec up`, `down`, `status`, `logs`, `reset`: the local network."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from pyiexec.cli.options import AMOUNT, json_option, local_directory, run_async
from pyiexec.cli.reporting import emit, table, wants_json

directory_option = click.option(
    "--directory",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the network keeps its data.  [default: in the user's data folder]",
)


@click.command()
@click.option("--workers", type=click.IntRange(1, 24), default=4, show_default=True, help="Number of workers.")
@click.option(
    "--block-time",
    type=click.FloatRange(0, 60),
    default=1.0,
    show_default=True,
    help="Seconds between blocks; 0 mines every transaction at once, which trips some JS clients.",
)
@click.option("--bad", type=click.IntRange(0), default=0, help="How many of the workers lie.")
@click.option("--seed", type=int, default=1, show_default=True, help="Decides which workers lie.")
@click.option("--native", is_flag=True, help="Pay in the chain's own coin instead of RLC the token.")
@click.option(
    "--sell-at",
    type=AMOUNT,
    help="Have the scheduler sell the workers' free slots, at this price a task, instead of one large order.",
)
@click.option("--any-ports", is_flag=True, help="Listen on free TCP ports instead of the usual ones.")
@click.option("--metrics", is_flag=True, help="Let Prometheus ask the workers too; its prometheus.yml is written.")
@directory_option
@json_option
def up(
    workers: int,
    block_time: float,
    bad: int,
    seed: int,
    native: bool,
    sell_at: int | None,
    any_ports: bool,
    metrics: bool,
    directory: Path | None,
) -> None:
    """Start a local network and keep it running in the background.

    Its chain, orders and results stay between runs. A network that exists is taken up as it was made, whatever options
    are given: `pyiexec reset` deletes it.
    """
    from pyiexec.devnet import daemon
    from pyiexec.devnet.network import FIXED_PORTS, NetworkOptions, Ports

    folder = (directory or local_directory()).absolute()
    options = NetworkOptions(
        directory=folder,
        workers=workers,
        bad=bad,
        seed=seed,
        block_time=block_time or 1.0,
        mixed=block_time == 0,
        native=native,
        sell_at=sell_at,
        ports=Ports() if any_ports else FIXED_PORTS,
        metrics=metrics,
    )
    fresh = daemon.running_pid(folder) is None
    if fresh:
        daemon.start(options)
    _show(folder, "is up" if fresh else "is up already")


def _show(folder: Path, state: str) -> None:
    """Endpoints and accounts of a running network."""
    from pyiexec.chain.networks import load_profile
    from pyiexec.devnet import roles
    from pyiexec.protocol.primitives import to_hex

    profile = load_profile(folder / "profile.json")
    accounts = [
        {"role": name, "address": signer.address, "privateKey": to_hex(signer.secret)}
        for name, signer in ((name, roles.account(index)) for name, index in roles.NAMED.items())
    ]
    endpoints = {
        "chain": profile.rpc_url,
        "market": profile.market_url,
        "gateway": profile.gateway_url,
        "scheduler": profile.scheduler_url,
        "sms": profile.sms_url,
        "compass": profile.compass_url,
        "indexer": profile.indexer_url,
        "faucet": profile.faucet_url,
    }
    data = {"running": True, "chainId": profile.chain_id, "hub": profile.hub, "endpoints": endpoints}
    if wants_json():
        emit(data | {"accounts": accounts, "profile": str(folder / "profile.json")})
        return
    click.echo(f"The network {state}.  Profile: {folder / 'profile.json'}")
    click.echo(
        f"For the JavaScript client: {', '.join(str(file) for file in sorted(folder.glob('js-sdk-*/chain.json')))}"
    )
    emit(endpoints | {"chain id": profile.chain_id, "hub": profile.hub})
    click.echo("")
    # Keys of the public test mnemonic: everybody has them.
    rows = [[row["role"], row["address"], row["privateKey"]] for row in accounts]
    table("Funded test accounts (public keys to everybody: never use them elsewhere)", ["role", "address", "key"], rows)


@click.command()
@directory_option
@json_option
def down(directory: Path | None) -> None:
    """Stop the local network; its data stays."""
    from pyiexec.devnet import daemon

    folder = directory or local_directory()
    daemon.stop(folder)
    emit({"running": False}, "The network is down; `pyiexec up` takes it up again.")


@click.command()
@directory_option
@json_option
@run_async
async def status(directory: Path | None) -> int:
    """Show what runs, where, and whether it is well. Exit code 1 when something is not."""
    import time

    import aiohttp

    from pyiexec.chain.networks import load_profile
    from pyiexec.chain.rpc import JsonRpc
    from pyiexec.devnet import daemon
    from pyiexec.foundation.http import http_session
    from pyiexec.protocol.errors import IexecError

    folder = directory or local_directory()
    profile = load_profile(folder / "profile.json")
    rows: list[dict[str, Any]] = []
    try:
        async with JsonRpc(profile.rpc_url, timeout=5) as rpc:
            started = time.monotonic()
            block = await rpc.block_number()
            rows.append(_row("chain", profile.rpc_url, True, f"block {block}", started))
    except IexecError as error:
        rows.append(_row("chain", profile.rpc_url, False, error.what, None))
    services = {
        "market": profile.market_url,
        "results": profile.gateway_url,
        "scheduler": profile.scheduler_url,
        "sms": profile.sms_url,
        "compass": profile.compass_url,
        "indexer": profile.indexer_url,
        "faucet": profile.faucet_url,
    }
    async with http_session(timeout=5) as session:
        for name, url in services.items():
            if url is None:
                continue
            started = time.monotonic()
            try:
                async with session.get(f"{url}/health") as response:
                    well = response.status == 200
                    rows.append(_row(name, str(url), well, f"HTTP {response.status}", started))
            except (aiohttp.ClientError, TimeoutError) as error:
                rows.append(_row(name, str(url), False, str(error) or type(error).__name__, None))
    well = all(row["well"] for row in rows)
    if wants_json():
        emit({"running": daemon.running_pid(folder) is not None, "well": well, "parts": rows})
    else:
        shown = [[row["part"], "well" if row["well"] else "NOT WELL", row["url"], row["says"]] for row in rows]
        table("", ["part", "", "url", "says"], shown)
    return 0 if well else 1


def _row(part: str, url: str, well: bool, says: str, started: float | None) -> dict[str, Any]:
    import time

    milliseconds = None if started is None else round((time.monotonic() - started) * 1000, 1)
    return {"part": part, "url": url, "well": well, "says": says, "milliseconds": milliseconds}


@click.command()
@click.argument("part", required=False)
@click.option("-n", "--lines", type=click.IntRange(1), default=40, show_default=True, help="Lines of each log.")
@directory_option
@json_option
def logs(part: str | None, lines: int, directory: Path | None) -> None:
    """Show the end of the logs of the local network, of one PART if given (scheduler, worker-1, chain ...)."""
    from pyiexec.protocol.errors import IexecError

    folder = directory or local_directory()
    files = {path.stem: path for path in [*sorted((folder / "logs").glob("*.log")), *sorted(folder.glob("*.log"))]}
    if part is not None and part not in files:
        raise IexecError("BAD_REQUEST", f"there is no log of {part!r}", remedy=f"Choose of: {', '.join(files)}.")
    chosen = {part: files[part]} if part else files
    ends = {name: path.read_text(errors="replace").splitlines()[-lines:] for name, path in chosen.items()}
    if wants_json():
        emit({"logs": ends})
        return
    for name, end in ends.items():
        if part is None:
            click.secho(f"--- {name}", bold=True)
        click.echo("\n".join(end))


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@directory_option
@json_option
def reset(yes: bool, directory: Path | None) -> None:
    """Delete the local network's data: chain, orders, results and keys."""
    from pyiexec.devnet import daemon
    from pyiexec.protocol.errors import IexecError

    folder = directory or local_directory()
    if not yes:
        if wants_json() or not sys.stdin.isatty():
            raise IexecError("CONFIRMATION_NEEDED", f"this deletes {folder}")
        click.confirm(f"Delete {folder}?", abort=True)
    daemon.reset(folder)
    emit({"deleted": str(folder)}, f"deleted {folder}")
