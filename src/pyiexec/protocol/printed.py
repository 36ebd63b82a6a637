"""What an application printed: the last characters of its two streams, and where in them they stand.

Streams may be endless; of each the end is kept. Positions count characters from the beginning of the stream, so that
pieces sent twice, late or after a gap are put together right.

Source: the iExec scheduler keeps the last 100,000 characters of each stream.
"""

from __future__ import annotations

from collections import deque
from typing import Annotated

import msgspec
from msgspec import Meta

#: Characters kept of a stream.
KEPT_CHARACTERS = 100_000
#: Positions that every database and JSON reader holds.
_MOST = (1 << 53) - 1


class Excerpt(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A piece of a stream, cut to its end when it is longer than what is kept; `offset` characters came before it."""

    text: Annotated[str, Meta(max_length=KEPT_CHARACTERS)] = ""
    offset: Annotated[int, Meta(ge=0, le=_MOST)] = 0

    def __post_init__(self) -> None:
        surplus = max(len(self.text) - KEPT_CHARACTERS, 0)
        # Text comes from anywhere: what UTF-8 cannot carry would make a message that its receiver refuses.
        fitting = self.text[surplus:].encode("utf-8", "replace").decode()
        if fitting != self.text:
            msgspec.structs.force_setattr(self, "text", fitting)
            msgspec.structs.force_setattr(self, "offset", min(self.offset + surplus, _MOST))

    @property
    def end(self) -> int:
        """Position after the last character."""
        return self.offset + len(self.text)


class Printed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Pieces of both streams of a run."""

    stdout: Excerpt = Excerpt()
    stderr: Excerpt = Excerpt()

    def __bool__(self) -> bool:
        return bool(self.stdout.text or self.stderr.text)


class StreamTail:
    """The end of one stream, growing."""

    def __init__(self, kept: Excerpt | None = None, limit: int = KEPT_CHARACTERS) -> None:
        kept = kept or Excerpt()
        self._limit = limit
        self._pieces: deque[str] = deque([kept.text] if kept.text else [])
        self._start = kept.offset
        self.end = kept.end

    @property
    def start(self) -> int:
        """Position of the first character that is still kept."""
        return max(self._start, self.end - self._limit)

    def append(self, text: str) -> None:
        """What was printed next."""
        if not text:
            return
        self.end += len(text)
        if len(text) >= self._limit:
            self._pieces.clear()
            text = text[-self._limit :]
            self._start = self.end - len(text)
        self._pieces.append(text)
        while self.end - self._start - len(self._pieces[0]) >= self._limit:
            self._start += len(self._pieces.popleft())

    def join(self, piece: Excerpt) -> bool:
        """Take a piece in, without what is known of it, and with a gap where it comes too late; whether it is news."""
        if not piece.text or piece.end <= self.end:
            return False
        if piece.offset > self.end:
            self._pieces.clear()
            self._start = self.end = piece.offset
        self.append(piece.text[self.end - piece.offset :])
        return True

    def since(self, position: int, limit: int | None = None) -> Excerpt:
        """What follows `position`, at most `limit` characters; what is no longer kept is skipped."""
        start = max(min(position, self.end), self.start)
        stop = self.end if limit is None else min(self.end, start + limit)
        found: list[str] = []
        at = self._start
        for piece in self._pieces:
            if at >= stop:
                break
            if at + len(piece) > start:
                found.append(piece[max(start - at, 0) : stop - at])
            at += len(piece)
        return Excerpt("".join(found), start)
