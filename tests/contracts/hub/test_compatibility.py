"""May this dataset be used in that deal? The question asked before a dataset's secret is given out."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from pyiexec.chain.abi import Function
from pyiexec.chain.calls import manage_order
from pyiexec.protocol.orders import OrderOperation, order_to_abi
from pyiexec.protocol.primitives import bytes32

ELSEWHERE = "0x1111111111111111111111111111111111111111"
INCOMPATIBLE = Function.parse("IncompatibleDatasetOrder(string reason)")
FRAMEWORKS = [0x01, 0x03, 0x05, 0x09, 0x0F]


def ask(market: Any, order: Any, deal: str) -> None:
    market.view("assertDatasetDealCompatibility", order_to_abi(order), deal)


@pytest.fixture
def deal(market: Any) -> str:
    """A deal made without a dataset."""
    made: str = market.match(no_dataset=True).id
    return made


def test_a_dataset_order_without_conditions_fits(market: Any, deal: str) -> None:
    ask(market, market.dataset_order(), deal)


def test_a_presigned_order_fits(market: Any, deal: str) -> None:
    order = market.dataset_order(sign="0x")
    market.chain.send(market.hub, manage_order(order, OrderOperation.SIGN), market.dataset_owner)
    ask(market, order, deal)


def test_restrictions_that_name_the_deal_fit(market: Any, mock: Any, deal: str) -> None:
    ask(market, market.dataset_order(apprestrict=market.app, requesterrestrict=market.requester), deal)
    ask(market, market.dataset_order(workerpoolrestrict=mock("Wallet", 0)), deal)


@pytest.mark.parametrize(
    ("reason", "fields"),
    [
        ("Dataset order is revoked or fully consumed", {"volume": 0}),
        ("Invalid dataset order signature", {"sign": "0x" + "11" * 65}),
        ("App restriction not satisfied", {"apprestrict": ELSEWHERE}),
        ("Workerpool restriction not satisfied", {"workerpoolrestrict": ELSEWHERE}),
        ("Requester restriction not satisfied", {"requesterrestrict": ELSEWHERE}),
        ("Tag compatibility not satisfied", {"tag": bytes32(0x01)}),
        ("Tag compatibility not satisfied", {"tag": bytes32(0x10)}),
    ],
)
def test_each_obstacle_has_its_reason(
    market: Any, deal: str, reverted: Any, reason: str, fields: dict[str, Any]
) -> None:
    with pytest.raises(reverted) as caught:
        ask(market, market.dataset_order(**fields), deal)
    assert caught.value.data == INCOMPATIBLE.encode(reason)


def test_a_closed_order_is_revoked(market: Any, deal: str, reverted: Any) -> None:
    order = market.dataset_order()
    market.chain.send(market.hub, manage_order(order, OrderOperation.CLOSE), market.dataset_owner)
    with pytest.raises(reverted, match="Dataset order is revoked or fully consumed"):
        ask(market, order, deal)


def test_the_deal_must_exist_and_have_no_dataset(market: Any, reverted: Any) -> None:
    with pytest.raises(reverted, match="Deal not found"):
        ask(market, market.dataset_order(), "0x" + "ab" * 32)
    with pytest.raises(reverted, match="Deal already has a dataset"):
        ask(market, market.dataset_order(), market.match().id)


@pytest.mark.parametrize(("dataset_tag", "deal_tag"), list(product(FRAMEWORKS, FRAMEWORKS)))
def test_the_framework_of_a_dataset_does_not_bind(market: Any, dataset_tag: int, deal_tag: int) -> None:
    deal = market.match(no_dataset=True, tag=bytes32(deal_tag))
    ask(market, market.dataset_order(tag=bytes32(dataset_tag)), deal.id)


def test_fixed_16_an_unregistered_dataset_fits_nothing(market: Any, mock: Any, deal: str, reverted: Any) -> None:
    with pytest.raises(reverted) as caught:
        ask(market, market.dataset_order(dataset=mock("Wallet", 0), sign="0x01"), deal)
    assert caught.value.data == INCOMPATIBLE.encode("Dataset not registered")


@pytest.mark.parametrize("fields", [{"sign": "0x"}, {"sign": "0xbadd"}, {"dataset": ELSEWHERE}])
def test_fixed_17_every_refusal_is_an_incompatible_dataset_order(
    market: Any, deal: str, reverted: Any, fields: dict[str, Any]
) -> None:
    """A signature of a wrong length and an address without code have no refusal of their own."""
    with pytest.raises(reverted) as caught:
        ask(market, market.dataset_order(**fields), deal)
    assert caught.value.data[:4] == INCOMPATIBLE.selector


def test_fixed_18_a_wallet_that_answers_nonsense_has_not_signed(
    market: Any, mock: Any, deal: str, reverted: Any
) -> None:
    wallet = mock("Wallet", 4)
    market.give_asset("dataset", market.dataset, market.dataset_owner, wallet)
    with pytest.raises(reverted, match="Invalid dataset order signature"):
        ask(market, market.dataset_order(sign="0xbadd"), deal)
