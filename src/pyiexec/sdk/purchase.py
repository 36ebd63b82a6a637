"""Buying computation: find the best offers, show the exact price, and make the deals."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from pyiexec.foundation.logs import get_logger, traced
from pyiexec.protocol.deadlines import FINAL_DEADLINE_RATIO
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.ids import deal_id
from pyiexec.protocol.matching import explain_mismatch
from pyiexec.protocol.orders import NO_DATASET, AppOrder, RequestOrder, WorkerpoolOrder
from pyiexec.protocol.params import DealParams, format_params
from pyiexec.protocol.primitives import NULL_ADDRESS, NULL_BYTES32, Address, Bytes32, DealId
from pyiexec.protocol.tags import combine_tags
from pyiexec.protocol.traces import trace_of
from pyiexec.protocol.units import format_rlc
from pyiexec.sdk.accounts import Accounts
from pyiexec.sdk.connection import Connection
from pyiexec.sdk.orders import Match, Orders

log = get_logger(__name__)


class Share(msgspec.Struct, frozen=True):
    """The part of a purchase that one pool's order serves; prices per task, nRLC."""

    app_order: AppOrder
    workerpool_order: WorkerpoolOrder
    volume: int

    @property
    def task_price(self) -> int:
        """What one task costs the requester."""
        return self.app_order.appprice + self.workerpool_order.workerpoolprice


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """An offer for the whole of a request, at its exact price.

    Attributes:
        shares: which orders serve how many tasks, cheapest first.
        final_seconds: time after the match until unfinished tasks can be claimed back.
    """

    app: Address
    volume: int
    category: int
    trust: int
    tag: Bytes32
    shares: tuple[Share, ...]
    final_seconds: int

    @property
    def total(self) -> int:
        """What the whole purchase costs, nRLC."""
        return sum(share.task_price * share.volume for share in self.shares)


def _fill(offers: Sequence[Share], volume: int) -> list[Share]:
    """The first offers that together serve `volume` tasks, or all of them when they do not."""
    taken: list[Share] = []
    missing = volume
    for offer in offers:
        if not missing:
            break
        taken.append(msgspec.structs.replace(offer, volume=min(missing, offer.volume)))
        missing -= taken[-1].volume
    return taken


class Purchases:
    """Quotes and deals for the user as requester."""

    def __init__(self, connection: Connection) -> None:
        self._at = connection
        self._orders = Orders(connection)
        self._accounts = Accounts(connection)

    async def quote(
        self,
        app: Address,
        *,
        volume: int = 1,
        category: int | None = None,
        trust: int = 1,
        tag: Bytes32 = NULL_BYTES32,
        workerpool: Address | None = None,
    ) -> Quote:
        """The cheapest published orders that serve the request whole.

        Args:
            app: the application.
            volume: number of tasks.
            category: class of tasks by duration; None takes the one in which the whole costs least.
            trust: wrong results are at most one in `trust`; 0 and 1 take a single worker's word.
            tag: what the tasks need of a worker.
            workerpool: this pool only; any when None.

        Raises:
            IexecError: ``APP_UNKNOWN``, ``APP_ORDER_MISSING``, ``WORKERPOOL_ORDER_MISSING``.
        """
        app_order = await self._app_order(app, volume, workerpool, tag)
        needed = combine_tags(app_order.tag, NULL_BYTES32, tag)
        offers = await self._at.orderbook.orders(
            "workerpoolorder",
            category=category,
            minTrust=trust,
            minTag=needed,
            workerpool=workerpool,
            app=app,
            requester=self._at.address,
        )
        fitting: dict[int, list[Share]] = {}
        for offer in offers:
            order = offer.order
            assert isinstance(order, WorkerpoolOrder), "the order book was asked for workerpool orders"
            if explain_mismatch(app_order, NO_DATASET, order, self._probe(app_order, order, trust, tag)):
                continue
            fitting.setdefault(order.category, []).append(Share(app_order, order, offer.remaining))
        filled = {number: _fill(shares, volume) for number, shares in fitting.items()}
        whole = {number: shares for number, shares in filled.items() if sum(s.volume for s in shares) == volume}
        if not whole:
            most = max((sum(share.volume for share in shares) for shares in filled.values()), default=0)
            found = f"only {most} of {volume} tasks" if most else "no tasks"
            raise IexecError("WORKERPOOL_ORDER_MISSING", f"the published pools offer {found} at trust {trust}")
        chosen, shares = min(whole.items(), key=lambda item: sum(s.task_price * s.volume for s in item[1]))
        timeref = (await self._at.hub.category(chosen)).work_clock_time_ref
        return Quote(
            app=app,
            volume=volume,
            category=chosen,
            trust=trust,
            tag=tag,
            shares=tuple(shares),
            final_seconds=FINAL_DEADLINE_RATIO * timeref,
        )

    async def _app_order(self, app: Address, volume: int, workerpool: Address | None, tag: Bytes32) -> AppOrder:
        offers = await self._at.orderbook.orders(
            "apporder", app=app, minVolume=volume, requester=self._at.address, workerpool=workerpool or "any"
        )
        for offer in offers:
            assert isinstance(offer.order, AppOrder), "the order book was asked for app orders"
            if offer.order.datasetrestrict == NULL_ADDRESS:
                return offer.order
        from pyiexec.sdk.assets import Apps

        await Apps(self._at).show(app)
        raise IexecError("APP_ORDER_MISSING", f"the owner of {app} has published no order for {volume} tasks")

    def _probe(self, app: AppOrder, pool: WorkerpoolOrder, trust: int, tag: Bytes32) -> RequestOrder:
        """The request that these two would have to serve."""
        return RequestOrder(
            app=app.app,
            appmaxprice=app.appprice,
            workerpool=pool.workerpool,
            workerpoolmaxprice=pool.workerpoolprice,
            requester=self._at.address,
            tag=tag,
            category=pool.category,
            trust=trust,
        )

    def check_price(self, quote: Quote, max_price: int | None) -> None:
        """Refuse a quote above `max_price` nRLC for the whole purchase; None is no limit.

        Raises:
            IexecError: ``PRICE_TOO_LOW``.
        """
        if max_price is not None and quote.total > max_price:
            raise IexecError(
                "PRICE_TOO_LOW", f"the cheapest offers cost {format_rlc(quote.total)}, above {format_rlc(max_price)}"
            )

    async def buy(
        self,
        quote: Quote,
        params: DealParams,
        *,
        max_price: int | None = None,
        announce: Callable[[DealId], None] = lambda _deal: None,
    ) -> Sequence[Match]:
        """Sign a request order and match it with every share of the quote: the price is locked from the user's stake.

        Nothing is signed before the whole price is known to be within `max_price` and covered by the stake.

        Args:
            announce: told the id of each deal before it is made: whoever is interrupted knows where to look.

        Raises:
            IexecError: ``PRICE_TOO_LOW``, ``STAKE_TOO_LOW``, ``CONTRACT_REVERTED``; ``ORDER_CONSUMED`` when somebody
                was faster. Deals made before a later one failed stand, and are named in ``details["deals"]``.
        """
        self.check_price(quote, max_price)
        balance = await self._accounts.show()
        if balance.stake < quote.total:
            missing = format_rlc(quote.total - balance.stake)
            raise IexecError(
                "STAKE_TOO_LOW",
                f"the price is {format_rlc(quote.total)}, the free stake {format_rlc(balance.stake)}",
                remedy=f"Deposit at least {missing}: `pyiexec account deposit '{missing}'`.",
            )
        pools = {share.workerpool_order.workerpool for share in quote.shares}
        request = self._orders.sign(
            RequestOrder(
                app=quote.app,
                appmaxprice=max(share.app_order.appprice for share in quote.shares),
                # Several pools serve one request, so that its tasks are numbered through.
                workerpool=pools.pop() if len(pools) == 1 else NULL_ADDRESS,
                workerpoolmaxprice=max(share.workerpool_order.workerpoolprice for share in quote.shares),
                requester=self._at.address,
                beneficiary=self._at.address,
                volume=quote.volume,
                tag=quote.tag,
                category=quote.category,
                trust=quote.trust,
                params=format_params(params),
            )
        )
        # Started before there is a trace, which all that runs in the background would go on with.
        await self._at.transactions()
        matches: list[Match] = []
        for share in quote.shares:
            bought = sum(match.volume for match in matches)
            if bought >= quote.volume:
                break
            deal = deal_id(self._orders.hash(request), bought)
            announce(deal)
            try:
                with traced(trace_of(deal)):
                    log.info("buying", deal=deal, tasks=share.volume)
                    matches.append(
                        await self._orders.match(share.app_order, NO_DATASET, share.workerpool_order, request)
                    )
            except IexecError as error:
                if not matches:
                    raise
                deals = [match.deal_id for match in matches]
                raise IexecError(
                    error.code,
                    f"only {bought} of {quote.volume} tasks were bought: {error.what}",
                    remedy=f"{error.remedy} These deals stand: {', '.join(deals)}.",
                    deals=deals,
                ) from error
        return matches
