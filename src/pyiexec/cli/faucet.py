"""`pyiexec faucet`: first coin and RLC on a network where they are worth nothing."""

from __future__ import annotations

from typing import Any

import click

from pyiexec.cli.options import (
    ADDRESS,
    json_option,
    load_network,
    network_option,
    open_wallet,
    run_async,
    wallet_options,
)
from pyiexec.cli.reporting import emit


@click.command()
@click.argument("account", type=ADDRESS, required=False)
@wallet_options
@network_option
@json_option
@run_async
async def faucet(account: str | None, network: str | None, **wallet: Any) -> None:
    """Get coin for gas and RLC for ACCOUNT, by default your own.

    Test networks alone have a faucet; it gives nothing to who was given something lately or has enough.
    """
    from pyiexec.protocol.primitives import Address
    from pyiexec.protocol.units import format_rlc
    from pyiexec.sdk.faucet import ask_faucet

    profile = load_network(network)
    receiver = Address(account) if account else open_wallet(profile, **wallet).address
    gift = await ask_faucet(profile.faucet_url, receiver)
    emit(
        {"account": gift.account, "nrlc": gift.nrlc, "wei": gift.wei, "transactions": list(gift.transactions)},
        f"{gift.account} was given {format_rlc(gift.nrlc)} and {int(gift.wei) / 10**18:g} coin for gas",
    )
