"""Which bytes a reader wants, and whether it has them already.

Source: RFC 9110, conditional requests (13) and range requests (14).
"""

from __future__ import annotations

import re
from typing import NamedTuple

from pyiexec.protocol.errors import IexecError

#: One range; several, or another unit, are answered with the whole, as the standard lets a server do.
_RANGE = re.compile(r"bytes=[ \t]*(\d{0,18})-(\d{0,18})[ \t]*", re.ASCII | re.IGNORECASE)
_ETAG = re.compile(r'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')


class Part(NamedTuple):
    """The bytes from `start` up to `end`, exclusive."""

    start: int
    end: int

    def content_range(self, size: int) -> str:
        """The ``Content-Range`` of this part of a content of `size` bytes."""
        return f"bytes {self.start}-{self.end - 1}/{size}"


def read_range(header: str, size: int) -> Part | None:
    """The one part of a content of `size` bytes that a ``Range`` asks for; None when all of it is to be sent.

    Raises:
        IexecError: ``RANGE_UNSATISFIABLE``.
    """
    match = _RANGE.fullmatch(header)
    if match is None or match[1] == match[2] == "":
        return None
    first, last = match[1], match[2]
    if not first:
        part = Part(max(0, size - int(last)), size)
    elif last and int(last) < int(first):
        return None
    else:
        part = Part(int(first), min(int(last) + 1, size) if last else size)
    if part.start >= part.end:
        raise IexecError("RANGE_UNSATISFIABLE", f"the content has {size} bytes, none of them in the range asked for")
    return part


def is_fresh(if_none_match: str, etag: str) -> bool:
    """Whether a reader that sent ``If-None-Match`` has the content; `etag` with its quotes."""
    return if_none_match.strip() == "*" or etag in _ETAG.findall(if_none_match)


def may_continue(if_range: str, etag: str) -> bool:
    """Whether a range may be answered to a reader that sent ``If-Range``, empty when it did not.

    Dates are not: content has none.
    """
    return if_range.strip() in ("", etag)
