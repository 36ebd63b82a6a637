"""Who is given what: the faucet's decisions, without its money."""

from __future__ import annotations

import math

import msgspec

from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address
from pyiexec.protocol.units import format_rlc


class Terms(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the faucet gives, and to whom.

    Attributes:
        chain_id: of its chain.
        account: that pays.
        nrlc: given at a time, nRLC.
        wei: coin for gas given at a time, decimal text: it may be no number to JavaScript.
        most_nrlc: an account that holds more gets none.
        cooldown_seconds: between two gifts to one account.
    """

    chain_id: int
    account: Address
    nrlc: int
    wei: str
    most_nrlc: int
    cooldown_seconds: int


def check_request(terms: Terms, *, now: float, last: float | None, held: int) -> None:
    """Refuse who was given something lately, or has enough.

    Args:
        now: seconds since the Unix epoch.
        last: when the account was given something; None if never.
        held: nRLC in its wallet.

    Raises:
        IexecError: ``FAUCET_COOLDOWN``, ``FAUCET_NOT_NEEDED``.
    """
    if last is not None and now < last + terms.cooldown_seconds:
        seconds = math.ceil(last + terms.cooldown_seconds - now)
        raise IexecError(
            "FAUCET_COOLDOWN", f"this account can be given something again in {seconds} s", seconds=seconds
        )
    if held > terms.most_nrlc:
        enough = format_rlc(terms.most_nrlc)
        raise IexecError(
            "FAUCET_NOT_NEEDED", f"this account holds {format_rlc(held)}, and more than {enough} is enough"
        )
