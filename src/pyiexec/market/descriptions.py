"""What the routes take and answer, for the service's OpenAPI document."""

from __future__ import annotations

from typing import Any

import msgspec

from pyiexec.foundation.openapi import Parameter
from pyiexec.market.bodies import TARGETS
from pyiexec.market.filters import MAX_PAGE_SIZE, MIN_PAGE_SIZE
from pyiexec.market.listing import MAX_SAFE_INTEGER, resource_name
from pyiexec.protocol.orders import ORDER_KINDS

ADDRESS = {"type": "string", "pattern": "^0x[0-9a-fA-F]{40}$"}
BYTES32 = {"type": "string", "pattern": "^0x[0-9a-fA-F]{64}$"}
_ADDRESS_OR_ANY = {"type": "string", "pattern": "^(any|0x[0-9a-fA-F]{40})$"}
_FLAG = {"type": "string", "enum": ["true", "false"]}
_FIELD_SCHEMAS: dict[str, dict[str, Any]] = {
    "Address": ADDRESS,
    "Bytes32": BYTES32,
    "int": {"type": "integer", "minimum": 0, "maximum": MAX_SAFE_INTEGER},
    "str": {"type": "string"},
}


def _number(low: int = 0, high: int = MAX_SAFE_INTEGER) -> dict[str, Any]:
    return {"type": "integer", "minimum": low, "maximum": high}


CHAIN = (Parameter("chainId", str, "the chain served", required=True),)
CHAIN_FOR_JSON = (Parameter("chainId", str, "the chain served; Prometheus need not name it"),)
CHALLENGE = (*CHAIN, Parameter("address", ADDRESS, "who is going to sign", required=True))
LOGIN = (
    *CHAIN,
    Parameter("authorization", str, "challenge's digest, signature and address, joined by _", place="header"),
)
_PAGE = (
    Parameter("pageIndex", _number(0, MAX_SAFE_INTEGER // MAX_PAGE_SIZE), "number of the page, from 0"),
    Parameter("pageSize", _number(MIN_PAGE_SIZE, MAX_PAGE_SIZE), "entries on a page, 20 if not given"),
    Parameter("page", _number(), "entries to skip; use pageIndex"),
)
ORDER_HASH = (*CHAIN, Parameter("order_hash", BYTES32, "hash of the order", place="path"))
DEAL_ID = (*CHAIN, Parameter("dealid", BYTES32, "id of the deal", place="path"))
CATEGORY_ID = (*CHAIN, Parameter("catid", _number(), "number of the category", place="path"))
TRADES = (*CHAIN, Parameter("category", _number(), "number of the category", required=True))
CATEGORY_FILTERS = (
    *CHAIN,
    Parameter("minWorkClockTimeRef", _number(), "seconds, at least"),
    Parameter("maxWorkClockTimeRef", _number(), "seconds, at most"),
    *_PAGE,
)
DEAL_FILTERS = (
    *CHAIN,
    Parameter("category", _number(), "number of the category"),
    *(
        Parameter(name, ADDRESS, "party of the deal, or owner at the match")
        for name in (
            *("requester", "beneficiary", "app", "dataset", "workerpool"),
            *("appOwner", "datasetOwner", "workerpoolOwner"),
        )
    ),
    *(Parameter(f"{kind}Hash", BYTES32, "order that was matched") for kind in ORDER_KINDS),
    *_PAGE,
)


def order_filters(kind: str) -> tuple[Parameter, ...]:
    """Parameters of a list of orders."""
    found = list(CHAIN)
    resource = resource_name(kind)
    parties = ("app", "dataset", "workerpool", "requester")
    if kind == "requestorder":
        subjects: tuple[str, ...] = ("app", "dataset", "requester", "beneficiary")
    else:
        subjects = (resource,)
        found.append(Parameter(f"{resource}Owner", ADDRESS, "who sells; does not take any"))
    found += [Parameter(name, _ADDRESS_OR_ANY, "what the order is about") for name in subjects]
    for name in parties:
        if name not in subjects:
            text = "for whom the order is: absent, only orders for everybody; any, all of them"
            found.append(Parameter(name, _ADDRESS_OR_ANY, text))
            found.append(Parameter(f"is{name.capitalize()}Strict", _FLAG, f"only orders for this {name} alone"))
    found += [
        Parameter("minTag", BYTES32, "bits an order must have"),
        Parameter("maxTag", BYTES32, "bits an order may have, those of enclaves aside"),
        Parameter("minVolume", _number(1), "tasks that remain, at least"),
    ]
    if kind in ("workerpoolorder", "requestorder"):
        found.append(Parameter("category", _number(), "number of the category"))
    if kind == "workerpoolorder":
        found.append(Parameter("minTrust", _number(), "trust, at least"))
    if kind == "requestorder":
        found.append(Parameter("maxTrust", _number(), "trust, at most"))
    if kind == "datasetorder":
        found.append(Parameter("bulkOnly", _FLAG, "only those that a task may use any number of"))
    return (*found, *_PAGE)


def publication_body(kind: str) -> dict[str, Any]:
    """JSON schema of a publication."""
    hints = ORDER_KINDS[kind].__annotations__
    fields = {name: _FIELD_SCHEMAS[hint] for name, hint in hints.items()}
    fields["volume"] = _number(1)
    fields["sign"] = {"type": "string", "pattern": "^0x([0-9a-fA-F]{2})*$"}
    order = {"type": "object", "properties": fields, "required": [name for name in fields if name != "params"]}
    return {"type": "object", "properties": {"order": order}, "required": ["order"]}


def withdrawal_body(kind: str) -> dict[str, Any]:
    """JSON schema of a withdrawal."""
    resource = resource_name(kind)
    one = {
        "type": "object",
        "properties": {"target": {"const": TARGETS[0]}, "orderHash": BYTES32},
        "required": ["orderHash"],
    }
    several = {
        "type": "object",
        "properties": {"target": {"enum": list(TARGETS[1:])}, resource: ADDRESS},
        "required": ["target", resource],
    }
    return {"oneOf": [one, several]}


class ListedOrder(msgspec.Struct, rename="camel"):
    """An order in the book.

    Attributes:
        remaining: tasks that can still be matched.
        fillable: of these, tasks that the signer's stake suffices for.
        status: ``open``, ``filled``, ``canceled`` or ``dead``.
        reason: why it is dead.
        since: since when.
        bulk: whether one task may use any number of such dataset orders.
    """

    order_hash: str
    order: dict[str, Any]
    chain_id: int
    remaining: int
    fillable: int
    status: str
    signer: str
    publication_timestamp: str
    bulk: bool | None = None
    reason: str | None = None
    since: str | None = None


class OrderPage(msgspec.Struct, rename="camel"):
    """Open orders."""

    ok: bool
    count: int
    orders: list[ListedOrder]
    next_page: int | None = None


class SingleOrder(msgspec.Struct, rename="camel"):
    """One order; its chain is text."""

    ok: bool
    order_hash: str
    order: dict[str, Any]
    chain_id: str
    remaining: int
    fillable: int
    status: str
    signer: str
    publication_timestamp: str
    bulk: bool | None = None
    reason: str | None = None
    since: str | None = None


class Published(msgspec.Struct):
    """The order as it is listed."""

    ok: bool
    published: ListedOrder


class Unpublished(msgspec.Struct):
    """Hashes of the orders that left."""

    ok: bool
    unpublished: list[str]


class ChallengeAnswer(msgspec.Struct):
    """Typed data (EIP-712) to be signed."""

    ok: bool
    data: dict[str, Any]


class Version(msgspec.Struct):
    """The version that answers."""

    ok: bool
    version: str


class Health(msgspec.Struct):
    """That the service answers."""

    ok: bool
    service: str
    version: str


class NodeState(msgspec.Struct, rename="camel"):
    """The node as this process sees it.

    Attributes:
        head: number of the newest block it told of.
        lag_blocks: of these, not yet processed; null in a process that does not follow the chain.
        lag_seconds: age of what was not yet processed.
    """

    connected: bool
    head: int | None
    lag_blocks: int | None
    lag_seconds: int | None


class Metrics(msgspec.Struct, rename="camel"):
    """Open orders of each kind, and the last block that was processed.

    Attributes:
        checkpoint_block: where the book would go on after a restart.
        statuses: orders of each kind by status.
    """

    ok: bool
    last_block: int
    checkpoint_block: int
    apporders: int
    datasetorders: int
    workerpoolorders: int
    requestorders: int
    statuses: dict[str, dict[str, int]]
    node: NodeState


class ListedCategory(msgspec.Struct, rename="camel"):
    """A category of tasks."""

    catid: int
    chain_id: int
    name: str
    description: str
    work_clock_time_ref: int
    transaction_hash: str
    block_number: int
    block_timestamp: str


class CategoryPage(msgspec.Struct, rename="camel"):
    """Categories."""

    ok: bool
    count: int
    categories: list[ListedCategory]
    next_page: int | None = None


class SingleCategory(msgspec.Struct, rename="camel"):
    """One category; its chain is text."""

    ok: bool
    catid: int
    chain_id: str
    name: str
    description: str
    work_clock_time_ref: int
    transaction_hash: str
    block_number: int
    block_timestamp: str


class DealPage(msgspec.Struct, rename="camel"):
    """Deals."""

    ok: bool
    count: int
    deals: list[dict[str, Any]]
    next_page: int | None = None


class SingleDeal(msgspec.Struct, rename="camel"):
    """One deal; its chain is text."""

    ok: bool
    dealid: str
    chain_id: str
    requester: str
    volume: int
    block_number: int


class Trades(msgspec.Struct):
    """Time, price of computing (nRLC) and number of tasks of each trade, newest first."""

    ok: bool
    ohlc: list[list[str | int]]
