"""`pyiexec scheduler`: manage a workerpool."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from pyiexec.cli.options import json_option, run_async
from pyiexec.cli.reporting import emit, wants_json
from pyiexec.cli.service import config_option, start_service


@click.group()
def scheduler() -> None:
    """Run the scheduler of a workerpool.

    It watches the chain for deals of its pool, hands their tasks to workers, and finalizes what they proved.
    """


@scheduler.command()
@config_option
def start(config: Path) -> int:
    """Manage the pool until told to stop; a second start takes up what was under way."""
    return start_service("scheduler", config)


@scheduler.command()
@click.argument("url")
@json_option
@run_async
async def status(url: str) -> int:
    """Show what the scheduler at URL is busy with; the exit code is 1 while its owner's stake is too low."""
    health, figures = await _asked(url, "health", "metrics")
    stake = figures.get("stake") or {}
    short = int(stake.get("short", 0))
    if wants_json():
        emit({"health": health, "metrics": figures, "stakeShort": short})
    else:
        _show(health, figures, stake, short)
    return 1 if short else 0


@scheduler.command()
@click.argument("url")
@json_option
@run_async
async def offers(url: str) -> None:
    """Show what the scheduler at URL has on offer for its pool, and why there is not more."""
    (found,) = await _asked(url, "offers")
    if wants_json():
        emit(found)
    else:
        _show_offers(found)


async def _asked(url: str, *routes: str) -> list[dict[str, Any]]:
    """What the scheduler answers on each of its routes."""
    import aiohttp

    from pyiexec.foundation.http import http_session
    from pyiexec.protocol.errors import IexecError

    try:
        async with http_session(timeout=5.0) as session:
            return [await _ask(session, f"{url.rstrip('/')}/{route}") for route in routes]
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        reason = str(error) or type(error).__name__
        raise IexecError("SCHEDULER_UNREACHABLE", f"no scheduler answers at {url}: {reason}") from None


def _show_offers(found: Mapping[str, Any]) -> None:
    from pyiexec.cli.printing import printable
    from pyiexec.cli.reporting import table
    from pyiexec.protocol.primitives import NULL_ADDRESS
    from pyiexec.protocol.units import format_rlc

    if not found["selling"] and not found["offers"]:
        click.echo("The scheduler does not sell by itself: its settings have no `sales`.")
        return
    if found["slots"] is not None:
        emit(
            {
                "order book": printable(found["market"]),
                "workers": found["workers"],
                "slots": f"{found['owed']} of {found['slots']} taken or spoken for",
                "owner's free stake": format_rlc(found["freeStake"]),
                "withdrawn, but matchable by who has a copy": f"{found['copies']} tasks",
            }
        )
    if trouble := found["trouble"]:
        click.secho(f"\n{printable(trouble['what'])}  [{trouble['code']}]", fg="yellow")
        click.echo(f"  {trouble['remedy']}")
    rows = []
    for offer in found["offers"]:
        parties = [f"{role} {offer[role]}" for role in ("app", "dataset", "requester") if offer[role] != NULL_ADDRESS]
        why = offer["notMore"]
        rows.append(
            [
                offer["category"],
                format_rlc(offer["price"]),
                offer["trust"],
                ", ".join(parties) or "everybody",
                offer["volume"],
                len(offer["orders"]),
                f"{why['what']}  [{why['code']}]" if why else "",
            ]
        )
    click.echo("")
    table("", ["category", "price", "trust", "for", "tasks on offer", "orders", "why not more"], rows)


async def _ask(session: Any, url: str) -> dict[str, Any]:
    async with session.get(url) as response:
        answer = await response.json()
        if response.status != 200 or not isinstance(answer, dict):
            raise ValueError(f"HTTP {response.status}")
        return answer


def _show(health: Mapping[str, Any], figures: Mapping[str, Any], stake: Mapping[str, Any], short: int) -> None:
    from pyiexec.protocol.units import format_rlc

    counts = {name: count for name, count in figures["currentTaskStatusesCount"].items() if count}
    facts = {
        "workerpool": health["workerpool"],
        "workers": health["workers"],
        "slots": f"{figures['aliveComputingCpu']} of {figures['aliveTotalCpu']} busy",
        "unfinished tasks": health["tasks"],
        "tasks by status": ", ".join(f"{count} {name}" for name, count in counts.items()) or "none",
        "deals": figures["dealsCount"],
    }
    if stake:
        amounts = {name: format_rlc(int(stake[name])) for name in ("free", "locked", "needed")}
        facts["owner's stake"] = "{free} free, {locked} locked, {needed} needed for the next deals".format(**amounts)
    emit(facts)
    if short:
        click.secho(f"\nThe owner's free stake is {format_rlc(short)} too low: orders will not match.", fg="yellow")
        click.echo("  Deposit more as the pool's owner: `pyiexec account deposit`.")
