"""How far the engine has followed the chain."""

from __future__ import annotations

from functools import partial

import sqlalchemy as sa

from pyiexec.chain.follower import Cursor, LogFollower, save_cursor
from pyiexec.scheduler.engine import Engine
from pyiexec.scheduler.inbox import LogsSeen

#: Name under which the follower's place in the chain's log is kept.
CURSOR = "scheduler"


class ChainProgress:
    """Puts the hub's logs before an engine, a batch at a time, and knows up to which block they have taken effect."""

    def __init__(self, follower: LogFollower, engine: Engine) -> None:
        self._follower = follower
        self._engine = engine
        self._under_way = False

    @property
    def number(self) -> int | None:
        """The last block all of whose logs took effect; None while some are being dealt with."""
        return None if self._under_way else self._follower.cursor.number

    async def run(self) -> None:
        """Follow until cancelled."""
        async for batch in self._follower.batches():
            self._under_way = True
            item = LogsSeen(batch.logs, batch.removed, batch.rewound_to is not None, partial(_save, batch.cursor))
            self._engine.post(item)
            await item.done.wait()
            self._under_way = False


def _save(cursor: Cursor, connection: sa.Connection) -> None:
    save_cursor(connection, CURSOR, cursor)
