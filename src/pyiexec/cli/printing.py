"""Showing text that strangers wrote: an application's output may hold what moves a terminal's cursor, or worse."""

from __future__ import annotations

import unicodedata

#: Control characters that lay text out and do nothing else.
_HARMLESS = "\n\t"


def printable(text: str) -> str:
    """The text with every other control character spelled out, as ``\\x1b``."""
    if text.isprintable():
        return text
    return "".join(_spelled(character) for character in text)


def _spelled(character: str) -> str:
    # Cf holds the marks that turn the direction of writing, with which one line can pose as another.
    if character in _HARMLESS or unicodedata.category(character) not in ("Cc", "Cf", "Cs"):
        return character
    return character.encode("unicode_escape").decode()
