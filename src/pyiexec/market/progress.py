"""How far the chain was followed, for those who have to know how old the book is."""

from __future__ import annotations

from typing import Any

from pyiexec.chain.follower import LogFollower
from pyiexec.chain.heads import HeadFeed
from pyiexec.foundation.clock import Clock


class Progress:
    """What this process knows of the node, and of the follower if it is the one that follows."""

    def __init__(self, feed: HeadFeed, clock: Clock) -> None:
        self._feed = feed
        self._clock = clock
        self.follower: LogFollower | None = None

    def followed(self) -> int | None:
        """The last block read; None in a process that does not follow the chain."""
        return None if self.follower is None else self.follower.cursor.number

    def report(self, stored: int) -> dict[str, Any]:
        """Blocks processed, and how far that is behind the node.

        A process that does not follow the chain itself only knows the last block with an event, so it does not say how
        far behind that is.

        Args:
            stored: number of the last block whose events are in the book.
        """
        head = self._feed.newest
        last = stored if self.follower is None else max(stored, self.follower.cursor.number)
        node: dict[str, Any] = {"connected": self._feed.connected, "head": None, "lagBlocks": None, "lagSeconds": None}
        if head is not None:
            node["head"] = head.number
            if self.follower is not None:
                node["lagBlocks"] = max(0, head.number - last)
            if not self._feed.connected:
                # How long the chain has gone on unseen.
                node["lagSeconds"] = max(0, int(self._clock.now()) - head.timestamp)
            elif self.follower is not None:
                node["lagSeconds"] = 0 if last >= head.number else max(0, int(self._clock.now()) - head.timestamp)
        return {"lastBlock": max(0, last), "checkpointBlock": max(0, stored), "node": node}
