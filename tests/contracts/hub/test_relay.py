"""Orders published as events, as they are."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pyiexec.chain.hub import FUNCTIONS
from pyiexec.protocol.orders import order_to_abi
from pyiexec.protocol.primitives import bytes32

KINDS = ("App", "Dataset", "Workerpool", "Request")


def order_of(market: Any, kind: str, **fields: Any) -> Any:
    return getattr(market, f"{kind.lower()}_order")(**fields)


@pytest.mark.parametrize("kind", KINDS)
def test_a_broadcast_tells_the_order_as_it_is(market: Any, kind: str) -> None:
    order = order_of(market, kind)
    receipt = market.send(f"broadcast{kind}Order", order_to_abi(order), sender=market.stranger)
    ((name, fields),) = market.events(receipt)
    assert name == f"Broadcast{kind}Order"
    function = FUNCTIONS[f"broadcast{kind}Order"]
    (told,) = function.decode_input(function.encode(order_to_abi(order)))
    assert fields == {f"{kind.lower()}order": told}
    (log,) = receipt.raw["logs"]
    # the log is the call without its selector
    assert log["data"][2:] == function.encode(order_to_abi(order))[4:].hex()
    assert len(log["topics"]) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_is_checked(market: Any, kind: str) -> None:
    """Neither whether somebody signed, nor whether anything of it exists."""
    order = order_of(market, kind, sign="0x", volume=0, tag=bytes32(2**256 - 1))
    order = msgspec.structs.replace(order, **{kind.lower() if kind != "Request" else "requester": market.stranger})
    receipt = market.send(f"broadcast{kind}Order", order_to_abi(order), sender=market.stranger)
    assert [name for name, _ in market.events(receipt)] == [f"Broadcast{kind}Order"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_signature_has_1024_bytes_at_most(market: Any, kind: str, reverted: Any) -> None:
    function = f"broadcast{kind}Order"
    longest = order_of(market, kind, sign="0x" + "11" * 1024)
    receipt = market.send(function, order_to_abi(longest), sender=market.stranger)
    assert receipt.raw["logs"][0]["data"].count("11" * 1024) == 1
    with pytest.raises(reverted) as caught:
        market.send(function, order_to_abi(order_of(market, kind, sign="0x" + "11" * 1025)), sender=market.stranger)
    assert caught.value.data == b""


def test_params_have_4096_bytes_at_most(market: Any, reverted: Any) -> None:
    for size in (0, 1, 31, 32, 33, 4096):
        order = market.request_order(params="p" * size)
        receipt = market.send("broadcastRequestOrder", order_to_abi(order), sender=market.stranger)
        assert market.events(receipt)[0][1]["requestorder"][13] == "p" * size
    too_long = market.request_order(params="p" * 4097)
    with pytest.raises(reverted) as caught:
        market.send("broadcastRequestOrder", order_to_abi(too_long), sender=market.stranger)
    assert caught.value.data == b""


@pytest.mark.parametrize("kind", KINDS)
def test_a_broadcast_refuses_value(market: Any, kind: str, reverted: Any) -> None:
    order = order_to_abi(order_of(market, kind))
    with pytest.raises(reverted) as caught:
        market.send(f"broadcast{kind}Order", order, sender=market.stranger, value=1)
    assert caught.value.data == b""
