"""The index behind the chain: batches of logs are completed with what the chain knows, and taken in.

What a batch did and the place reached are stored in one transaction, so a crash at any moment loses nothing and doubles
nothing. A batch that could not be completed, because the node went away or on to another chain, is read again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from functools import partial
from typing import Any, TypeVar

import anyio

from pyiexec.chain.follower import Batch, LogFilter, LogFollower, load_cursor
from pyiexec.chain.heads import Head, HeadFeed
from pyiexec.chain.hub import Hub
from pyiexec.chain.reading import read_all
from pyiexec.chain.registries import POLICY_UPDATE
from pyiexec.chain.rpc import JsonRpc
from pyiexec.foundation.database import Database, Leadership
from pyiexec.foundation.logs import get_logger
from pyiexec.indexer import queries
from pyiexec.indexer.bulk import BulkFetcher
from pyiexec.indexer.events import TOPICS, Sources, read_events
from pyiexec.indexer.projection import PART_EVENTS, Part, apply_part, look_up, split
from pyiexec.indexer.queries import CURSOR
from pyiexec.indexer.reading import ChainReader, Known, Unknown
from pyiexec.indexer.settings import IndexerSettings
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address

T = TypeVar("T")
U = TypeVar("U")

log = get_logger(__name__)

#: Seconds before a batch that could not be completed is read again.
RETRY_SECONDS = 1.0


class IndexFollower:
    """Keeps an index up with its chain.

    Args:
        database: where the index is.
        feed: must be running.
        bulks: told when there may be something to fetch; None leaves bulk deals' lists out.
        part_events: events of one transaction of the database, see `split`.
    """

    def __init__(
        self,
        database: Database,
        rpc: JsonRpc,
        feed: HeadFeed,
        settings: IndexerSettings,
        bulks: BulkFetcher | None = None,
        *,
        part_events: int = PART_EVENTS,
    ) -> None:
        self._database = database
        self._rpc = rpc
        self._feed = feed
        self._settings = settings
        self._bulks = bulks
        self._part_events = part_events
        self._reader = ChainReader(rpc, settings.hub.lower(), settings.rpc_batch)
        #: What reads the logs, unless another process leads or a batch is being taken in.
        self._resting: LogFollower | None = None
        self._follower: LogFollower | None = None

    def followed(self) -> int | None:
        """The last block read; None while another process leads."""
        return None if self._follower is None else self._follower.cursor.number

    def reached(self) -> Head | None:
        """The newest block, when this process knows that the index holds its state.

        Blocks in which nothing happened need not be stored to be known.
        """
        newest = self._feed.newest
        if self._resting is None or newest is None or self._resting.cursor.hash != newest.hash:
            return None
        return newest

    async def lead(self, leadership: Leadership) -> None:
        """Follow the chain, as the only one, until cancelled.

        Raises:
            IexecError: ``LEADERSHIP_LOST``, ``DATABASE_UNAVAILABLE``.
        """
        async with anyio.create_task_group() as group:
            if self._bulks:
                group.start_soon(self._bulks.run, leadership)
            await self._follow(leadership)

    async def _follow(self, leadership: Leadership) -> None:
        while True:
            try:
                await self._follow_once(leadership)
            except IexecError as error:
                if not error.code.startswith("CHAIN_"):
                    raise
                log.info("the chain could not be read yet", reason=str(error))
                await anyio.sleep(RETRY_SECONDS)

    async def _follow_once(self, leadership: Leadership) -> None:
        """Until the index has to begin anew."""
        hub = Address(self._settings.hub.lower())
        sources = await self._sources(hub)
        follower = LogFollower(
            self._rpc,
            self._feed,
            [hub, *map(Address, sources.registries)],
            [TOPICS],
            cursor=await self._database.read(lambda connection: load_cursor(connection, CURSOR)),
            start_block=self._settings.start_block,
            every_block=self._settings.every_block,
            # Of any address: the pools are not known beforehand.
            also=[LogFilter([], [POLICY_UPDATE.topic])],
        )
        async with aclosing(follower.batches()) as batches:
            self._resting = self._follower = follower
            try:
                async for batch in batches:
                    self._resting = None
                    if not await self._take_in(leadership, batch, sources):
                        back = batch.rewound_to
                        log.warning("the chain went back further than can be undone, beginning anew", to=back)
                        await leadership.write(queries.clear)
                        return
                    self._resting = follower
            finally:
                self._resting = self._follower = None

    async def _take_in(self, leadership: Leadership, batch: Batch, sources: Sources) -> bool:
        """Whether the batch could be taken in; it cannot when it goes back too far."""
        events = read_events(batch.logs, sources)

        async def look_up_known(unknown: Unknown) -> Known:
            return await self._database.read(lambda connection: look_up(connection, unknown))

        facts = await self._reader.read(events, batch.cursor.hash, look_up_known)
        parts = split(batch, events, self._part_events)
        first = next(parts)
        completed = await self._reader.with_transactions(facts, first.events)
        part: Part | None = first
        while part is not None:
            following = next(parts, None)
            # While a part is written the node looks for the transactions of the next.
            taken, ahead = await _together(
                partial(leadership.write, partial(apply_part, part=part, facts=completed)),
                partial(self._reader.with_transactions, facts, following.events if following else ()),
            )
            if not taken:
                return False
            if part.events:
                log.info("indexed", events=len(part.events), block=part.cursor.number)
            part, completed = following, ahead
        if self._bulks and (facts.deals or batch.rewound_to is not None):
            self._bulks.wake()
        return True

    async def _sources(self, hub: Address) -> Sources:
        contract = Hub(self._rpc, hub)
        apps, datasets, workerpools = self._settings.registries or await read_all(
            contract.app_registry(), contract.dataset_registry(), contract.workerpool_registry()
        )
        return Sources(hub, apps.lower(), datasets.lower(), workerpools.lower())


async def _together(first: Callable[[], Awaitable[T]], second: Callable[[], Awaitable[U]]) -> tuple[T, U]:
    """What both return; the failure of one ends the other and is raised as it is."""
    results: dict[int, Any] = {}
    failures: list[IexecError] = []

    async def run(place: int, function: Callable[[], Awaitable[Any]]) -> None:
        try:
            results[place] = await function()
        except IexecError as error:
            failures.append(error)
            group.cancel_scope.cancel()

    async with anyio.create_task_group() as group:
        group.start_soon(run, 0, first)
        group.start_soon(run, 1, second)
    if failures:
        raise failures[0]
    return results[0], results[1]
