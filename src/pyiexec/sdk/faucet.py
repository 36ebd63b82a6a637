"""Asking a test network's faucet."""

from __future__ import annotations

import aiohttp
import msgspec

from pyiexec.foundation.clients import JsonClient
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address

#: The faucet answers once its payment is mined.
_TIMEOUT_SECONDS = 90.0


class Gift(msgspec.Struct, frozen=True, rename="camel"):
    """What an account was given.

    Attributes:
        nrlc: nRLC.
        wei: coin for gas, decimal text.
        transactions: hashes of the payments.
    """

    account: Address
    nrlc: int
    wei: str
    transactions: tuple[str, ...]


class Faucet(JsonClient):
    """The faucet at a URL; make it inside the event loop.

    Args:
        url: its origin.
        session: shared with other clients; one is opened, and closed with this object, when None.
    """

    def __init__(self, url: str, session: aiohttp.ClientSession | None = None) -> None:
        super().__init__(url, session, kind="a faucet", silent="FAUCET_UNREACHABLE", timeout=_TIMEOUT_SECONDS)

    async def gift(self, account: Address) -> Gift:
        """Have an account given coin and RLC; returns once it has them.

        Raises:
            IexecError: ``FAUCET_COOLDOWN``, ``FAUCET_NOT_NEEDED``, ``FAUCET_EMPTY``; ``FAUCET_UNREACHABLE``.
        """
        answer = await self._ask("POST", "/gifts", body=msgspec.json.encode({"address": account}))
        if answer.status != 200:
            raise self._refusal(answer, "FAUCET_UNREACHABLE")
        try:
            return msgspec.convert(answer.content, Gift)
        except msgspec.ValidationError:
            raise self._nonsense() from None


async def ask_faucet(url: str | None, account: Address) -> Gift:
    """Have an account given coin and RLC by a network's faucet, as `Faucet.gift`.

    Args:
        url: of the network's faucet, None where it has none.

    Raises:
        IexecError: ``FAUCET_MISSING``; as `Faucet.gift`.
    """
    if url is None:
        raise IexecError("FAUCET_MISSING", "this network has no faucet")
    async with Faucet(url) as faucet:
        return await faucet.gift(account)
