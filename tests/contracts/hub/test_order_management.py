"""Orders signed and closed by transactions."""

from __future__ import annotations

from typing import Any

import pytest

from pyiexec.chain.calls import manage_order
from pyiexec.chain.hub import FUNCTIONS
from pyiexec.protocol.eip712 import operation_hash
from pyiexec.protocol.orders import OrderOperation, kind_of, order_to_abi
from pyiexec.protocol.primitives import NULL_ADDRESS, to_bytes

KINDS = [
    ("app", "app_owner", "AppOrder", "appHash"),
    ("dataset", "dataset_owner", "DatasetOrder", "datasetHash"),
    ("workerpool", "scheduler", "WorkerpoolOrder", "workerpoolHash"),
    ("request", "requester", "RequestOrder", "requestHash"),
]
kinds = pytest.mark.parametrize(("kind", "owner", "event", "field"), KINDS)
by_signature = pytest.mark.parametrize("by_signature", [False, True])


def manage(market: Any, order: Any, operation: OrderOperation, owner: str, *, signed: bool) -> Any:
    """As the owner, or as a stranger who has the owner's signature."""
    account = getattr(market, owner)
    sign, sender = b"", account
    if signed:
        digest = to_bytes(operation_hash(order, operation, market.domain))
        sign, sender = market.signers[account].sign_digest(digest), market.stranger
    return market.chain.send(market.hub, manage_order(order, operation, sign), sender)


@kinds
@by_signature
def test_an_owner_signs_an_order_on_chain(
    market: Any, kind: str, owner: str, event: str, field: str, by_signature: bool
) -> None:
    order = getattr(market, f"{kind}_order")(sign="0x")
    receipt = manage(market, order, OrderOperation.SIGN, owner, signed=by_signature)
    assert market.events(receipt) == [(f"Signed{event}", {field: market.hash(order)})]
    assert market.view("viewPresigned", market.hash(order)) == getattr(market, owner)
    assert market.view("viewConsumed", market.hash(order)) == 0


@kinds
@by_signature
def test_an_owner_closes_an_order_for_good(
    market: Any, reverted: Any, kind: str, owner: str, event: str, field: str, by_signature: bool
) -> None:
    order = getattr(market, f"{kind}_order")(volume=7)
    receipt = manage(market, order, OrderOperation.CLOSE, owner, signed=by_signature)
    assert market.events(receipt) == [(f"Closed{event}", {field: market.hash(order)})]
    assert market.view("viewConsumed", market.hash(order)) == 7
    with pytest.raises(reverted, match="0x60"):
        market.match(**{kind: order})


@kinds
def test_nobody_else_manages_an_order(
    market: Any, reverted: Any, kind: str, owner: str, event: str, field: str
) -> None:
    order = getattr(market, f"{kind}_order")()
    with pytest.raises(reverted, match=r"^invalid-sender-or-signature$"):
        market.chain.send(market.hub, manage_order(order, OrderOperation.CLOSE, b"\x01" * 65), market.stranger)
    with pytest.raises(reverted, match=r"^invalid-signature-format$"):
        market.chain.send(market.hub, manage_order(order, OrderOperation.SIGN), market.stranger)
    wrong = to_bytes(operation_hash(order, OrderOperation.SIGN, market.domain))
    sign = market.signers[getattr(market, owner)].sign_digest(wrong)
    with pytest.raises(reverted, match=r"^invalid-sender-or-signature$"):
        market.chain.send(market.hub, manage_order(order, OrderOperation.CLOSE, sign), market.stranger)


def test_a_presignature_does_not_authorise_an_operation(market: Any, reverted: Any) -> None:
    order = market.request_order()
    manage(market, order, OrderOperation.SIGN, "requester", signed=False)
    with pytest.raises(reverted, match=r"^invalid-sender-or-signature$"):
        market.chain.send(market.hub, manage_order(order, OrderOperation.CLOSE, b"\x01" * 65), market.stranger)


def test_an_operation_there_is_not_reverts_without_a_reason(market: Any, reverted: Any) -> None:
    order = market.app_order()
    data = bytearray(manage_order(order, OrderOperation.CLOSE))
    at = data.index((1).to_bytes(32, "big"), 4 + 32)
    data[at + 31] = 2
    with pytest.raises(reverted) as caught:
        market.chain.send(market.hub, bytes(data), market.app_owner)
    assert caught.value.data == b""


def test_closing_after_a_match_leaves_nothing(market: Any, reverted: Any) -> None:
    request = market.request_order(volume=5)
    match = market.match(request=request, app=market.app_order(volume=2))
    manage(market, request, OrderOperation.CLOSE, "requester", signed=False)
    assert market.view("viewConsumed", market.hash(request)) == 5
    with pytest.raises(reverted, match="0x60"):
        market.match(request=request)
    assert market.initialize(match, 1)


@pytest.mark.parametrize("volume", [2**53 - 1, 2**95, 2**256 - 1])
def test_closing_an_order_of_any_volume_leaves_nothing(market: Any, reverted: Any, volume: int) -> None:
    order = market.app_order(volume=volume)
    market.match(app=order)
    manage(market, order, OrderOperation.CLOSE, "app_owner", signed=False)
    assert market.view("viewConsumed", market.hash(order)) == min(volume, 2**95 - 1)
    with pytest.raises(reverted, match="0x60"):
        market.match(app=order)


def test_an_operation_there_is_not_is_refused_before_its_order_is_looked_at(market: Any, reverted: Any) -> None:
    order = market.app_order(app=market.stranger)
    data = FUNCTIONS["manageAppOrder"].encode((order_to_abi(order), 2, b""))
    with pytest.raises(reverted) as caught:
        market.chain.send(market.hub, data, market.stranger)
    assert caught.value.data == b""


def test_signing_keeps_what_was_consumed(market: Any) -> None:
    order = market.app_order()
    market.match(app=order, volume=3)
    manage(market, order, OrderOperation.SIGN, "app_owner", signed=False)
    assert market.view("viewConsumed", market.hash(order)) == 3
    assert market.view("viewPresigned", market.hash(order)) == market.app_owner


@pytest.mark.parametrize("kind", ["app", "dataset", "workerpool"])
def test_fixed_16_orders_of_unregistered_resources_cannot_be_managed(
    market: Any, mock: Any, reverted: Any, kind: str
) -> None:
    fake = mock("Wallet", 0)
    order = getattr(market, f"{kind}_order")(**{kind: fake}, sign="0x")
    assert kind_of(order) == f"{kind}order"
    with pytest.raises(reverted, match=r"^resource not registered$"):
        market.chain.send(market.hub, manage_order(order, OrderOperation.SIGN, b"\x01" * 65), market.stranger)


def test_fixed_01_a_malformed_signature_is_not_the_zero_addresss(market: Any, reverted: Any) -> None:
    """Neither in views, nor to manage its orders, nor to be sponsored a deal in its name."""
    for sign in (b"\x01" * 65, b"\x01" * 64, bytes(65)):
        assert not market.view("verifySignature", NULL_ADDRESS, "0x" + "ab" * 32, sign)
        assert not market.view("verifyPresignatureOrSignature", NULL_ADDRESS, "0x" + "ab" * 32, sign)
    order = market.request_order(requester=NULL_ADDRESS, sign="0x" + "01" * 65)
    with pytest.raises(reverted, match=r"^invalid-sender-or-signature$"):
        market.chain.send(market.hub, manage_order(order, OrderOperation.SIGN, b"\x01" * 65), market.stranger)
    with pytest.raises(reverted, match="0x50"):
        market.match(request=order, sponsored=True)
