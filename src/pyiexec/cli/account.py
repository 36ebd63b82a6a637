"""`pyiexec account`: stakes."""

from __future__ import annotations

from typing import Any

import click

from pyiexec.cli.options import ADDRESS, AMOUNT, acting
from pyiexec.cli.reporting import emit


@click.group()
def account() -> None:
    """Deposit, withdraw and show stakes.

    RLC in the wallet is yours alone. What is deposited in the hub is stake: free until a deal or a contribution locks
    part of it.
    """


@account.command()
@click.argument("amount", type=AMOUNT)
@acting
async def deposit(amount: int, open_client: Any) -> None:
    """Move AMOUNT from the wallet into the stake.

    AMOUNT is e.g. '5 RLC' or '100 nRLC'; a bare number is nRLC.
    """
    from pyiexec.protocol.units import format_rlc

    async with open_client() as client:
        transaction = await client.account.deposit(amount)
    emit({"amount": amount, "txHash": transaction}, f"deposited {format_rlc(amount)} in {transaction}")


@account.command()
@click.argument("amount", type=AMOUNT)
@acting
async def withdraw(amount: int, open_client: Any) -> None:
    """Pay AMOUNT of free stake out to the wallet."""
    from pyiexec.protocol.units import format_rlc

    async with open_client() as client:
        transaction = await client.account.withdraw(amount)
    emit({"amount": amount, "txHash": transaction}, f"withdrew {format_rlc(amount)} in {transaction}")


@account.command()
@click.argument("address", type=ADDRESS, required=False)
@acting
async def show(address: str | None, open_client: Any) -> None:
    """Show wallet, free and locked stake of ADDRESS, by default of your own account."""
    from pyiexec.protocol.units import format_rlc

    async with open_client() as client:
        balance = await client.account.show(address)
    data = {
        "address": balance.address,
        "wallet": balance.wallet,
        "balance": {"stake": str(balance.stake), "locked": str(balance.locked)},
    }
    lines = [
        f"account  {balance.address}",
        f"wallet   {format_rlc(balance.wallet)}",
        f"free     {format_rlc(balance.stake)}",
        f"locked   {format_rlc(balance.locked)}",
    ]
    emit(data, "\n".join(lines))
