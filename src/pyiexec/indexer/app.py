"""HTTP routes of the index besides GraphQL: whether it is there, and how far it has come."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
from litestar import Litestar, get
from litestar.config.cors import CORSConfig
from litestar.handlers import BaseRouteHandler

from pyiexec import __version__
from pyiexec.chain.heads import Head, HeadFeed
from pyiexec.foundation.database import Database
from pyiexec.foundation.http import EXCEPTION_HANDLERS
from pyiexec.foundation.openapi import described, documented
from pyiexec.indexer import queries


class Health(msgspec.Struct):
    """That the service answers."""

    ok: bool
    service: str
    version: str


class Block(msgspec.Struct):
    """A block: its number, hash and time in seconds."""

    number: int
    hash: str
    timestamp: int


class Status(msgspec.Struct):
    """How far the index has come.

    Attributes:
        chain_id: the chain served.
        indexed: the last block taken in; null before the first.
        head: the newest block that the node told of; null while it is away.
        lag: blocks between the two; null when one of them is not known.
    """

    ok: bool
    chain_id: int
    indexed: Block | None
    head: Block | None
    lag: int | None


def create_app(
    database: Database,
    feed: HeadFeed,
    chain_id: int,
    more: Sequence[BaseRouteHandler] = (),
    reached: Callable[[], Head | None] = lambda: None,
) -> Litestar:
    """The service over an index.

    Args:
        database: the index.
        feed: tells the newest block.
        chain_id: the chain served.
        more: further routes.
        reached: as for `Answerer`.
    """

    @get("/health", **described(answer=Health))
    async def health() -> Health:
        """That the service answers."""
        return Health(True, "indexer", __version__)

    @get("/status", **described(answer=Status))
    async def status() -> Status:
        """How far the index has come, and how far the chain."""
        known = reached()
        place = await database.read(lambda connection: queries.place_at(connection, known))
        newest = feed.newest
        return Status(
            ok=True,
            chain_id=chain_id,
            indexed=Block(place.number, place.hash, place.timestamp) if place else None,
            head=Block(newest.number, newest.hash, newest.timestamp) if newest else None,
            lag=max(0, newest.number - place.number) if newest and place else None,
        )

    return Litestar(
        documented("iExec index", [health, status, *more]),
        exception_handlers=EXCEPTION_HANDLERS,
        cors_config=CORSConfig(
            allow_origins=["*"],
            allow_methods=["GET", "HEAD", "POST"],
            allow_headers=["authorization", "content-type", "accept"],
        ),
        openapi_config=None,
        # The process that hosts the service decides about logs.
        logging_config=None,
    )
