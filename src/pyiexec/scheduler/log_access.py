"""Who may read what applications printed: the requester of the task, who proves it by signing a challenge.

A challenge is made from a secret of this process, the address it is for and the hour, so that none has to be stored,
however many are asked for. It is good for the quarter of an hour in which it was made and the next one, for reading the
logs of that address's own tasks as often as wanted: a broken stream is taken up with the same token.

Source: the iExec core's log challenge, EIP-712 domain ``iExec Core`` version 1.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Awaitable, Callable
from typing import Any

from pyiexec.foundation.clock import Clock
from pyiexec.protocol.eip712 import challenge_hash, challenge_typed_data
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.logins import Login, read_login
from pyiexec.protocol.primitives import Address, to_bytes

DOMAIN_NAME, DOMAIN_VERSION = "iExec Core", "1"
#: Seconds after which challenges change; one is good for this long at least, and for twice as long at most.
PERIOD_SECONDS = 900
_SECRET_BYTES = 32

#: Whether an account, a key or a contract, signed a digest.
IsSigned = Callable[[Address, bytes, bytes], Awaitable[bool]]


def read_token(header: str | None) -> Login:
    """The token in an ``Authorization`` header.

    Raises:
        IexecError: ``LOG_TOKEN_INVALID`` when it has another form.
    """
    login = read_login(header)
    if login is None:
        raise _invalid("the Authorization header does not have the form <digest>_<signature>_<address>")
    return login


class LogAccess:
    """Gives challenges out and judges the answers.

    Args:
        entropy: source of the secret that challenges are made from.
    """

    def __init__(self, chain_id: int, is_signed: IsSigned, clock: Clock, entropy: Callable[[int], bytes]) -> None:
        self._chain_id = chain_id
        self._is_signed = is_signed
        self._clock = clock
        self._secret = entropy(_SECRET_BYTES)

    def challenge(self, address: Address) -> dict[str, Any]:
        """The typed data for `address` to sign, now."""
        text = self._text(address, self._period)
        document = challenge_typed_data(text, self._chain_id, DOMAIN_NAME, DOMAIN_VERSION)
        # The reference's scheduler writes a number here, its order book a string.
        document["domain"]["chainId"] = self._chain_id
        return document

    async def check(self, token: Login, requester: Address) -> None:
        """Let the requester pass, and nobody else.

        Raises:
            IexecError: ``LOG_TOKEN_INVALID`` for a token that has expired or is not signed by whom it names;
                ``LOG_ACCESS_REFUSED`` for the token of somebody else; ``CHAIN_UNREACHABLE`` when a contract cannot be
                asked about its signature.
        """
        if token.address != requester:
            raise IexecError("LOG_ACCESS_REFUSED", f"{token.address} is not the requester of the task")
        if not self._is_current(token) or not await self._is_signed(
            token.address, to_bytes(token.digest), token.signature
        ):
            raise _invalid("the challenge has expired, or is not signed by the address named")

    @property
    def _period(self) -> int:
        return int(self._clock.now()) // PERIOD_SECONDS

    def _is_current(self, token: Login) -> bool:
        now = self._period
        found = False
        for period in (now, now - 1):
            text = self._text(token.address, period)
            digest = challenge_hash(text, self._chain_id, DOMAIN_NAME, DOMAIN_VERSION)
            found |= hmac.compare_digest(digest, token.digest)
        return found

    def _text(self, address: Address, period: int) -> str:
        bound_to = f"pyiexec log challenge {self._chain_id} {address} {period}"
        return base64.b64encode(hmac.digest(self._secret, bound_to.encode(), "sha256")).decode()


def _invalid(what: str) -> IexecError:
    return IexecError("LOG_TOKEN_INVALID", what)
