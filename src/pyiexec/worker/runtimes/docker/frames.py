"""The two standard streams of a container, out of the one that the engine sends.

Source: Docker Engine API, stream format of ``attach``: one byte of stream number, three of nothing, four of length
(big-endian), then as many bytes of content.
"""

from __future__ import annotations

from collections.abc import Iterator

from pyiexec.worker.runtimes.base import StreamName

_HEADER = 8
_STREAMS: dict[int, StreamName] = {1: "stdout", 2: "stderr"}


class Frames:
    """Takes the stream apart as it arrives; no frame is waited for, however long it says it is."""

    def __init__(self) -> None:
        self._header = bytearray()
        self._stream: StreamName = "stdout"
        self._left = 0

    def feed(self, piece: bytes) -> Iterator[tuple[StreamName, bytes]]:
        """What a further piece holds of the two streams.

        Raises:
            ValueError: the piece is not of this format.
        """
        at = 0
        while at < len(piece):
            if self._left:
                content = piece[at : at + self._left]
                self._left -= len(content)
                at += len(content)
                yield self._stream, content
                continue
            missing = _HEADER - len(self._header)
            self._header += piece[at : at + missing]
            at += missing
            if len(self._header) == _HEADER:
                if self._header[0] not in _STREAMS:
                    raise ValueError(f"there is no stream {self._header[0]}")
                self._stream = _STREAMS[self._header[0]]
                self._left = int.from_bytes(self._header[4:], "big")
                self._header.clear()
