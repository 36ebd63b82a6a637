"""Asking a test network's faucet."""

from __future__ import annotations

from typing import Any

import aiohttp
import msgspec

from pyiexec.foundation.http import http_session
from pyiexec.protocol.errors import CATALOGUE, IexecError
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


async def ask_faucet(url: str | None, account: Address) -> Gift:
    """Have an account given coin and RLC; returns once it has them.

    Args:
        url: of the network's faucet, None where it has none.

    Raises:
        IexecError: ``FAUCET_MISSING``; ``FAUCET_COOLDOWN``, ``FAUCET_NOT_NEEDED``, ``FAUCET_EMPTY``;
            ``FAUCET_UNREACHABLE``.
    """
    if url is None:
        raise IexecError("FAUCET_MISSING", "this network has no faucet")
    try:
        async with (
            http_session(timeout=_TIMEOUT_SECONDS) as session,
            session.post(f"{url}/gifts", json={"address": account}) as response,
        ):
            body = await response.read()
            if response.status == 200:
                return msgspec.json.decode(body, type=Gift)
    except (aiohttp.ClientError, TimeoutError, msgspec.DecodeError) as error:
        raise IexecError("FAUCET_UNREACHABLE", f"the faucet at {url} did not answer: {error}") from None
    raise _refusal(body, response.status)


def _refusal(body: bytes, status: int) -> IexecError:
    try:
        answer: dict[str, Any] = msgspec.json.decode(body, type=dict[str, Any])
    except msgspec.DecodeError:
        answer = {}
    code = answer.get("code")
    if code in CATALOGUE:
        return IexecError(str(code), str(answer.get("error")))
    return IexecError("FAUCET_UNREACHABLE", f"the faucet answered with HTTP status {status}")
