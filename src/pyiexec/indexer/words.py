"""Contract data read word by word, as text: what the index needs of it is mostly hexadecimal text anyway.

The general codec checks and checksums every value; on tens of thousands of logs that costs more than all the rest.

Source: Solidity contract ABI specification.
"""

from __future__ import annotations

from pyiexec.protocol.errors import IexecError

WORD = 64


class Words:
    """Hexadecimal data, and where in it the words are counted from.

    Every method raises `IexecError` ``CHAIN_REFUSED`` where the data is too short or is not what is asked for.
    """

    __slots__ = ("_base", "_text")

    def __init__(self, data: str, base: int = 2) -> None:
        self._text = data
        self._base = base

    def _word(self, index: int) -> str:
        start = self._base + index * WORD
        word = self._text[start : start + WORD]
        if len(word) != WORD:
            raise IexecError("CHAIN_REFUSED", f"the answer ends before word {index}")
        return word

    def uint(self, index: int) -> int:
        """An unsigned integer."""
        return int(self._word(index), 16)

    def address(self, index: int) -> str:
        """An address in lower case."""
        return "0x" + self._word(index)[24:]

    def bytes32(self, index: int) -> str:
        """32 bytes as hexadecimal text."""
        return "0x" + self._word(index)

    def follow(self, index: int) -> Words:
        """What the offset in a word leads to."""
        return Words(self._text, self._base + self._distance(index) * 2)

    def bytes(self, index: int) -> str:
        """A byte string as hexadecimal text."""
        start = self._base + self._distance(index) * 2 + WORD
        length = int(self._text[start - WORD : start] or "0", 16) * 2
        found = self._text[start : start + length]
        if len(found) != length:
            raise IexecError("CHAIN_REFUSED", "the answer ends within a byte string")
        return "0x" + found

    def text(self, index: int) -> str:
        """A text; what is not UTF-8 or cannot be stored in any database is shown as U+FFFD."""
        raw = bytes.fromhex(self.bytes(index)[2:])
        return raw.decode("utf-8", "replace").replace("\0", "\ufffd")

    def _distance(self, index: int) -> int:
        distance = self.uint(index)
        if distance * 2 > len(self._text):
            raise IexecError("CHAIN_REFUSED", "the answer points beyond its end")
        return distance


def topic_address(topic: str) -> str:
    """The address that a topic carries, in lower case."""
    return "0x" + topic[26:]
