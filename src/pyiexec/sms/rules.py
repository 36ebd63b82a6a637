"""Which authorised request may change a secret.

The signature and its signer are checked before; here it is only a matter of what happened earlier. Three things keep a
legacy authorisation, which is good for ever, from undoing what came after it:

* its message sets a secret once: an older value does not come back, and what set a web2 secret does not set the
  requester secret of the same name;
* it replaces nothing but web2 secrets;
* it does not count any more for a secret that was ever changed with a bound one.
"""

from __future__ import annotations

import msgspec

from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.secrets import MAX_LIFE_SECONDS, Action, Secret, SecretKind


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """What the service remembers that bears on a request.

    Attributes:
        exists: whether the secret has a value.
        bound: whether a bound authorisation ever changed it.
        spent: as which kind of secret this very legacy message was taken before, if it was.
        current: whether this very message set the value that the secret has.
    """

    exists: bool = False
    bound: bool = False
    spent: SecretKind | None = None
    current: bool = False


def check_change(action: Action, secret: Secret, standing: Standing, *, legacy: bool) -> bool:
    """Whether a request has something to change; False where it only says again what holds.

    Raises:
        IexecError: ``SECRET_EXISTS``, ``SECRET_UNKNOWN``, ``SECRET_REFUSED``.
    """
    if action is Action.CREATE and standing.exists:
        raise IexecError("SECRET_EXISTS", f"{told(secret)} is set already")
    if action is not Action.CREATE and not standing.exists:
        raise IexecError("SECRET_UNKNOWN", f"{told(secret)} is not set")
    if not legacy:
        return True
    if action is not Action.CREATE and (action is not Action.REPLACE or secret.kind is not SecretKind.WEB2):
        raise IexecError("SECRET_REFUSED", f"{told(secret)} can only be changed with an EIP712 authorisation")
    if standing.bound:
        raise IexecError(
            "SECRET_REFUSED",
            f"{told(secret)} was changed with an EIP712 authorisation before, and takes no other since",
        )
    if standing.current:
        return False
    if standing.spent is not None:
        raise IexecError("SECRET_REFUSED", f"this authorisation was used before, for a {standing.spent} secret")
    return True


def check_moment(deadline: int, now: float) -> None:
    """Whether a bound authorisation is for now.

    Raises:
        IexecError: ``SECRET_REFUSED`` when it has expired, or would be good for longer than is remembered.
    """
    if deadline <= now:
        raise IexecError("SECRET_REFUSED", f"the authorisation expired; its deadline was {deadline}, now is {int(now)}")
    if deadline > now + MAX_LIFE_SECONDS:
        raise IexecError(
            "SECRET_REFUSED",
            f"the authorisation's deadline must be within {MAX_LIFE_SECONDS} s of the service's time {int(now)}",
        )


def told(secret: Secret) -> str:
    """The name of a secret for people."""
    if secret.kind is SecretKind.DATASET:
        return f"the secret of {secret.subject}"
    if secret.kind is SecretKind.APP:
        return f"the secret of app {secret.subject}"
    return f"{secret.kind} secret {secret.name!r} of {secret.subject}"
