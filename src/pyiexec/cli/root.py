"""The top of the command tree, with its leaves loaded lazily: `--help` must not pay for what it does not use."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, NamedTuple

import click

from pyiexec import __version__


class Leaf(NamedTuple):
    """Where a sub-command is, and the line that the overview shows without loading it."""

    target: str
    summary: str


class LazyGroup(click.Group):
    """A group that imports a sub-command only when it is asked for."""

    def __init__(self, *args: Any, leaves: Mapping[str, Leaf], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.leaves = leaves

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, in the order in which a newcomer meets them."""
        return list(self.leaves)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module that holds the command."""
        if cmd_name not in self.leaves:
            return None
        module, _, attribute = self.leaves[cmd_name].target.partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The overview, from the summaries alone."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, leaf.summary) for name, leaf in self.leaves.items()])


LEAVES: Mapping[str, Leaf] = {
    "demo": Leaf("pyiexec.cli.demo:demo", "Run the whole market once: buy a picture, prove it, pay for it."),
    "up": Leaf("pyiexec.cli.network:up", "Start a local network and keep it running."),
    "down": Leaf("pyiexec.cli.network:down", "Stop the local network; its data stays."),
    "status": Leaf("pyiexec.cli.network:status", "Show what runs, where, and whether it is well."),
    "logs": Leaf("pyiexec.cli.network:logs", "Show the logs of the local network."),
    "reset": Leaf("pyiexec.cli.network:reset", "Delete the local network's data."),
    "network": Leaf("pyiexec.cli.networks:network", "List, show and add networks; chain.json for the JS client."),
    "run": Leaf("pyiexec.cli.run:run", "Run an app: find the best offer, buy, wait, download."),
    "app": Leaf("pyiexec.cli.app:app", "Deploy, check, publish and show applications."),
    "workerpool": Leaf("pyiexec.cli.workerpool:workerpool", "Deploy, publish and show workerpools."),
    "dataset": Leaf("pyiexec.cli.dataset:dataset", "Encrypt and decrypt datasets."),
    "secret": Leaf("pyiexec.cli.secret:secret", "Set, check, list, rotate and delete secrets."),
    "order": Leaf("pyiexec.cli.order:order", "Write, sign, publish, match and cancel orders."),
    "orderbook": Leaf("pyiexec.cli.orderbook:orderbook", "Browse the orders on offer."),
    "deal": Leaf("pyiexec.cli.deal:deal", "Show deals."),
    "task": Leaf("pyiexec.cli.task:task", "Show, watch and claim tasks; get results."),
    "faucet": Leaf("pyiexec.cli.faucet:faucet", "Get coin and RLC on a test network."),
    "account": Leaf("pyiexec.cli.account:account", "Deposit, withdraw and show stakes."),
    "wallet": Leaf("pyiexec.cli.wallet:wallet", "Create, import and show wallets."),
    "worker": Leaf("pyiexec.cli.worker:worker", "Run a worker on this machine."),
    "contracts": Leaf("pyiexec.cli.contracts:contracts", "Deploy, export and verify the contracts."),
    "scheduler": Leaf("pyiexec.cli.scheduler:scheduler", "Run the scheduler of a workerpool."),
    "serve": Leaf("pyiexec.cli.serve:serve", "Run an order book, a result store, an index or a faucet."),
    "sms": Leaf("pyiexec.cli.sms:sms", "Run the secret management service."),
    "keeper": Leaf("pyiexec.cli.keeper:keeper", "Run a keeper, which claims forgotten tasks of any pool."),
    "compass": Leaf("pyiexec.cli.compass:compass", "Run the service that tells where schedulers are."),
}


@click.group(
    cls=LazyGroup,
    leaves=LEAVES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog="Start with `pyiexec demo`, then `pyiexec up`. Every command takes --json and explains itself with --help.",
)
@click.version_option(__version__, "-V", "--version", message="pyiexec %(version)s")
def root() -> None:
    """Buy and sell computation whose results are proved right before anyone is paid."""
