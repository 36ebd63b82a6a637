"""Who may sign, and how: keys, compact signatures, contract wallets, presignatures."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from pyiexec.chain.calls import manage_order
from pyiexec.chain.signer import HALF_ORDER
from pyiexec.protocol.orders import OrderOperation
from pyiexec.protocol.orders import order_to_abi as to_abi
from pyiexec.protocol.primitives import NULL_ADDRESS, to_bytes, to_hex

DIGEST = "0x" + "ab" * 32
ORDER_OF_CURVE = 2 * HALF_ORDER + 1
VIEWS = ["verifySignature", "verifyPresignatureOrSignature"]


def compact(signature: bytes) -> bytes:
    """The 64-byte form of EIP-2098."""
    s = int.from_bytes(signature[32:64], "big") | (signature[64] - 27) << 255
    return signature[:32] + s.to_bytes(32, "big")


def mirrored(signature: bytes) -> bytes:
    """The other signature with the same signer, whose s is high."""
    s = ORDER_OF_CURVE - int.from_bytes(signature[32:64], "big")
    return signature[:32] + s.to_bytes(32, "big") + bytes([27 + 28 - signature[64]])


@pytest.fixture
def signature(market: Any) -> bytes:
    """Of the requester over `DIGEST`."""
    made: bytes = market.signers[market.requester].sign_digest(to_bytes(DIGEST))
    return made


@pytest.mark.parametrize("view", VIEWS)
def test_a_key_signs_in_65_or_64_bytes(market: Any, signature: bytes, view: str) -> None:
    assert market.view(view, market.requester, DIGEST, signature)
    assert market.view(view, market.requester, DIGEST, compact(signature))
    assert not market.view(view, market.stranger, DIGEST, signature)
    assert not market.view(view, market.stranger, DIGEST, compact(signature))


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("length", [0, 1, 63, 66, 1024])
def test_another_length_is_a_malformed_signature(market: Any, reverted: Any, view: str, length: int) -> None:
    with pytest.raises(reverted, match=r"^invalid-signature-format$"):
        market.view(view, market.requester, DIGEST, b"\x01" * length)


def test_the_mirror_image_of_a_signature_is_refused(market: Any, signature: bytes) -> None:
    assert not market.view("verifySignature", market.requester, DIGEST, mirrored(signature))


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize(
    ("mode", "accepted"), [(0, True), (1, False), (2, False), (3, False), (4, False), (5, False), (6, True)]
)
def test_a_contract_wallet_decides_for_itself(market: Any, mock: Any, view: str, mode: int, accepted: bool) -> None:
    assert market.view(view, mock("Wallet", mode), DIGEST, b"anything") is accepted


def test_a_contract_without_the_function_accepts_nothing(market: Any, signature: bytes) -> None:
    assert not market.view("verifySignature", market.manifest.token, DIGEST, signature)


def test_a_presigned_hash_needs_no_signature(market: Any) -> None:
    order = market.app_order(sign="0x")
    market.send("manageAppOrder", (to_abi(order), 0, b""), sender=market.app_owner)
    known = market.hash(order)
    assert market.view("verifyPresignature", market.app_owner, known)
    assert market.view("verifyPresignatureOrSignature", market.app_owner, known, b"")
    assert not market.view("verifyPresignature", market.stranger, known)
    assert not market.view("verifyPresignature", market.app_owner, DIGEST)
    assert not market.view("verifyPresignature", NULL_ADDRESS, DIGEST)


def test_orders_are_matched_with_compact_signatures(market: Any) -> None:
    def short(order: Any) -> Any:
        return replace(order, sign=to_hex(compact(to_bytes(order.sign))))

    match = market.match(
        app=short(market.app_order()),
        dataset=short(market.dataset_order()),
        workerpool=short(market.workerpool_order()),
        request=short(market.request_order()),
    )
    assert market.deal(match.id).exists


def test_orders_are_matched_when_they_were_signed_on_chain(market: Any) -> None:
    unsigned = {"sign": "0x"}
    orders = {
        "app": market.app_order(**unsigned),
        "dataset": market.dataset_order(**unsigned),
        "workerpool": market.workerpool_order(**unsigned),
        "request": market.request_order(**unsigned),
    }
    owners = (market.app_owner, market.dataset_owner, market.scheduler, market.requester)
    for order, owner in zip(orders.values(), owners, strict=True):
        market.chain.send(market.hub, manage_order(order, OrderOperation.SIGN), owner)
    assert market.deal(market.match(**orders).id).exists


@pytest.mark.parametrize(
    ("kind", "owner", "code"),
    [("app", "app_owner", 21), ("dataset", "dataset_owner", 31), ("workerpool", "scheduler", 41)],
)
@pytest.mark.parametrize("mode", [0, 1, 2, 3])
def test_an_asset_owned_by_a_contract_is_offered_by_its_word(
    market: Any, mock: Any, reverted: Any, kind: str, owner: str, code: int, mode: int
) -> None:
    wallet = mock("Wallet", mode)
    market.give_asset(kind, getattr(market, kind), getattr(market, owner), wallet)
    market.fund(wallet)
    order = getattr(market, f"{kind}_order")(sign="0x01")
    if mode == 0:
        assert market.deal(market.match(**{kind: order}).id).exists
    else:
        with pytest.raises(reverted, match=f"0x{code}$"):
            market.match(**{kind: order})


def test_a_contract_may_be_the_requester(market: Any, mock: Any) -> None:
    wallet = mock("Wallet", 0)
    market.fund(wallet)
    match = market.match(request=market.request_order(requester=wallet, sign="0x01"))
    assert market.deal(match.id).requester == wallet


def test_a_sold_asset_is_offered_by_its_new_owner_alone(market: Any, reverted: Any) -> None:
    market.give_asset("app", market.app, market.app_owner, market.stranger)
    with pytest.raises(reverted, match="0x21"):
        market.match()
    order = market.sign(market.app_order(sign="0x"), market.stranger)
    assert market.deal(market.match(app=order).id).app.owner == market.stranger
