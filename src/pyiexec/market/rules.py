"""The decisions of the order book, as functions of what is known: may this be published, what is left, is it wanted.

Source: PoCo `matchOrders`; the publication rules of the iExec marketplace, in their order.
"""

from __future__ import annotations

import msgspec

from pyiexec.market.filters import LENIENT_TAG_BITS, Filter
from pyiexec.market.listing import MAX_SAFE_INTEGER, Listing, Status, is_bulk, parties
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.money import scheduler_stake
from pyiexec.protocol.orders import DatasetOrder, Order, RequestOrder, WorkerpoolOrder, kind_of, order_to_json
from pyiexec.protocol.primitives import NULL_ADDRESS, Address
from pyiexec.protocol.tags import TEE


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What has to be known of an order that somebody wants published.

    Attributes:
        caller: who asks, authenticated.
        registered: whether the resource sold is in its registry; True for requests.
        owner: who may sign the order.
        signed: whether `owner` did, by signature or by transaction.
        consumed: tasks of it already used up on chain.
        stake: free nRLC of the signer in the hub; looked at for workerpool orders and requests.
    """

    caller: Address
    registered: bool
    owner: Address
    signed: bool
    consumed: int
    stake: int


class Book(msgspec.Struct, frozen=True, kw_only=True):
    """What the book holds that bears on a publication.

    Attributes:
        published: an order of that hash is in the book, and not dead.
        open_orders: open orders of the kind and signer.
        app_price: lowest price, nRLC, of the open app orders that serve a request; None when there are none.
        dataset_price: likewise of its dataset.
    """

    published: bool
    open_orders: int
    app_price: int | None = None
    dataset_price: int | None = None


def check_form(order: Order) -> None:
    """Refuse an order that clients could not represent.

    Raises:
        IexecError: ``BAD_ORDER`` naming the field.
    """
    for name, value in order_to_json(order).items():
        if isinstance(value, int):
            if value > MAX_SAFE_INTEGER:
                raise IexecError("BAD_ORDER", f"order.{name} must be less than or equal to {MAX_SAFE_INTEGER}")
            if name == "volume" and value < 1:
                raise IexecError("BAD_ORDER", "order.volume must be greater than or equal to 1")


def check_unpublished(book: Book) -> None:
    """Refuse what is in the book already; asked before the chain is.

    Raises:
        IexecError: ``ORDER_PUBLISHED``.
    """
    if book.published:
        raise IexecError("ORDER_PUBLISHED", "order already published")


def check_publication(order: Order, facts: Facts, book: Book, quota: int) -> None:
    """Refuse an order that may not be published, for the first reason in the order clients rely on.

    Raises:
        IexecError: ``ORDER_PUBLISHED``, ``RESOURCE_NOT_DEPLOYED``, ``ORDER_SIGNER_WRONG``, ``ORDER_SIGN_INVALID``,
            ``ORDER_QUOTA``, ``ORDER_CONSUMED``, ``ORDER_STAKE_TOO_LOW``, ``ORDER_UNSERVED``.
    """
    check_unpublished(book)
    if not facts.registered:
        raise IexecError("RESOURCE_NOT_DEPLOYED", "Resource not deployed")
    if facts.owner != facts.caller:
        raise IexecError("ORDER_SIGNER_WRONG", f"only order signer {facts.owner} can publish an order")
    if not facts.signed:
        raise IexecError("ORDER_SIGN_INVALID", "invalid sign")
    check_quota(order, facts.owner, book, quota)
    remaining = order.volume - facts.consumed
    if remaining <= 0:
        raise IexecError("ORDER_CONSUMED", "order already consumed")
    if isinstance(order, WorkerpoolOrder) and facts.stake < scheduler_stake(order.workerpoolprice) * remaining:
        raise IexecError("ORDER_STAKE_TOO_LOW", "workerpool owner's stake is too low to cover required workerpool lock")
    if isinstance(order, RequestOrder):
        _check_request(order, facts, book, remaining)


def check_quota(order: Order, signer: Address, book: Book, quota: int) -> None:
    """Refuse one order too many of a signer.

    Raises:
        IexecError: ``ORDER_QUOTA``.
    """
    if book.open_orders >= quota:
        message = f"maximum of {quota} published open {kind_of(order)} has been reached for wallet {signer}"
        raise IexecError("ORDER_QUOTA", message)


def _check_request(order: RequestOrder, facts: Facts, book: Book, remaining: int) -> None:
    cost = (order.appmaxprice + order.datasetmaxprice + order.workerpoolmaxprice) * remaining
    if facts.stake < cost:
        raise IexecError(
            "ORDER_STAKE_TOO_LOW",
            f"requester stake is too low to cover requestorder payment, minimum stake required is {cost} nRLC",
        )
    if book.app_price is None:
        wanted = "tee enabled apporder" if int(order.tag, 16) & TEE else "apporder"
        raise IexecError("ORDER_UNSERVED", f"No {wanted} published for app {order.app}")
    if book.app_price > order.appmaxprice:
        raise _too_low("app", order.app, book.app_price)
    if order.dataset == NULL_ADDRESS:
        return
    if book.dataset_price is None:
        raise IexecError("ORDER_UNSERVED", f"No datasetorder published for dataset {order.dataset}")
    if book.dataset_price > order.datasetmaxprice:
        raise _too_low("dataset", order.dataset, book.dataset_price)


def _too_low(name: str, resource: Address, price: int) -> IexecError:
    message = f"{name}maxprice for {name} {resource} is too low, actual best price is {price} nRLC"
    return IexecError("ORDER_UNSERVED", message)


def serving(order: RequestOrder, kind: str) -> Filter:
    """The open app or dataset orders that would serve a request."""
    resource = kind.removesuffix("order")
    choices: dict[str, tuple[Address, ...]] = {
        name: (NULL_ADDRESS, address) for name, address in parties(order).items() if name != resource
    }
    return Filter(
        kind=kind,
        equal={resource: parties(order)[resource]},
        allowed=choices,
        min_tag=int(order.tag, 16) & TEE if kind == "apporder" else 0,
    )


class Standing(msgspec.Struct, frozen=True):
    """Where an order stands after what the chain did."""

    status: Status
    remaining: int


def standing(status: Status, volume: int, consumed: int, closed: bool) -> Standing:
    """Status and remaining volume of an order whose status was `status` before.

    An order that the chain had filled or closed opens again when the chain takes that back.
    """
    if closed:
        return Standing(Status.CANCELED, 0)
    remaining = max(0, volume - consumed)
    if remaining == 0:
        return Standing(Status.FILLED, 0)
    if status in (Status.FILLED, Status.CANCELED):
        status = Status.OPEN
    return Standing(status, remaining)


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
    )
