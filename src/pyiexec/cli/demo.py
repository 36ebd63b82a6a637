"""`pyiexec demo`: the main job, shown."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from pyiexec.cli.options import json_option, run_async
from pyiexec.cli.reporting import FAILED, console, emit, table, wants_json

if TYPE_CHECKING:
    from pyiexec.devnet.demo import Market, Outcome, Stopwatch
    from pyiexec.devnet.network import Network
    from pyiexec.protocol.primitives import Address


@click.command()
@click.option("--workers", type=click.IntRange(1, 24), default=6, show_default=True, help="Workers, liars included.")
@click.option("--bad", type=click.IntRange(0), default=1, show_default=True, help="How many of them lie.")
@click.option("--copycats", type=click.IntRange(0), default=0, help="Workers added that copy others' commitments.")
@click.option("--seed", type=int, default=7, show_default=True, help="Decides which workers lie.")
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("demo-out"),
    show_default=True,
    help="Where the picture and the ledger go.",
)
@click.option("--keep", is_flag=True, help="Keep the network's data and logs in OUTPUT/network.")
@json_option
@run_async
async def demo(workers: int, bad: int, copycats: int, seed: int, output: Path, keep: bool) -> int:
    """Run the whole market once: buy a picture, prove it, pay for it.

    Starts a chain, the contracts, an order book, a result store, a workerpool and its workers, some of which lie.
    A requester then buys the 12 tiles of a ray-traced picture at trust 10, and gets each of them only once enough
    workers agree. The exit code is 0 only if every tile was proved and the money adds up to the last unit.
    """
    import msgspec

    from pyiexec.devnet.demo import Stopwatch, open_market
    from pyiexec.devnet.network import Network, NetworkOptions

    watch = Stopwatch()
    scratch = output / "network" if keep else Path(tempfile.mkdtemp(prefix="pyiexec-demo-"))
    if keep and scratch.exists():
        shutil.rmtree(scratch)
    options = NetworkOptions(
        directory=scratch.absolute(), workers=workers, bad=bad, copycats=copycats, seed=seed, category_seconds=8
    )

    try:
        network = Network(options, progress=_say)
        liars = [f"worker-{n}" for n, how in enumerate(network.behaviours, start=1) if how == "liar"]
        _say(f"{workers} workers, of whom {len(liars)} lie{': ' + ', '.join(liars) if liars else ''}")
        async with network:
            watch.lap("start the network")
            market = await open_market(network)
            _say(f"the ray tracer is on offer at {market.app}")
            watch.lap("deploy and publish")
            outcome = await _buy(network, market, output, watch)
            _report(network, outcome, output)
    finally:
        if not keep:
            shutil.rmtree(scratch, ignore_errors=True)
    lines = [msgspec.to_builtins(line) for line in outcome.lines]
    (output / "ledger.json").write_bytes(msgspec.json.format(msgspec.json.encode(lines)))
    if wants_json():
        emit(
            {
                "picture": str(outcome.picture) if outcome.picture else None,
                "price": outcome.price,
                "failedTasks": list(outcome.failed),
                "problems": list(outcome.audit.problems),
                "seconds": outcome.stages,
                "ledger": lines,
            }
        )
    return 0 if outcome.succeeded else FAILED


def _say(text: str) -> None:
    console().print(f"[dim]{time.strftime('%H:%M:%S')}[/dim] {text}")


async def _buy(network: Network, market: Market, output: Path, watch: Stopwatch) -> Outcome:
    from pyiexec.cli.progress import TaskProgress
    from pyiexec.devnet.demo import TILES, TRUST, buy_picture
    from pyiexec.protocol.units import format_rlc
    from pyiexec.sdk.deals import TaskUpdate

    told: set[str] = set()
    with TaskProgress(TILES) as progress:

        def say_once(key: str, text: str) -> None:
            if key not in told:
                told.add(key)
                progress.say(text)

        def on_quote(total: int) -> None:
            progress.say(f"{TILES} tiles at trust {TRUST} cost {format_rlc(total)}")

        def on_update(update: TaskUpdate, final: int) -> None:
            seconds = max(0, final - int(time.time()))
            say_once("matched", f"matched: what workers do not agree on within {seconds} s is refunded")
            progress.show(update)
            if update.event == "Deadline":
                say_once("deadline", "no consensus before the final deadline: claiming the price back")

        return await buy_picture(network, market, output, on_quote=on_quote, on_update=on_update, stopwatch=watch)


def _report(network: Network, outcome: Outcome, output: Path) -> None:
    """Print picture, ledger, audit and times for people."""
    from pyiexec.devnet.demo import TILES, names_of
    from pyiexec.protocol.units import format_rlc

    output.mkdir(parents=True, exist_ok=True)
    if wants_json():
        return
    names = names_of(network)
    _print_ledger(outcome, names)
    _print_accounts(outcome, names)
    audit = outcome.audit
    if audit.problems:
        for problem in audit.problems:
            click.secho(f"THE MONEY DOES NOT ADD UP: {problem}", fg="red")
    else:
        click.echo(
            f"\nThe money adds up: {audit.events} events replayed give the balances of all {audit.accounts} accounts on"
            f" chain;\n{format_rlc(audit.free)} free + {format_rlc(audit.locked)} locked"
            f" = {format_rlc(audit.total_supply)} staked, all held in RLC by the hub."
        )
    _print_times(outcome)
    if outcome.picture:
        click.secho(f"\nAll {TILES} tiles proved. The picture is {outcome.picture}", bold=True)
    else:
        click.secho(
            f"\nNo consensus on {len(outcome.failed)} of {TILES} tiles: the workers disagree, no result was accepted,"
            "\nand everything paid for them was claimed back.",
            fg="yellow",
            bold=True,
        )


def _print_ledger(outcome: Outcome, names: dict[Address, str]) -> None:
    from pyiexec.protocol.ledger import Movement
    from pyiexec.protocol.units import format_rlc

    order = {task: number for number, task in enumerate(outcome.tasks)}
    # A whole hash takes 66 columns; where there are fewer it is shortened, and whole in the file.
    wide = console().width >= 160
    told = (Movement.PAID, Movement.EARNED, Movement.LOST)
    rows = [
        [
            order[line.task_id],
            names.get(line.account, line.account),
            line.movement.value,
            format_rlc(line.amount),
            line.reason,
            line.transaction if wide else f"{line.transaction[:10]}…",
        ]
        for line in outcome.lines
        if line.task_id and (line.movement in told or line.reason == "claimed back")
    ]
    click.echo("")
    table(
        "The ledger (in full, with locks and whole hashes, in ledger.json)",
        ["tile", "who", "", "amount", "why", "transaction"],
        rows,
    )


def _print_accounts(outcome: Outcome, names: dict[Address, str]) -> None:
    from pyiexec.protocol.ledger import Movement
    from pyiexec.protocol.units import format_rlc

    sums: defaultdict[Address, defaultdict[Movement, int]] = defaultdict(lambda: defaultdict(int))
    for line in outcome.lines:
        sums[line.account][line.movement] += line.amount
    rows = [
        [names.get(account, account), *(format_rlc(by[m]) for m in (Movement.PAID, Movement.EARNED, Movement.LOST))]
        for account, by in sorted(sums.items(), key=lambda item: names.get(item[0], item[0]))
    ]
    click.echo("")
    table("By account", ["who", "paid", "earned", "lost"], rows)


def _print_times(outcome: Outcome) -> None:
    from statistics import median

    click.echo("")
    table("Where the time went", ["stage", "seconds"], [[stage, f"{s:.2f}"] for stage, s in outcome.stages.items()])
    rows = [
        [event, len(times), *(f"{figure(times):.2f}" for figure in (min, median, max))]
        for event, times in outcome.moments.items()
    ]
    click.echo("")
    table("Seconds after the match", ["event", "count", "first", "median", "last"], rows)
