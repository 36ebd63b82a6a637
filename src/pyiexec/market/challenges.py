"""Logging in by signing a challenge: text that was never signed before, answered once and soon."""

from __future__ import annotations

import base64
from collections.abc import Callable

from pyiexec.market.messages import refusal
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.logins import Login, read_login

_GREETING = "Sign this message to log into iExec Gateway: "
_TOKEN_BYTES = 20


def challenge_text(entropy: Callable[[int], bytes]) -> str:
    """A challenge nobody has seen: 32 random characters of base32 after a line for the person who signs."""
    return _GREETING + base64.b32encode(entropy(_TOKEN_BYTES)).decode()


def read_token(header: str | None) -> Login:
    """The token in an ``authorization`` header.

    Raises:
        IexecError: ``LOGIN_INVALID``, without saying why.
    """
    login = read_login(header)
    if login is None:
        raise invalid_authorization()
    return login


def invalid_authorization() -> IexecError:
    """The one refusal of any login that fails."""
    return refusal("login")
