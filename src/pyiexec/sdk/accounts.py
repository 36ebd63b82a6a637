"""The user's money: RLC in the wallet, stake in the hub."""

from __future__ import annotations

import msgspec

from pyiexec.chain import calls, escrow
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address
from pyiexec.protocol.units import format_rlc
from pyiexec.sdk.connection import Connection


class Balance(msgspec.Struct, frozen=True):
    """An account's RLC in nRLC: `wallet` outside the hub, `stake` free in it, `locked` in deals and contributions."""

    address: Address
    wallet: int
    stake: int
    locked: int


class Accounts:
    """Deposits, withdrawals, balances."""

    def __init__(self, connection: Connection) -> None:
        self._at = connection

    async def show(self, address: Address | None = None) -> Balance:
        """Balance of `address`, of the user when None."""
        owner = address or self._at.address
        account = await self._at.hub.account(owner)
        wallet = await escrow.wallet_balance(self._at.rpc, await self._at.hub.token(), owner)
        return Balance(owner, wallet, account.stake, account.locked)

    async def deposit(self, amount: int) -> str:
        """Move `amount` nRLC from the wallet into the user's stake, in one transaction.

        Returns:
            The transaction's hash.

        Raises:
            IexecError: ``BALANCE_TOO_LOW``.
        """
        balance = await self.show()
        if balance.wallet < amount:
            held = format_rlc(balance.wallet)
            raise IexecError("BALANCE_TOO_LOW", f"the wallet holds {held}, not {format_rlc(amount)}")
        call = escrow.deposit(self._at.hub.address, await self._at.hub.token(), amount)
        assert call.to is not None, "a deposit calls a contract"
        receipt = await self._at.send(self._at.unique(), "deposit", call.to, call.data, value=call.value)
        return receipt.transaction_hash

    async def withdraw(self, amount: int) -> str:
        """Pay `amount` nRLC of free stake out to the wallet.

        Returns:
            The transaction's hash.

        Raises:
            IexecError: ``STAKE_TOO_LOW``.
        """
        balance = await self.show()
        if balance.stake < amount:
            free = format_rlc(balance.stake)
            raise IexecError(
                "STAKE_TOO_LOW",
                f"{free} are free, not {format_rlc(amount)}",
                remedy="Withdraw less, or wait until running deals end.",
            )
        receipt = await self._at.send(self._at.unique(), "withdraw", self._at.hub.address, calls.withdraw(amount))
        return receipt.transaction_hash
