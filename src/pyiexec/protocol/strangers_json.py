"""JSON from strangers: decoded no deeper than anything meant to be read is nested.

The decoder calls itself for every level, and before Python 3.14 its only guard is the interpreter's recursion limit,
which says nothing of the stack that is left: where that was raised, a body of brackets ends the process.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

#: Levels of lists and objects. Orders and parameters have three.
MAX_DEPTH = 128

_BRACKET_OR_TEXT = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[{\]}]', re.DOTALL)


def decode_json(content: bytes | str, kind: Any = Any) -> Any:
    """What a JSON text holds, as a value of `kind`.

    Raises:
        msgspec.DecodeError: it is none, or nested too deeply.
        UnicodeError: it is no UTF-8.
    """
    raw = content.encode() if isinstance(content, str) else content
    if _is_deep(raw):
        raise msgspec.DecodeError(f"the text is nested more than {MAX_DEPTH} levels deep")
    return msgspec.json.decode(raw, type=kind)


def _is_deep(raw: bytes) -> bool:
    # Hardly any text has so many brackets; of those that do, strings are stepped over.
    if raw.count(b"[") + raw.count(b"{") <= MAX_DEPTH:
        return False
    depth = 0
    for match in _BRACKET_OR_TEXT.finditer(raw):
        mark = match[0][:1]
        if mark in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                return True
        elif mark in b"]}":
            depth -= 1
    return False
