"""The faucet's money: a promise is stored before anything is paid, and kept after a crash.

Two requests for one account at once are decided one after the other where nobody comes between, so one is refused.
"""

from __future__ import annotations

import anyio
import msgspec
import sqlalchemy as sa

from pyiexec.chain import escrow
from pyiexec.chain.rpc import JsonRpc
from pyiexec.chain.transactions import TransactionManager
from pyiexec.faucet.rules import Terms, check_request
from pyiexec.faucet.tables import GIFTS
from pyiexec.foundation.clock import Clock
from pyiexec.foundation.database import Database
from pyiexec.foundation.logs import get_logger
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address

log = get_logger(__name__)


class Gift(msgspec.Struct, frozen=True, rename="camel"):
    """What an account was given.

    Attributes:
        transactions: hashes, once mined.
    """

    account: Address
    nrlc: int
    wei: str
    transactions: tuple[str, ...] = ()


class Till:
    """Pays gifts out of one account.

    Args:
        rlc: the token's address; null where the hub holds the chain's own coin.
    """

    def __init__(
        self,
        rpc: JsonRpc,
        database: Database,
        transactions: TransactionManager,
        terms: Terms,
        rlc: Address,
        clock: Clock,
    ) -> None:
        self._rpc = rpc
        self._database = database
        self._transactions = transactions
        self._rlc = rlc
        self._clock = clock
        self.terms = terms

    async def give(self, account: Address) -> Gift:
        """Give an account what it may have, and wait until it has it.

        Raises:
            IexecError: ``FAUCET_COOLDOWN``, ``FAUCET_NOT_NEEDED``, ``FAUCET_EMPTY``, ``CHAIN_UNREACHABLE``.
        """
        held = await escrow.wallet_balance(self._rpc, self._rlc, account)
        await self._check_till()

        def promise(connection: sa.Connection) -> int:
            last = connection.scalar(sa.select(sa.func.max(GIFTS.c.promised_at)).where(GIFTS.c.account == account))
            now = self._clock.now()
            check_request(self.terms, now=now, last=last, held=held)
            values = {"account": account, "nrlc": str(self.terms.nrlc), "wei": self.terms.wei, "promised_at": now}
            inserted = connection.execute(sa.insert(GIFTS).values(values).returning(GIFTS.c.number))
            number: int = inserted.scalar_one()
            return number

        number = await self._database.write(promise)
        log.info("a gift is promised", number=number, account=account)
        return await self._pay(number, account, self.terms.nrlc, int(self.terms.wei))

    async def keep_promises(self) -> None:
        """Pay what was promised before a crash; what was paid is not paid again."""

        def promised(connection: sa.Connection) -> list[sa.Row[tuple[int, str, str, str]]]:
            query = sa.select(GIFTS.c.number, GIFTS.c.account, GIFTS.c.nrlc, GIFTS.c.wei)
            recent = GIFTS.c.promised_at > self._clock.now() - 24 * 3600
            return list(connection.execute(query.where(recent).order_by(GIFTS.c.number)))

        for gift in await self._database.read(promised):
            await self._pay(gift.number, Address(gift.account), int(gift.nrlc), int(gift.wei))

    async def _pay(self, number: int, account: Address, nrlc: int, wei: int) -> Gift:
        hashes: dict[str, str] = {}

        async def send(action: str, to: Address, data: bytes, value: int) -> None:
            # The manager sends the same action of the same gift once, whoever asks again.
            receipt = await self._transactions.execute(f"gift-{number}", action, to, data, value=value)
            hashes[action] = receipt.transaction_hash

        call = escrow.payment(self._rlc, account, nrlc)
        assert call.to is not None, "a payment goes to somebody"
        async with anyio.create_task_group() as group:
            group.start_soon(send, "rlc", call.to, call.data, call.value)
            if wei:
                group.start_soon(send, "coin", account, b"", wei)
        return Gift(account, nrlc, str(wei), tuple(hashes[action] for action in sorted(hashes)))

    async def _check_till(self) -> None:
        own = self.terms.account
        rlc = await escrow.wallet_balance(self._rpc, self._rlc, own)
        coin = int(await self._rpc.call("eth_getBalance", own, "latest"), 16)
        if rlc < self.terms.nrlc or coin <= int(self.terms.wei):
            raise IexecError("FAUCET_EMPTY", f"the faucet's account {own} has too little left")
