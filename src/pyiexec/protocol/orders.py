"""The four signed orders of the market, their JSON and their ABI form.

Field names and their order are those of PoCo's ABI, so that an order reads the same in Python, in the order book and in
a transaction. Prices are nRLC, volumes are numbers of tasks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from enum import IntEnum
from typing import Any, TypeAlias, get_type_hints

import msgspec

from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import (
    NULL_ADDRESS,
    NULL_BYTES32,
    Address,
    Bytes32,
    bytes32,
    checksum,
    to_bytes,
    to_hex,
)

UINT256_MAX = (1 << 256) - 1


class AppOrder(msgspec.Struct, frozen=True, kw_only=True):
    """The owner of `app` sells `volume` runs of it at `appprice` nRLC each.

    `sign` is the owner's signature as hexadecimal text, ``0x`` while unsigned. `salt` makes the order unique: whoever
    signs chooses it at random. A restriction of the null address restricts nothing.
    """

    app: Address
    appprice: int = 0
    volume: int = 1
    tag: Bytes32 = NULL_BYTES32
    datasetrestrict: Address = NULL_ADDRESS
    workerpoolrestrict: Address = NULL_ADDRESS
    requesterrestrict: Address = NULL_ADDRESS
    salt: Bytes32 = NULL_BYTES32
    sign: str = "0x"


class DatasetOrder(msgspec.Struct, frozen=True, kw_only=True):
    """The owner of `dataset` sells `volume` uses of it at `datasetprice` nRLC each; see `AppOrder`."""

    dataset: Address
    datasetprice: int = 0
    volume: int = 1
    tag: Bytes32 = NULL_BYTES32
    apprestrict: Address = NULL_ADDRESS
    workerpoolrestrict: Address = NULL_ADDRESS
    requesterrestrict: Address = NULL_ADDRESS
    salt: Bytes32 = NULL_BYTES32
    sign: str = "0x"


class WorkerpoolOrder(msgspec.Struct, frozen=True, kw_only=True):
    """The owner of `workerpool` sells `volume` tasks at `workerpoolprice` nRLC each; see `AppOrder`.

    The tasks run within the time of `category` and reach at most `trust`.
    """

    workerpool: Address
    workerpoolprice: int = 0
    volume: int = 1
    tag: Bytes32 = NULL_BYTES32
    category: int = 0
    trust: int = 0
    apprestrict: Address = NULL_ADDRESS
    datasetrestrict: Address = NULL_ADDRESS
    requesterrestrict: Address = NULL_ADDRESS
    salt: Bytes32 = NULL_BYTES32
    sign: str = "0x"


class RequestOrder(msgspec.Struct, frozen=True, kw_only=True):
    """`requester` buys `volume` tasks of `app`, paying at most the three maximum prices (nRLC) for each.

    `workerpool` is a restriction, null for any pool; a null `dataset` is none. `callback` is the contract told of the
    results, null for none. `params` is the text of `pyiexec.protocol.params`.
    """

    app: Address
    appmaxprice: int = 0
    dataset: Address = NULL_ADDRESS
    datasetmaxprice: int = 0
    workerpool: Address = NULL_ADDRESS
    workerpoolmaxprice: int = 0
    requester: Address
    volume: int = 1
    tag: Bytes32 = NULL_BYTES32
    category: int = 0
    trust: int = 0
    beneficiary: Address = NULL_ADDRESS
    callback: Address = NULL_ADDRESS
    params: str = ""
    salt: Bytes32 = NULL_BYTES32
    sign: str = "0x"


Order: TypeAlias = AppOrder | DatasetOrder | WorkerpoolOrder | RequestOrder


class OrderOperation(IntEnum):
    """What `manage…Order` does to an order: presign it, or close it for good."""

    SIGN = 0
    CLOSE = 1


#: Every kind of order by the name it has in the order book's paths and messages.
ORDER_KINDS: Mapping[str, type[Order]] = {
    "apporder": AppOrder,
    "datasetorder": DatasetOrder,
    "workerpoolorder": WorkerpoolOrder,
    "requestorder": RequestOrder,
}
_KIND_OF = {struct: kind for kind, struct in ORDER_KINDS.items()}

#: What is matched when a deal has no dataset.
NO_DATASET = DatasetOrder(dataset=NULL_ADDRESS, volume=0)


def kind_of(order: Order) -> str:
    """The key of `ORDER_KINDS` that `order` belongs to."""
    return _KIND_OF[type(order)]


def _integer(value: object) -> int:
    # JavaScript clients write 256-bit numbers as decimal strings; 78 digits hold every one of them.
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 78:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= UINT256_MAX:
        raise ValueError("a whole number from 0 to 2^256-1, as a number or a decimal string")
    return value


def _address(value: object) -> Address:
    if not isinstance(value, str):
        raise ValueError("an address of 0x and 40 hexadecimal digits")
    return checksum(value)


def _word(value: object) -> Bytes32:
    if not isinstance(value, str):
        raise ValueError("0x and 64 hexadecimal digits")
    return bytes32(value)


def _text(value: object) -> str:
    if not isinstance(value, str) or any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError("text that UTF-8 can carry")
    return value


def _signature(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("a signature of 0x and hexadecimal digits")
    return to_hex(to_bytes(value))


_READERS_BY_TYPE: dict[Any, Callable[[object], Any]] = {Address: _address, Bytes32: _word, int: _integer, str: _text}
_READERS: dict[str, dict[str, Callable[[object], Any]]] = {
    kind: {name: _READERS_BY_TYPE[hint] for name, hint in get_type_hints(struct).items()} | {"sign": _signature}
    for kind, struct in ORDER_KINDS.items()
}


def decode_order(kind: str, obj: Mapping[str, Any]) -> Order:
    """The order of `kind` in a JSON object.

    Whole numbers may be JSON numbers or decimal strings. Every field must be there, `sign` alone may be left out of an
    order not yet signed; no other field may be.

    Raises:
        IexecError: ``BAD_ORDER`` naming the first field that is unknown, missing or ill-formed.
    """
    readers = _READERS.get(kind)
    if readers is None:
        raise IexecError("BAD_ORDER", f"{kind[:40]!r} is not a kind of order ({', '.join(ORDER_KINDS)})")
    if not isinstance(obj, Mapping):
        raise IexecError("BAD_ORDER", f"the {kind} is not a JSON object", kind=kind)
    for name in obj:
        if name not in readers:
            raise IexecError("BAD_ORDER", f"{kind} has an unknown field {str(name)[:40]!r}", kind=kind)
    fields = {}
    for name, read in readers.items():
        if name not in obj:
            if name == "sign":
                continue
            raise IexecError("BAD_ORDER", f"{kind} lacks the field {name!r}", kind=kind, field=name)
        try:
            fields[name] = read(obj[name])
        except ValueError as error:
            raise IexecError("BAD_ORDER", f"{kind}.{name} must be {error}", kind=kind, field=name) from None
        except IexecError as error:
            raise IexecError("BAD_ORDER", f"{kind}.{name}: {error.what}", kind=kind, field=name) from None
    return ORDER_KINDS[kind](**fields)


def order_to_json(order: Order) -> dict[str, Any]:
    """The JSON object of `order`: amounts as numbers, addresses checksummed, 32-byte values in lower case."""
    return msgspec.structs.asdict(order)


def order_to_abi(order: Order) -> tuple[Any, ...]:
    """The order as PoCo's ABI tuple."""
    return msgspec.structs.astuple(order)


def order_from_abi(kind: str, values: Sequence[Any]) -> Order:
    """The order of `kind` in a decoded ABI tuple, where byte strings may be `bytes` or hexadecimal text.

    Raises:
        IexecError: ``BAD_ORDER`` when the tuple is not of that kind.
    """
    names = tuple(_READERS.get(kind, ()))
    if len(names) != len(values):
        raise IexecError("BAD_ORDER", f"a tuple of {len(values)} fields is not a {kind[:40]}")
    plain = (to_hex(value) if isinstance(value, bytes) else value for value in values)
    return decode_order(kind, dict(zip(names, plain, strict=True)))
