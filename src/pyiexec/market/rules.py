"""The decisions of the order book about orders: may this be published, whom does it serve, is it wanted.

Source: PoCo `matchOrders`; the publication rules of the iExec marketplace, in their order.
"""

from __future__ import annotations

import msgspec

from pyiexec.market.filters import LENIENT_TAG_BITS, Filter
from pyiexec.market.listing import LIVE, Listing, Status, is_bulk, parties, ranking_price, task_stake
from pyiexec.market.messages import refusal
from pyiexec.protocol.orders import DatasetOrder, Order, RequestOrder, WorkerpoolOrder, kind_of
from pyiexec.protocol.primitives import NULL_ADDRESS, Address
from pyiexec.protocol.tags import TEE


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What has to be known of an order that somebody wants published.

    Attributes:
        caller: who asks, authenticated.
        registered: whether the resource sold is in its registry; True for requests.
        owner: who may sign the order; None when the resource says nobody.
        signed: whether the caller did, by signature or by transaction.
        by_transaction: whether it was by a transaction.
        consumed: tasks of it already used up on chain.
        stake: free nRLC of the caller in the hub; None where none is needed.
        block: number of the block as of which all this is so.
    """

    caller: Address
    registered: bool
    owner: Address | None
    signed: bool
    by_transaction: bool = False
    consumed: int
    stake: int | None
    block: int = 0


class Book(msgspec.Struct, frozen=True, kw_only=True):
    """What the book holds that bears on a publication.

    Attributes:
        status: of the order of that hash; None when it was never here.
        live_orders: orders of the kind and signer that are in the book.
        app_price: lowest price, nRLC, of the open app orders that serve a request; None when there are none.
        dataset_price: likewise of its dataset.
    """

    status: Status | None = None
    live_orders: int
    app_price: int | None = None
    dataset_price: int | None = None


def check_unpublished(status: Status | None) -> None:
    """Refuse what is in the book already; asked before the chain is.

    Raises:
        IexecError: ``ORDER_PUBLISHED``.
    """
    if status not in (None, Status.SUSPENDED, Status.UNPUBLISHED):
        raise refusal("published")


def check_publication(order: Order, facts: Facts, book: Book, quota: int) -> None:
    """Refuse an order that may not be published, for the first reason in the order clients rely on.

    Raises:
        IexecError: ``ORDER_PUBLISHED``, ``RESOURCE_NOT_DEPLOYED``, ``ORDER_SIGNER_WRONG``, ``ORDER_SIGN_INVALID``,
            ``ORDER_QUOTA``, ``ORDER_CONSUMED``, ``ORDER_STAKE_TOO_LOW``, ``ORDER_UNSERVED``.
    """
    check_unpublished(book.status)
    if not facts.registered:
        raise refusal("not deployed")
    if facts.owner != facts.caller:
        raise refusal("publisher", signer=facts.owner or NULL_ADDRESS)
    if not facts.signed:
        raise refusal("sign")
    # An order that comes back from suspension has its place already.
    if book.live_orders - (book.status in LIVE) >= quota:
        raise refusal("quota", quota=quota, kind=kind_of(order), signer=facts.caller)
    remaining = order.volume - facts.consumed
    if remaining <= 0:
        raise refusal("consumed")
    cost, stake = task_stake(order) * remaining, facts.stake or 0
    if isinstance(order, WorkerpoolOrder) and stake < cost:
        raise refusal("pool stake")
    if isinstance(order, RequestOrder):
        if stake < cost:
            raise refusal("requester stake", cost=cost)
        _check_served(order, book)


def _check_served(order: RequestOrder, book: Book) -> None:
    if book.app_price is None:
        raise refusal("no tee apporder" if int(order.tag, 16) & TEE else "no apporder", resource=order.app)
    if book.app_price > order.appmaxprice:
        raise refusal("max price", name="app", resource=order.app, price=book.app_price)
    if order.dataset == NULL_ADDRESS:
        return
    if book.dataset_price is None:
        raise refusal("no datasetorder", resource=order.dataset)
    if book.dataset_price > order.datasetmaxprice:
        raise refusal("max price", name="dataset", resource=order.dataset, price=book.dataset_price)


def serving(kind: str, request: dict[str, Address], *, tee: bool, max_price: int | None = None) -> Filter:
    """The open app or dataset orders that would serve a request.

    Args:
        kind: ``apporder`` or ``datasetorder``.
        request: the parties of the request, by name.
        tee: whether it asks for an enclave.
        max_price: only offers up to this price, nRLC.
    """
    resource = kind.removesuffix("order")
    return Filter(
        kind=kind,
        equal={resource: request[resource]},
        allowed={name: (NULL_ADDRESS, address) for name, address in request.items() if name != resource},
        min_tag=TEE if tee and kind == "apporder" else 0,
        max_price=max_price,
    )


def wanted(listing: Listing, query: Filter) -> bool:
    """Whether a listing belongs to the answer of a query; what the database is asked says the same."""
    order = listing.order
    columns: dict[str, Address] = parties(order)
    if isinstance(order, RequestOrder):
        columns["beneficiary"] = order.beneficiary
    tag = int(order.tag, 16)
    timed = isinstance(order, (WorkerpoolOrder, RequestOrder))
    category = order.category if timed else None  # type: ignore[union-attr]
    trust = order.trust if timed else 0  # type: ignore[union-attr]
    return (
        listing.status is Status.OPEN
        and listing.kind == query.kind
        and all(columns[name] == address for name, address in query.equal.items())
        and all(columns[name] in addresses for name, addresses in query.allowed.items())
        and query.signer in (None, listing.signer)
        and tag & query.min_tag == query.min_tag
        and (query.max_tag is None or not tag & ~(query.max_tag | LENIENT_TAG_BITS))
        and query.category in (None, category)
        and listing.remaining >= query.min_volume
        and (query.min_trust <= 1 or trust >= query.min_trust)
        and (query.max_trust is None or trust <= query.max_trust)
        and (not query.bulk_only or (isinstance(order, DatasetOrder) and is_bulk(order)))
        and (query.max_price is None or ranking_price(order) <= query.max_price)
    )
