"""What a client asks the book for: query parameters, read strictly, as one `Filter`.

Messages are those clients of the network already know.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from pyiexec.market.listing import MAX_SAFE_INTEGER
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import NULL_ADDRESS, Address, Bytes32, bytes32, checksum, is_address
from pyiexec.protocol.tags import TEE, TEE_FRAMEWORK_MASK

ANY = "any"
PAGE_SIZE, MIN_PAGE_SIZE, MAX_PAGE_SIZE = 20, 10, 1000
#: Clients that know nothing of enclaves ask for at most no tag at all, while others tag every order: the TEE bits do
#: not count against a largest tag.
LENIENT_TAG_BITS = TEE | TEE_FRAMEWORK_MASK

_INTEGER = re.compile(r"-?[0-9]{1,16}", re.ASCII)


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
        offset: listings to skip.
        limit: listings on a page.
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
    offset: int = 0
    limit: int = PAGE_SIZE


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


def read_filter(kind: str, query: Mapping[str, str]) -> Filter:
    """The filter in the query parameters of a list of `kind`; parameters it does not know are left alone.

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
    resource = kind.removesuffix("order")
    signer = read_address(query, f"{resource}Owner") if kind != "requestorder" else None
    if kind in _NAMED_ONLY and resource not in query and signer is None:
        raise _bad(f"{resource} or {resource}Owner is required")
    timed = kind in {"workerpoolorder", "requestorder"}
    offset, limit = _page(query)
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
        offset=offset,
        limit=limit,
    )


def read_chain(query: Mapping[str, str], served: int) -> str:
    """The chain asked for, as it was written.

    Raises:
        IexecError: ``BAD_REQUEST``.
    """
    if "chainId" not in query:
        raise _bad("chainId is a required field")
    text = query["chainId"]
    if not _INTEGER.fullmatch(text) or int(text) != served:
        raise _bad(f"chainId {text[:40]} is not supported")
    return text


def read_address(query: Mapping[str, str], name: str) -> Address | None:
    """An address among the parameters, in any case; None when absent.

    Raises:
        IexecError: ``BAD_REQUEST``.
    """
    if name not in query:
        return None
    if not is_address(query[name]):
        raise _bad(f"{name} is not a valid ethereum address")
    return checksum(query[name].lower())


def read_bytes32(text: str, name: str) -> Bytes32:
    """A 32-byte value in any case.

    Raises:
        IexecError: ``BAD_REQUEST``.
    """
    try:
        return bytes32(text)
    except IexecError:
        raise _bad(f"{name} must be a bytes32 hexstring") from None


def _address_or_any(query: Mapping[str, str], name: str) -> str | None:
    text = query.get(name)
    if text is None or text == ANY:
        return text
    if not is_address(text):
        raise _bad(f'{name} is neither "any" nor a valid ethereum address')
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
        raise _bad(f'{name} must be a `boolean` type, but the final value was: `"{text[:40]}"`.')
    return text == "true"


def _integer(
    query: Mapping[str, str], name: str, *, low: int = 0, high: int = MAX_SAFE_INTEGER, default: int | None = None
) -> int | None:
    if name not in query:
        return default
    text = query[name].strip()
    if not _INTEGER.fullmatch(text):
        raise _bad(f"{name} must be an integer from {low} to {high}")
    value = int(text)
    if value < low:
        raise _bad(f"{name} must be greater than or equal to {low}")
    if value > high:
        raise _bad(f"{name} must be less than or equal to {high}")
    return value


def _page(query: Mapping[str, str]) -> tuple[int, int]:
    """Listings to skip and to return. `page`, despite its name, is the number to skip."""
    size = _integer(query, "pageSize", low=MIN_PAGE_SIZE, high=MAX_PAGE_SIZE)
    index = _integer(query, "pageIndex", high=MAX_SAFE_INTEGER // MAX_PAGE_SIZE)
    skipped = _integer(query, "page")
    if size is None and index is None:
        return skipped or 0, PAGE_SIZE
    size = size or PAGE_SIZE
    return (index or 0) * size, size


def _bad(message: str) -> IexecError:
    return IexecError("BAD_REQUEST", message)
