"""An index that is made to follow a chain for a while, as often as one likes: every time is a start after a kill."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio

from pyiexec.chain.follower import MIGRATIONS as FOLLOWER_MIGRATIONS
from pyiexec.chain.heads import HeadFeed
from pyiexec.chain.rpc import JsonRpc
from pyiexec.foundation.database import Database
from pyiexec.indexer import queries
from pyiexec.indexer.bulk import BulkFetcher
from pyiexec.indexer.following import IndexFollower
from pyiexec.indexer.projection import PART_EVENTS
from pyiexec.indexer.service import LEADERSHIP, MIGRATIONS
from pyiexec.indexer.settings import IndexerSettings
from pyiexec.protocol.primitives import Address

Dump = dict[str, list[dict[str, Any]]]


class Index:
    """An index over a chain."""

    def __init__(self, database: Database, rpc_url: str, hub: Address, **options: Any) -> None:
        self.database = database
        self.settings = IndexerSettings(database_url="", rpc_url=rpc_url, chain_id=31337, hub=hub, **options)

    @classmethod
    @asynccontextmanager
    async def open(cls, database_url: str, rpc_url: str, hub: Address, **options: Any) -> AsyncIterator[Index]:
        """Over a database that may hold an index already."""
        database = await Database.open(database_url, [MIGRATIONS, FOLLOWER_MIGRATIONS])
        try:
            yield cls(database, rpc_url, hub, **options)
        finally:
            await database.close()

    @asynccontextmanager
    async def following(
        self,
        bulks: BulkFetcher | None = None,
        *,
        rpc_type: type[JsonRpc] = JsonRpc,
        part_events: int = PART_EVENTS,
    ) -> AsyncIterator[None]:
        """Follow the chain in the background; it ends as a process does that is killed."""
        async with (
            rpc_type(self.settings.rpc_url) as rpc,
            HeadFeed(self.settings.rpc_url) as feed,
            anyio.create_task_group() as group,
        ):
            follower = IndexFollower(self.database, rpc, feed, self.settings, bulks, part_events=part_events)
            group.start_soon(self.database.keep_leading, LEADERSHIP, follower.lead)
            yield
            group.cancel_scope.cancel()

    async def catch_up(self, bulks: BulkFetcher | None = None, **how: Any) -> None:
        """Follow until the newest block is in."""
        async with self.following(bulks, **how):
            await self.reach_head()

    async def reach_head(self) -> None:
        """Wait until the newest block is in."""
        async with JsonRpc(self.settings.rpc_url) as rpc:
            head = await rpc.call("eth_getBlockByNumber", "latest", False)
        with anyio.fail_after(60):
            while True:
                place = await self.database.read(queries.place)
                if place is not None and place.hash == head["hash"]:
                    return
                await anyio.sleep(0.005)

    async def rows(self, table: str) -> dict[str, dict[str, Any]]:
        """The rows of a table by id."""
        return {row["id"]: row for row in (await self.dump())[table]}

    async def dump(self) -> Dump:
        """Everything in it."""
        return await self.database.read(queries.dump)
