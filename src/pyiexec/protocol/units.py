"""Amounts of RLC in words. Inside, money is always a whole number of nRLC: 1 RLC is 10^9 nRLC."""

from __future__ import annotations

import re

from pyiexec.protocol.errors import IexecError

RLC_DECIMALS = 9
NRLC_PER_RLC = 10**RLC_DECIMALS

_AMOUNT = re.compile(r"([0-9]{1,78})(?:\.([0-9]{1,78}))? ?([a-zA-Z]+)?", re.ASCII)
_DECIMALS = {"rlc": RLC_DECIMALS, "nrlc": 0}


def parse_amount(text: str, default_unit: str = "nRLC") -> int:
    """nRLC of an amount such as ``1.5 RLC``, ``100 nRLC`` or ``100`` (of `default_unit`).

    Raises:
        IexecError: ``BAD_AMOUNT`` when it is not one, or not a whole number of nRLC.
    """
    match = _AMOUNT.fullmatch(text.strip())
    whole, fraction, unit = match.groups() if match else ("", None, None)
    decimals = _DECIMALS.get((unit or default_unit).lower())
    if not match or decimals is None:
        raise IexecError("BAD_AMOUNT", f"{text[:80]!r} is not an amount of RLC or nRLC")
    digits = (fraction or "").rstrip("0")
    if len(digits) > decimals:
        raise IexecError("BAD_AMOUNT", f"{text[:80]!r} is not a whole number of nRLC")
    amount = int(whole + digits.ljust(decimals, "0"))
    if amount >= 1 << 256:
        raise IexecError("BAD_AMOUNT", f"{text[:80]!r} is more than a contract can count")
    return amount


def format_rlc(nrlc: int) -> str:
    """An amount, or a difference of amounts, in RLC: ``1.5 RLC``, ``-0.000000001 RLC``."""
    whole, rest = divmod(abs(nrlc), NRLC_PER_RLC)
    fraction = f".{rest:0{RLC_DECIMALS}d}".rstrip("0") if rest else ""
    return f"{'-' if nrlc < 0 else ''}{whole}{fraction} RLC"
