"""What a client asks the book for: query parameters, read strictly, as one `Filter`.

Parameters that are not known are left alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from pyiexec.market.listing import MAX_SAFE_INTEGER, resource_name
from pyiexec.market.messages import refusal, shown
from pyiexec.market.reading import read_address, read_bytes32, read_integer
from pyiexec.protocol.primitives import NULL_ADDRESS, Address, Bytes32, checksum, is_address
from pyiexec.protocol.tags import TEE, TEE_FRAMEWORK_MASK

ANY = "any"
PAGE_SIZE, MIN_PAGE_SIZE, MAX_PAGE_SIZE = 20, 10, 1000
#: Clients that know nothing of enclaves ask for at most no tag at all, while others tag every order: the TEE bits do
#: not count against a largest tag.
LENIENT_TAG_BITS = TEE | TEE_FRAMEWORK_MASK


class Window(NamedTuple):
    """Which part of an answer is wanted.

    Attributes:
        offset: entries to skip.
        limit: entries on a page.
    """

    offset: int = 0
    limit: int = PAGE_SIZE


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """Which open orders of one kind are wanted.

    Attributes:
        equal: column to the only value it may have.
        allowed: column of a restriction to the values it may have.
        signer: who published it.
        min_tag: bits an order must have.
        max_tag: bits an order may have; None for any.
        category: time class; None for any.
        min_volume: tasks that must remain.
        min_trust: an offer must reach it.
        max_trust: a request must not ask for more.
        bulk_only: only dataset orders that one task may use any number of.
        max_price: an offer must not cost more, nRLC; None for any.
    """

    kind: str
    equal: dict[str, Address] = {}
    allowed: dict[str, tuple[Address, ...]] = {}
    signer: Address | None = None
    min_tag: int = 0
    max_tag: int | None = None
    category: int | None = None
    min_volume: int = 0
    min_trust: int = 0
    max_trust: int | None = None
    bulk_only: bool = False
    max_price: int | None = None


class DealFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which deals are wanted: values of columns by their names, and the category."""

    equal: dict[str, Address | Bytes32] = {}
    category: int | None = None


class CategoryFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which categories are wanted, by their unit of time in seconds, both bounds included."""

    min_time: int | None = None
    max_time: int | None = None


#: By kind: parties that are what the order is about, and parties it may be restricted to.
_SUBJECTS = {
    "apporder": ("app",),
    "datasetorder": ("dataset",),
    "workerpoolorder": ("workerpool",),
    "requestorder": ("app", "dataset", "requester", "beneficiary"),
}
_RESTRICTIONS = {
    "apporder": ("dataset", "workerpool", "requester"),
    "datasetorder": ("app", "workerpool", "requester"),
    "workerpoolorder": ("app", "dataset", "requester"),
    "requestorder": ("workerpool",),
}
#: Offers of these kinds are asked for by resource or owner: nobody wants the whole list.
_NAMED_ONLY = {"apporder": "app", "datasetorder": "dataset"}
#: Query parameters of deals, and the columns they are compared with.
_DEAL_ADDRESSES = {
    "requester": "requester",
    "beneficiary": "beneficiary",
    "app": "app",
    "dataset": "dataset",
    "workerpool": "workerpool",
    "appOwner": "app_owner",
    "datasetOwner": "dataset_owner",
    "workerpoolOwner": "workerpool_owner",
}
_DEAL_HASHES = {
    "apporderHash": "apporder_hash",
    "datasetorderHash": "datasetorder_hash",
    "workerpoolorderHash": "workerpoolorder_hash",
    "requestorderHash": "requestorder_hash",
}


def read_filter(kind: str, query: Mapping[str, str]) -> Filter:
    """The filter in the query parameters of a list of `kind`.

    Raises:
        IexecError: ``BAD_REQUEST`` naming the parameter.
    """
    equal = {}
    for name in _SUBJECTS[kind]:
        address = _address_or_any(query, name)
        if address is not None and address != ANY:
            equal[name] = Address(address)
    allowed = {}
    for name in _RESTRICTIONS[kind]:
        choice = _restriction(query, name)
        if choice is not None:
            allowed[name] = choice
    owner = f"{resource_name(kind)}Owner"
    signer = read_address(query[owner], owner) if kind != "requestorder" and owner in query else None
    if kind in _NAMED_ONLY and _NAMED_ONLY[kind] not in query and signer is None:
        raise refusal("named", path=_NAMED_ONLY[kind])
    timed = kind in {"workerpoolorder", "requestorder"}
    return Filter(
        kind=kind,
        equal=equal,
        allowed=allowed,
        signer=signer,
        min_tag=_tag(query, "minTag") or 0,
        max_tag=_tag(query, "maxTag"),
        category=_integer(query, "category") if timed else None,
        min_volume=_integer(query, "minVolume", low=1) or 0,
        min_trust=(_integer(query, "minTrust") or 0) if kind == "workerpoolorder" else 0,
        max_trust=_integer(query, "maxTrust") if kind == "requestorder" else None,
        bulk_only=_boolean(query, "bulkOnly") if kind == "datasetorder" else False,
    )


def read_deal_filter(query: Mapping[str, str]) -> DealFilter:
    """The filter in the query parameters of a list of deals.

    Raises:
        IexecError: ``BAD_REQUEST`` naming the parameter.
    """
    equal: dict[str, Address | Bytes32] = {
        column: read_address(query[name], name) for name, column in _DEAL_ADDRESSES.items() if name in query
    }
    equal |= {column: read_bytes32(query[name], name) for name, column in _DEAL_HASHES.items() if name in query}
    return DealFilter(equal=equal, category=_integer(query, "category"))


def read_category_filter(query: Mapping[str, str]) -> CategoryFilter:
    """The filter in the query parameters of a list of categories.

    Raises:
        IexecError: ``BAD_REQUEST`` naming the parameter.
    """
    return CategoryFilter(
        min_time=_integer(query, "minWorkClockTimeRef"), max_time=_integer(query, "maxWorkClockTimeRef")
    )


def read_window(query: Mapping[str, str]) -> Window:
    """The page wanted. `page`, despite its name, is the number of entries to skip.

    Raises:
        IexecError: ``BAD_REQUEST`` naming the parameter.
    """
    size = _integer(query, "pageSize", low=MIN_PAGE_SIZE, high=MAX_PAGE_SIZE)
    index = _integer(query, "pageIndex", high=MAX_SAFE_INTEGER // MAX_PAGE_SIZE)
    skipped = _integer(query, "page")
    if size is None and index is None:
        return Window(skipped or 0)
    size = size or PAGE_SIZE
    return Window((index or 0) * size, size)


def read_chain(query: Mapping[str, str], served: int) -> str:
    """The chain asked for, as it was written.

    Raises:
        IexecError: ``BAD_REQUEST``.
    """
    if "chainId" not in query:
        raise refusal("required", path="chainId")
    text = query["chainId"]
    if text != str(served):
        raise refusal("chain", value=text[:40])
    return text


def _address_or_any(query: Mapping[str, str], name: str) -> str | None:
    text = query.get(name)
    if text is None or text == ANY:
        return text
    if not is_address(text):
        raise refusal("address or any", path=name)
    return checksum(text.lower())


def _restriction(query: Mapping[str, str], name: str) -> tuple[Address, ...] | None:
    """Values a restriction may have: public orders only unless a party is named; None for every value."""
    strict = _boolean(query, f"is{name.capitalize()}Strict")
    address = _address_or_any(query, name)
    if address is None:
        return (NULL_ADDRESS,)
    if address == ANY:
        return None
    return (Address(address),) if strict else (NULL_ADDRESS, Address(address))


def _tag(query: Mapping[str, str], name: str) -> int | None:
    return int(read_bytes32(query[name], name), 16) if name in query else None


def _boolean(query: Mapping[str, str], name: str) -> bool:
    text = query.get(name, "false")
    if text not in ("true", "false"):
        raise refusal("boolean", path=name, value=shown(text))
    return text == "true"


def _integer(query: Mapping[str, str], name: str, *, low: int = 0, high: int = MAX_SAFE_INTEGER) -> int | None:
    return read_integer(query[name], name, low=low, high=high) if name in query else None
