"""Decisions of the index that need nothing but their arguments.

Source: PoCo `finalize` (scores); bulk deals of the JavaScript SDK.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from pyiexec.chain.hub import FUNCTIONS
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.ids import task_id
from pyiexec.protocol.primitives import NULL_ADDRESS, Bytes32, DealId
from pyiexec.protocol.strangers_json import decode_json
from pyiexec.protocol.trust import slashed_score
from pyiexec.storage.cid import parse_cid

_CLAIM_BOOST = FUNCTIONS["claimBoost"].selector.hex()


def score_after(event: str, score: int) -> int:
    """A worker's reputation after ``AccurateContribution`` or ``FaultyContribution``."""
    return score + 1 if event == "AccurateContribution" else slashed_score(score)


def claimed_boost_task(task: str, data: str) -> tuple[str, int] | None:
    """Deal and index of a Boost task that a transaction claimed, from its call data; None when they are not in it.

    The log of a claim tells the task alone, and the hub does not keep whose it is. The call is looked for wherever it
    may be wrapped, and the right one is recognised by its hash.
    """
    start = data.find(_CLAIM_BOOST)
    while start >= 0:
        words = data[start + len(_CLAIM_BOOST) :][:128]
        if len(words) == 128 and int(words[64:], 16) < 1 << 16:
            deal, index = "0x" + words[:64], int(words[64:], 16)
            if task_id(DealId(Bytes32(deal)), index) == task:
                return deal, index
        start = data.find(_CLAIM_BOOST, start + 1)
    return None


# --- bulk deals ---------------------------------------------------------------------------------------------------


class BulkOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A dataset order of a bulk deal; `dataset` in lower case, amounts as integers, the rest as written."""

    dataset: str
    datasetprice: int
    volume: int
    tag: str
    apprestrict: str
    workerpoolrestrict: str
    requesterrestrict: str
    salt: str
    sign: str


def bulk_cid(dataset: str, params: str) -> str | None:
    """Where the list of slices of a deal is, if it is a bulk deal: one without dataset whose params name the list.

    Whatever `params` holds, this does not fail: anybody may write anything there.
    """
    if dataset != NULL_ADDRESS or "bulk_cid" not in params:
        return None
    document = _decode(params)
    named = document.get("bulk_cid") if isinstance(document, dict) else None
    return named if isinstance(named, str) and is_cid(named) else None


def is_cid(text: str) -> bool:
    """Whether a text is a content identifier that can be asked for."""
    try:
        parse_cid(text)
    except IexecError:
        return False
    return True


def read_slices(content: bytes) -> list[str | None] | None:
    """The slices of a bulk by position, None where there is no identifier; None for what is not a list at all."""
    document = _decode(content)
    if not isinstance(document, list):
        return None
    return [entry if isinstance(entry, str) and is_cid(entry) else None for entry in document]


_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}", re.ASCII)
_NUMBER = re.compile(r"0|[1-9][0-9]{0,77}", re.ASCII)
_BYTES32 = re.compile(r"0x[0-9a-f]{64}")
_BYTES = re.compile(r"0x(?:[0-9a-fA-F]{2})*", re.ASCII)
_SHAPES = {
    "dataset": _ADDRESS,
    "datasetprice": _NUMBER,
    "volume": _NUMBER,
    "tag": _BYTES32,
    "apprestrict": _ADDRESS,
    "workerpoolrestrict": _ADDRESS,
    "requesterrestrict": _ADDRESS,
    "salt": _BYTES32,
    "sign": _BYTES,
}


def read_bulk_orders(content: bytes) -> list[BulkOrder | None] | None:
    """The dataset orders of a slice by position, None for one that is malformed; None for what is not a list at all."""
    document = _decode(content)
    return [_read_order(entry) for entry in document] if isinstance(document, list) else None


def _read_order(entry: Any) -> BulkOrder | None:
    if not isinstance(entry, dict):
        return None
    values = {name: entry.get(name) for name in _SHAPES}
    if not all(isinstance(value, str) and _SHAPES[name].fullmatch(value) for name, value in values.items()):
        return None
    fields = {
        name: str(value) if shape is _BYTES32 else str(value).lower()
        for (name, shape), value in zip(_SHAPES.items(), values.values(), strict=True)
    }
    return BulkOrder(
        **fields | {name: int(fields[name]) for name in ("datasetprice", "volume")},  # type: ignore[arg-type]
    )


def followed(slices: Iterable[str | None], bot_first: int, bot_size: int) -> list[tuple[int, str]]:
    """Which slices belong to a deal: task index and identifier. A task has the slice at the place of its index."""
    return [
        (index, cid)
        for index, cid in enumerate(slices)
        if cid is not None and bot_first <= index < bot_first + bot_size
    ]


def _decode(text: str | bytes) -> Any:
    try:
        return decode_json(text)
    except (msgspec.DecodeError, UnicodeError):
        return None
