"""One name for all that happens to a deal, from its orders to its payout, in the logs of everybody who takes part.

Nobody has to pass it on: it is the beginning of the deal's id, which follows from the request order and how much of it
was matched before. Whoever speaks HTTP passes it on all the same, so that services that know no deal can tell of it.

Source: W3C Trace Context, ``traceparent``.
"""

from __future__ import annotations

import re
from typing import NewType

from pyiexec.protocol.primitives import DealId, TaskId

#: 32 lower-case hexadecimal digits.
TraceId = NewType("TraceId", str)

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}(-.*)?")
#: The version of the header that is written, and that whoever reads it may record what it sees.
_VERSION, _SAMPLED = "00", "01"


def trace_of(deal_id: DealId) -> TraceId:
    """The trace of a deal and of all its tasks."""
    return TraceId(deal_id.lower().removeprefix("0x")[:32])


def traceparent(trace: TraceId, task_id: TaskId | None = None) -> str:
    """The header that passes a trace on; its span is the beginning of the task's id, or else of the trace."""
    span = trace[:16] if task_id is None else task_id.lower().removeprefix("0x")[:16]
    return f"{_VERSION}-{trace}-{span}-{_SAMPLED}"


def read_traceparent(header: str) -> TraceId | None:
    """The trace that a header names; None where it names none, which is no reason to refuse a request."""
    found = _TRACEPARENT.fullmatch(header)
    # Version 00 has four fields; later ones may add some.
    if found is None or (header.startswith(_VERSION) and found[3] is not None):
        return None
    return TraceId(found[1])
