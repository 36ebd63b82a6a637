"""HTTP routes of a keeper."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from litestar import Litestar, get
from litestar.handlers import BaseRouteHandler

from pyiexec import __version__
from pyiexec.chain.heads import HeadFeed
from pyiexec.foundation.http import EXCEPTION_HANDLERS
from pyiexec.foundation.openapi import described, documented
from pyiexec.keeper.keeping import Keeper
from pyiexec.protocol.primitives import Address


class Trouble(msgspec.Struct, frozen=True):
    """Why the last attempt at something failed."""

    code: str
    what: str
    remedy: str


class Health(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How a keeper is.

    Attributes:
        ok: whether nothing keeps it from its work.
        account: which pays the gas.
        leading: whether this process works, or waits for the one that does.
        open_deals: deals looked after that may still hold money.
        stuck_deals: those of them with tasks that could not be claimed; they are tried again.
        claimed: tasks claimed by this process since its start.
        block: the newest block seen; null before the first.
    """

    ok: bool
    service: str
    version: str
    account: Address
    hub: Address
    chain_id: int
    leading: bool
    open_deals: int
    stuck_deals: int
    claimed: int
    block: int | None
    trouble: Trouble | None


def create_app(
    keeper: Keeper,
    feed: HeadFeed,
    *,
    account: Address,
    hub: Address,
    chain_id: int,
    more: Sequence[BaseRouteHandler] = (),
) -> Litestar:
    """The routes over a keeper, and further ones."""

    @get("/health", **described(answer=Health, refusals=(503,)))
    async def health() -> Health:
        """How the keeper is, and what it has done."""
        trouble = keeper.trouble
        return Health(
            ok=trouble is None,
            service="keeper",
            version=__version__,
            account=account,
            hub=hub,
            chain_id=chain_id,
            leading=keeper.leading,
            open_deals=await keeper.open_deals(),
            stuck_deals=len(keeper.stuck),
            claimed=keeper.claimed,
            block=feed.newest.number if feed.newest else None,
            trouble=Trouble(trouble.code, trouble.what, trouble.remedy) if trouble else None,
        )

    return Litestar(
        documented("pyiexec keeper", [health, *more]),
        exception_handlers=EXCEPTION_HANDLERS,
        openapi_config=None,
        # The process that hosts the service decides about logs.
        logging_config=None,
    )
