"""How much gas to give a transaction, and what to offer for it: pure arithmetic.

Source: EIP-1559. Fees are wei per unit of gas.
"""

from __future__ import annotations

import msgspec

#: Room above the node's estimate, in percent: storage another transaction wrote meanwhile makes ours dearer.
ESTIMATE_MARGIN = 30
#: How many times the present base fee is offered at most; it rises by an eighth a block, so 2 lasts 6 full blocks.
BASE_FEE_FACTOR = 2
#: A replacement must offer at least a tenth more; some nodes ask for an eighth.
BUMP_PERCENT = 25
#: What nodes ask of a replacement at least, percent; used where more is not to be had.
LEAST_BUMP = 12.5
#: Tip offered where the node does not suggest one.
DEFAULT_TIP = 10**9
#: Gas of a plain transfer.
TRANSFER_GAS = 21_000


class Fees(msgspec.Struct, frozen=True):
    """An offer: at most `max_fee` altogether, of which at most `tip` for the block's producer."""

    max_fee: int
    tip: int


def offer(base_fee: int, tip: int, most: int | None = None) -> Fees:
    """What to offer when the newest block has this base fee; never above `most`, be it too little for the moment."""
    return _within(Fees(BASE_FEE_FACTOR * base_fee + tip, tip), most)


def raised(former: Fees, base_fee: int, tip: int, most: int | None = None) -> Fees:
    """An offer that replaces `former`: enough above it to be accepted, and never below a fresh one.

    Where `most` leaves no room for such an offer it is `former` itself: it has to wait for cheaper blocks.
    """
    fresh = offer(base_fee, tip)
    wanted = Fees(max(fresh.max_fee, _more(former.max_fee)), max(fresh.tip, _more(former.tip)))
    found = _within(wanted, most)
    enough = found.max_fee >= _more(former.max_fee, LEAST_BUMP) and found.tip >= _more(former.tip, LEAST_BUMP)
    return found if enough else former


def _within(fees: Fees, most: int | None) -> Fees:
    return fees if most is None else Fees(min(fees.max_fee, most), min(fees.tip, most))


def _more(fee: int, percent: float = BUMP_PERCENT) -> int:
    return fee + -(-fee * round(percent * 10) // 1000)


def limit(estimate: int) -> int:
    """Gas limit for a transaction estimated to need `estimate`."""
    return estimate + estimate * ESTIMATE_MARGIN // 100
