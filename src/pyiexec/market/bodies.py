"""Bodies of publications and withdrawals, read strictly; keys that are not known are dropped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from pyiexec.market.listing import resource_name
from pyiexec.market.messages import refusal, shown
from pyiexec.market.reading import read_address, read_bytes32, read_integer, read_signature, read_text
from pyiexec.protocol.orders import ORDER_KINDS, Order
from pyiexec.protocol.primitives import Address, OrderHash
from pyiexec.protocol.strangers_json import decode_json

TARGETS = ("unpublish_orderHash", "unpublish_last", "unpublish_all")

_READERS: dict[Any, Callable[[object, str], Any]] = {
    "Address": read_address,
    "Bytes32": read_bytes32,
    "int": read_integer,
    "str": read_text,
}


def _volume(value: object, path: str) -> int:
    return read_integer(value, path, low=1)


_FIELDS: Mapping[str, Mapping[str, Callable[[object, str], Any]]] = {
    kind: {name: _READERS[hint] for name, hint in struct.__annotations__.items()}
    | {"volume": _volume, "sign": read_signature}
    for kind, struct in ORDER_KINDS.items()
}


class Withdrawal(msgspec.Struct, frozen=True):
    """What is to leave the book.

    Attributes:
        target: of `TARGETS`.
        order_hash: the order, when one is named.
        resource: otherwise whose orders.
    """

    target: str
    order_hash: OrderHash | None = None
    resource: Address | None = None


def read_json(content: bytes) -> dict[str, Any]:
    """The JSON object that a body is.

    Raises:
        IexecError: ``BAD_REQUEST``.
    """
    try:
        body: dict[str, Any] = decode_json(content, dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise refusal("body") from None
    return body


def read_order(kind: str, body: Mapping[str, Any]) -> Order:
    """The signed order in a publication.

    Raises:
        IexecError: ``BAD_REQUEST`` naming the field.
    """
    if "order" not in body:
        raise refusal("required", path="order")
    fields = body["order"]
    if fields is None:
        raise refusal("null", path="order")
    if not isinstance(fields, dict):
        raise refusal("object", path="order", value=shown(fields))
    values = {}
    for name, read in _FIELDS[kind].items():
        path = f"order.{name}"
        if name in fields:
            values[name] = read(fields[name], path)
        # A request need not have parameters.
        elif name != "params":
            raise refusal("required", path=path)
    return ORDER_KINDS[kind](**values)


def read_withdrawal(kind: str, body: Mapping[str, Any]) -> Withdrawal:
    """What a body of a withdrawal names.

    Raises:
        IexecError: ``BAD_REQUEST`` naming the key.
    """
    target = body.get("target", TARGETS[0])
    if target not in TARGETS:
        raise refusal("one of", path="target", values=", ".join(TARGETS))
    name = "orderHash" if target == TARGETS[0] else resource_name(kind)
    if name not in body:
        raise refusal("required", path=name)
    if target == TARGETS[0]:
        return Withdrawal(target, order_hash=OrderHash(read_bytes32(body[name], name)))
    return Withdrawal(target, resource=read_address(body[name], name))
