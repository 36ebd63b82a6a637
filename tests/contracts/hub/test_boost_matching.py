"""From four orders to a Boost deal: every check with its reason, and what is recorded."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest
from msgspec.structs import replace

from pyiexec.chain.abi import Function
from pyiexec.chain.calls import manage_order
from pyiexec.chain.hub import Hub
from pyiexec.chain.reading import read_all
from pyiexec.chain.signer import create2_address
from pyiexec.protocol import ids
from pyiexec.protocol.deals import BoostDeal
from pyiexec.protocol.orders import NO_DATASET, OrderOperation, order_to_abi
from pyiexec.protocol.primitives import NULL_ADDRESS, NULL_BYTES32, bytes32, keccak256, to_bytes, to_hex
from pyiexec.protocol.tasks import TaskStatus

ELSEWHERE = "0x1111111111111111111111111111111111111111"
NOBODY = "0x" + "11" * 65
TEE, TEE_SCONE, TEE_GRAMINE, TEE_TDX, TEE_ALL = (bytes32(tag) for tag in (0x01, 0x03, 0x05, 0x09, 0x0F))
CHANGE_POLICY = Function.parse("changePolicy(uint256 stake, uint256 reward)")
TOO_WIDE = Function.parse("SafeCastOverflowedUintDowncast(uint8 bits, uint256 value)")
#: What a stranger's code would have to pretend to be.
INIT_CODE = bytes.fromhex("63fde0e7a83d523d3d6004601c335afa6016575f5ffd5b3d5f5f3e3d5ff3")
COST, STAKE = 1_001_001_000, 300_000_000

Order = dict[str, Any]
#: Reason, and the fields of app, dataset, workerpool and request order that fail its check and no earlier one; in the
#: order of the checks. Orders are signed by nobody: checks of fields come before those of signatures.
FIELD_CHECKS: list[tuple[str, Order, Order, Order, Order]] = [
    ("Bad trust level", {}, {}, {}, {"trust": 2}),
    ("Category mismatch", {}, {}, {"category": 1}, {}),
    ("Unknown category", {}, {}, {"category": 6}, {"category": 6}),
    ("Overpriced app", {"appprice": 1_001}, {}, {}, {}),
    ("Overpriced dataset", {}, {"datasetprice": 1_000_001}, {}, {}),
    ("Overpriced workerpool", {}, {}, {"workerpoolprice": 1_000_000_001}, {}),
    ("Workerpool tag does not match demand", {}, {}, {}, {"tag": bytes32(0x10)}),
    ("App tag does not match demand", {}, {}, {"tag": TEE}, {"tag": TEE}),
    ("App mismatch", {}, {}, {}, {"app": ELSEWHERE}),
    ("Dataset mismatch", {}, {}, {}, {"dataset": ELSEWHERE}),
    ("Workerpool restricted by request order", {}, {}, {}, {"workerpool": ELSEWHERE}),
    ("Dataset restricted by app order", {"datasetrestrict": ELSEWHERE}, {}, {}, {}),
    ("Workerpool restricted by app order", {"workerpoolrestrict": ELSEWHERE}, {}, {}, {}),
    ("Requester restricted by app order", {"requesterrestrict": ELSEWHERE}, {}, {}, {}),
    ("App restricted by dataset order", {}, {"apprestrict": ELSEWHERE}, {}, {}),
    ("Workerpool restricted by dataset order", {}, {"workerpoolrestrict": ELSEWHERE}, {}, {}),
    ("Requester restricted by dataset order", {}, {"requesterrestrict": ELSEWHERE}, {}, {}),
    ("App restricted by workerpool order", {}, {}, {"apprestrict": ELSEWHERE}, {}),
    ("Dataset restricted by workerpool order", {}, {}, {"datasetrestrict": ELSEWHERE}, {}),
    ("Requester restricted by workerpool order", {}, {}, {"requesterrestrict": ELSEWHERE}, {}),
    ("App not registered", {"app": ELSEWHERE}, {}, {}, {"app": ELSEWHERE}),
    ("Invalid app order signature", {}, {}, {}, {}),
]
#: More ways to fail some of them.
OTHER_FIELD_CHECKS: list[tuple[str, Order, Order, Order, Order]] = [
    ("Workerpool tag does not match demand", {"tag": TEE}, {}, {}, {}),
    ("Workerpool tag does not match demand", {}, {"tag": bytes32(0x10)}, {}, {}),
    ("App tag does not match demand", {}, {"tag": TEE}, {"tag": TEE}, {}),
    ("Requester restricted by app order", {"requesterrestrict": "0x" + "22" * 20}, {}, {}, {}),
]


def unsigned_orders(market: Any, *fields: Order) -> dict[str, Any]:
    kinds = ("app", "dataset", "workerpool", "request")
    return {
        kind: getattr(market, f"{kind}_order")(**changed | {"sign": NOBODY})
        for kind, changed in zip(kinds, fields, strict=True)
    }


@pytest.mark.parametrize(("reason", "app", "dataset", "workerpool", "request_"), FIELD_CHECKS + OTHER_FIELD_CHECKS)
def test_each_check_of_the_fields_has_its_reason(
    market: Any, reverted: Any, reason: str, app: Order, dataset: Order, workerpool: Order, request_: Order
) -> None:
    with pytest.raises(reverted, match=f"^PocoBoost: {reason}$"):
        market.match(boost=True, **unsigned_orders(market, app, dataset, workerpool, request_))


@pytest.mark.parametrize("position", range(len(FIELD_CHECKS) - 1))
def test_of_two_failing_checks_the_first_is_told(market: Any, reverted: Any, position: int) -> None:
    """Each with the next one that fails for a reason of its own."""
    reason, *first = FIELD_CHECKS[position]
    following = next(
        later
        for _, *later in FIELD_CHECKS[position + 1 :]
        if not any(set(one) & set(other) for one, other in zip(first, later, strict=True))
    )
    both = [one | other for one, other in zip(first, following, strict=True)]
    with pytest.raises(reverted, match=f"^PocoBoost: {reason}$"):
        market.match(boost=True, **unsigned_orders(market, *both))


Break = Callable[[Any], dict[str, Any]]
#: Orders well signed but for the one that breaks, in the order of the checks.
IDENTITY_CHECKS: list[tuple[str, Break]] = [
    ("Invalid app order signature", lambda m: {"app": m.app_order(sign=NOBODY)}),
    (
        "Dataset not registered",
        lambda m: {"dataset": m.dataset_order(dataset=m.app), "request": m.request_order(dataset=m.app)},
    ),
    ("Invalid dataset order signature", lambda m: {"dataset": m.dataset_order(sign=NOBODY)}),
    ("Workerpool not registered", lambda m: {"workerpool": m.workerpool_order(workerpool=m.app)}),
    ("Invalid workerpool order signature", lambda m: {"workerpool": m.workerpool_order(sign=NOBODY)}),
    ("Invalid request order signature", lambda m: {"request": m.request_order(sign=NOBODY)}),
    ("One or more orders consumed", lambda m: {"app": m.app_order(volume=0)}),
    ("One or more orders consumed", lambda m: {"dataset": m.dataset_order(volume=0)}),
    ("One or more orders consumed", lambda m: {"workerpool": m.workerpool_order(volume=0)}),
    ("One or more orders consumed", lambda m: {"request": m.request_order(volume=0)}),
]


@pytest.mark.parametrize(("reason", "broken"), IDENTITY_CHECKS)
def test_each_check_of_identities_has_its_reason(market: Any, reverted: Any, reason: str, broken: Break) -> None:
    with pytest.raises(reverted, match=f"^PocoBoost: {reason}$"):
        market.match(boost=True, **broken(market))


@pytest.mark.parametrize("position", range(6))
def test_identities_are_checked_in_order(market: Any, reverted: Any, position: int) -> None:
    """All checks from this one on fail together, and the volume too."""
    broken: dict[str, Any] = {"app": market.app_order(volume=0)}
    for _, breaks in reversed(IDENTITY_CHECKS[position:6]):
        broken |= breaks(market)
    with pytest.raises(reverted, match=f"^PocoBoost: {IDENTITY_CHECKS[position][0]}$"):
        market.match(boost=True, **broken)


@pytest.mark.parametrize("kind", ["app", "dataset", "workerpool"])
def test_a_contract_that_merely_looks_like_an_asset_is_not_registered(
    market: Any, reverted: Any, mock: Any, kind: str
) -> None:
    fake = mock("Wallet", 0)
    order = getattr(market, f"{kind}_order")(**{kind: fake})
    with pytest.raises(reverted, match=f"^PocoBoost: {kind.capitalize()} not registered$"):
        market.match(boost=True, **{kind: order}, request=market.request_order(**{kind: fake}))


@pytest.mark.parametrize("kind", ["app", "dataset", "workerpool", "request"])
def test_a_signature_of_a_wrong_length_has_a_reason_of_its_own(market: Any, reverted: Any, kind: str) -> None:
    order = getattr(market, f"{kind}_order")(sign="0xbadd")
    with pytest.raises(reverted, match=r"^invalid-signature-format$"):
        market.match(boost=True, **{kind: order})


# --- what is recorded and told ----------------------------------------------------------------------------------------


def test_a_deal_records_all_that_its_tasks_need(market: Any) -> None:
    tag = "0x" + "00" * 28 + "abcdef09"
    orders = {
        "app": market.app_order(tag=TEE),
        "dataset": market.dataset_order(tag=TEE_SCONE),
        "workerpool": market.workerpool_order(tag=tag, category=2),
        "request": market.request_order(
            beneficiary=market.stranger, callback=ELSEWHERE, params="{}", volume=321, category=2, trust=0, tag=tag
        ),
    }
    match = market.match(**orders, boost=True, sponsored=True)
    assert market.boost_deal(match.id) == BoostDeal(
        app_owner=market.app_owner,
        app_price=1_000,
        dataset_owner=market.dataset_owner,
        dataset_price=1_000_000,
        workerpool_owner=market.scheduler,
        workerpool_price=1_000_000_000,
        requester=market.requester,
        worker_reward=990_000_000,
        callback=ELSEWHERE,
        deadline=market.chain.now() + 7 * 3600,
        bot_first=0,
        bot_size=321,
        short_tag="0xcdef09",
        sponsor=market.sponsor,
    )
    for order in orders.values():
        assert market.view("viewConsumed", market.hash(order)) == 321


@pytest.mark.parametrize("with_dataset", [False, True])
@pytest.mark.parametrize("sponsored", [False, True])
def test_a_deal_without_trimmings_is_as_good(market: Any, with_dataset: bool, sponsored: bool) -> None:
    match = market.match(no_dataset=not with_dataset, boost=True, sponsored=sponsored)
    deal = market.boost_deal(match.id)
    dataset = (market.dataset_owner, 1_000_000) if with_dataset else (NULL_ADDRESS, 0)
    assert (deal.dataset_owner, deal.dataset_price) == dataset
    assert deal.sponsor == (market.sponsor if sponsored else market.requester)
    assert deal.requester == market.requester
    assert (deal.callback, deal.short_tag) == (NULL_ADDRESS, "0x000000")
    assert (deal.bot_first, deal.bot_size) == (0, 1)


def test_a_free_dataset_has_an_owner_all_the_same(market: Any) -> None:
    match = market.match(dataset=market.dataset_order(datasetprice=0), boost=True)
    deal = market.boost_deal(match.id)
    assert (deal.dataset_owner, deal.dataset_price) == (market.dataset_owner, 0)


def test_an_unknown_deal_reads_as_nothing(market: Any) -> None:
    assert market.boost_deal("0x" + "ab" * 32) == BoostDeal()


def test_the_reader_of_the_hub_tells_the_kinds_apart(market: Any) -> None:
    boosted, classic = market.match(boost=True), market.match()
    hub = Hub(market.chain.rpc, market.hub)

    async def found(match: Any) -> tuple[bool, bool]:
        deal, boost_deal = await read_all(hub.find_deal(match.id), hub.find_boost_deal(match.id))
        return deal.exists, boost_deal.exists

    assert market.chain.runner.run(found(boosted)) == (False, True)
    assert market.chain.runner.run(found(classic)) == (True, False)
    assert market.boost_deal(boosted.id).task_cost == market.deal(classic.id).task_cost == COST


def test_match_returns_the_id_of_the_deal(market: Any) -> None:
    orders = (market.app_order(), market.dataset_order(), market.workerpool_order(), market.request_order())
    expected = ids.deal_id(market.hash(orders[3]), 0)
    for function in ("matchOrdersBoost", "sponsorMatchOrdersBoost"):
        assert market.view(function, *map(order_to_abi, orders), sender=market.sponsor) == expected


@pytest.mark.parametrize("sponsored", [False, True])
def test_a_match_tells_in_order(market: Any, sponsored: bool) -> None:
    request = market.request_order(volume=2, beneficiary=market.stranger, params="prüfe")
    match = market.match(request=request, boost=True, sponsored=sponsored)
    payer = market.sponsor if sponsored else market.requester
    hashes = {
        "appHash": market.hash(match.app),
        "datasetHash": market.hash(match.dataset),
        "workerpoolHash": market.hash(match.workerpool),
        "requestHash": market.hash(match.request),
    }
    notice = {
        "workerpool": market.workerpool,
        "dealId": match.id,
        "app": market.app,
        "dataset": market.dataset,
        "category": 0,
        "tag": NULL_BYTES32,
        "params": "prüfe",
        "beneficiary": market.stranger,
    }
    assert market.events(match.receipt) == [
        ("Transfer", {"from": payer, "to": market.hub, "value": 2 * COST}),
        ("Lock", {"owner": payer, "amount": 2 * COST}),
        ("Transfer", {"from": market.scheduler, "to": market.hub, "value": 2 * STAKE}),
        ("Lock", {"owner": market.scheduler, "amount": 2 * STAKE}),
        ("SchedulerNoticeBoost", notice),
        ("OrdersMatched", {"dealid": match.id, **hashes, "volume": 2}),
        *([("DealSponsoredBoost", {"dealId": match.id, "sponsor": market.sponsor})] if sponsored else []),
    ]


def test_the_notice_carries_the_whole_tag(market: Any) -> None:
    tag = "0x" + "ab" * 31 + "01"
    match = market.match(boost=True, tag=tag)
    assert dict(market.events(match.receipt))["SchedulerNoticeBoost"]["tag"] == tag
    assert market.boost_deal(match.id).short_tag == "0xabab01"


def test_without_a_dataset_its_hash_is_zero_and_its_volume_is_ignored(market: Any) -> None:
    match = market.match(no_dataset=True, boost=True, volume=5)
    told = dict(market.events(match.receipt))
    assert told["OrdersMatched"]["datasetHash"] == NULL_BYTES32
    assert told["SchedulerNoticeBoost"]["dataset"] == NULL_ADDRESS
    assert market.view("viewConsumed", market.hash(NO_DATASET)) == market.view("viewConsumed", NULL_BYTES32) == 0
    assert market.boost_deal(match.id).bot_size == 5


@pytest.mark.parametrize("least", ["app", "dataset", "workerpool", "request"])
def test_the_smallest_order_is_the_volume(market: Any, least: str) -> None:
    orders = {
        kind: getattr(market, f"{kind}_order")(volume=3 if kind == least else 9)
        for kind in ("app", "dataset", "workerpool", "request")
    }
    match = market.match(**orders, boost=True)
    assert market.boost_deal(match.id).bot_size == 3
    assert [market.view("viewConsumed", market.hash(order)) for order in orders.values()] == [3] * 4


def test_one_request_is_served_by_several_deals(market: Any) -> None:
    request = market.request_order(volume=7)
    first = market.match(request=request, workerpool=market.workerpool_order(volume=3), boost=True)
    second = market.match(request=request, workerpool=market.workerpool_order(volume=4), boost=True)
    assert second.id == ids.deal_id(market.hash(request), 3)
    deals = market.boost_deal(first.id), market.boost_deal(second.id)
    assert [(deal.bot_first, deal.bot_size) for deal in deals] == [(0, 3), (3, 4)]


def test_a_request_used_up_cannot_be_matched_again(market: Any, reverted: Any) -> None:
    match = market.match(boost=True)
    for boost, reason in ((True, "PocoBoost: One or more orders consumed"), (False, "iExecV5-matchOrders-0x60")):
        with pytest.raises(reverted, match=f"^{reason}$"):
            market.match(request=match.request, boost=boost)


def test_a_closed_order_cannot_be_matched(market: Any, reverted: Any) -> None:
    order = market.app_order()
    market.chain.send(market.hub, manage_order(order, OrderOperation.CLOSE), market.app_owner)
    with pytest.raises(reverted, match=r"^PocoBoost: One or more orders consumed$"):
        market.match(app=order, boost=True)


@pytest.mark.parametrize("who", ["requester", "scheduler", "sponsor"])
def test_one_nrlc_too_little_is_refused(market: Any, reverted: Any, who: str) -> None:
    market.set_balance(getattr(market, who), (COST if who != "scheduler" else STAKE) - 1)
    with pytest.raises(reverted, match=r"^IexecEscrow: Transfer amount exceeds balance$"):
        market.match(boost=True, sponsored=who == "sponsor")


def test_exactly_enough_is_enough(market: Any) -> None:
    market.set_balance(market.requester, 2 * COST)
    market.set_balance(market.scheduler, 2 * STAKE)
    market.match(boost=True, volume=2)
    assert market.account(market.requester) == (0, 2 * COST)
    assert market.account(market.scheduler) == (0, 2 * STAKE)
    assert market.conserved()


def test_stakes_and_rewards_are_rounded_down_per_task(market: Any) -> None:
    price = 1_000_000_015
    order = market.workerpool_order(workerpoolprice=price)
    match = market.match(workerpool=order, workerpoolmaxprice=price, volume=3, boost=True)
    assert market.account(market.scheduler)[1] == 3 * 300_000_004
    assert market.boost_deal(match.id).worker_reward == 990_000_014


@pytest.mark.parametrize(("ratio", "reward"), [(0, 1_000_000_000), (100, 0), (33, 670_000_000)])
def test_the_policy_of_the_workerpool_is_that_of_the_match(market: Any, ratio: int, reward: int) -> None:
    market.chain.send(market.workerpool, CHANGE_POLICY.encode(55, ratio), market.scheduler)
    assert market.boost_deal(market.match(boost=True).id).worker_reward == reward


# --- restrictions and signatures --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "field", "named"),
    [
        ("app", "datasetrestrict", "dataset"),
        ("app", "workerpoolrestrict", "workerpool"),
        ("app", "requesterrestrict", "requester"),
        ("dataset", "apprestrict", "app"),
        ("dataset", "workerpoolrestrict", "workerpool"),
        ("dataset", "requesterrestrict", "requester"),
        ("workerpool", "apprestrict", "app"),
        ("workerpool", "datasetrestrict", "dataset"),
        ("workerpool", "requesterrestrict", "requester"),
        ("request", "workerpool", "workerpool"),
    ],
)
@pytest.mark.parametrize("by_group", [False, True])
def test_a_restriction_lets_through_whom_it_names_or_whose_group_it_names(
    market: Any, mock: Any, kind: str, field: str, named: str, by_group: bool
) -> None:
    restriction = mock("Wallet", 0) if by_group else getattr(market, named)
    order = getattr(market, f"{kind}_order")(**{field: restriction})
    assert market.boost_deal(market.match(**{kind: order}, boost=True).id).exists


def test_a_group_may_decline(market: Any, mock: Any, reverted: Any) -> None:
    with pytest.raises(reverted, match=r"^PocoBoost: Requester restricted by app order$"):
        market.match(app=market.app_order(requesterrestrict=mock("Wallet", 1)), boost=True)


def test_orders_are_matched_when_they_were_signed_on_chain(market: Any) -> None:
    owners = {
        "app": market.app_owner,
        "dataset": market.dataset_owner,
        "workerpool": market.scheduler,
        "request": market.requester,
    }
    orders = {kind: getattr(market, f"{kind}_order")(sign="0x") for kind in owners}
    for kind, order in orders.items():
        market.chain.send(market.hub, manage_order(order, OrderOperation.SIGN), owners[kind])
    match = market.match(**orders, boost=True)
    assert market.boost_deal(match.id).exists
    for kind, order in orders.items():
        assert market.view("viewPresigned", market.hash(order)) == owners[kind]


@pytest.mark.parametrize(
    ("kind", "owner"), [("app", "app_owner"), ("dataset", "dataset_owner"), ("workerpool", "scheduler")]
)
@pytest.mark.parametrize("mode", [0, 1, 2])
def test_an_asset_owned_by_a_contract_is_offered_by_its_word(
    market: Any, mock: Any, reverted: Any, kind: str, owner: str, mode: int
) -> None:
    wallet = mock("Wallet", mode)
    market.give_asset(kind, getattr(market, kind), getattr(market, owner), wallet)
    market.fund(wallet)
    order = getattr(market, f"{kind}_order")(sign="0x01")
    if mode == 0:
        assert market.boost_deal(market.match(**{kind: order}, boost=True).id).exists
    else:
        with pytest.raises(reverted, match=f"^PocoBoost: Invalid {kind} order signature$"):
            market.match(**{kind: order}, boost=True)


def test_a_contract_may_be_the_requester(market: Any, mock: Any) -> None:
    wallet = mock("Wallet", 0)
    market.fund(wallet)
    match = market.match(request=market.request_order(requester=wallet, sign="0x01"), boost=True)
    assert market.boost_deal(match.id).requester == wallet


# --- what a deal can hold ---------------------------------------------------------------------------------------------


def too_wide(error: Any) -> tuple[int, int]:
    """Bits and number of the refusal."""
    assert error.value.data[:4] == TOO_WIDE.selector
    words = error.value.data[4:]
    assert len(words) == 64
    return int.from_bytes(words[:32], "big"), int.from_bytes(words[32:], "big")


GENEROUS = {"appmaxprice": 2**97, "datasetmaxprice": 2**97, "workerpoolmaxprice": 2**97}
WIDE_APP = {"appprice": 2**96}
WIDE_POOL = {"workerpoolprice": 2**96 + 1}
WIDE_DATASET = {"datasetprice": 2**96 + 2}


@pytest.mark.parametrize(
    ("app", "workerpool", "dataset", "found"),
    [
        (WIDE_APP, WIDE_POOL, WIDE_DATASET, 2**96),
        ({}, WIDE_POOL, WIDE_DATASET, 2**96 + 1),
        ({}, {}, WIDE_DATASET, 2**96 + 2),
    ],
)
def test_a_price_beyond_96_bits_is_refused_with_its_width(
    market: Any, reverted: Any, app: Order, workerpool: Order, dataset: Order, found: int
) -> None:
    with pytest.raises(reverted) as caught:
        market.match(
            app=market.app_order(**app),
            workerpool=market.workerpool_order(**workerpool),
            dataset=market.dataset_order(**dataset),
            boost=True,
            **GENEROUS,
        )
    assert too_wide(caught) == (96, found)


def test_the_highest_prices_fit(market: Any, reverted: Any) -> None:
    """They are only too expensive for anybody."""
    top = 2**96 - 1
    with pytest.raises(reverted, match=r"^IexecEscrow: Transfer amount exceeds balance$"):
        market.match(
            app=market.app_order(appprice=top),
            workerpool=market.workerpool_order(workerpoolprice=top),
            dataset=market.dataset_order(datasetprice=top),
            boost=True,
            **GENEROUS,
        )


def free_orders(market: Any, **volumes: int) -> dict[str, Any]:
    """Orders that cost nothing, of any volume."""
    volumes = dict.fromkeys(("app", "workerpool", "request"), 2**53 - 1) | volumes
    return {
        "app": market.app_order(appprice=0, volume=volumes["app"]),
        "workerpool": market.workerpool_order(workerpoolprice=0, volume=volumes["workerpool"]),
        "request": market.request_order(dataset=NULL_ADDRESS, datasetmaxprice=0, volume=volumes["request"]),
    }


def test_a_first_task_beyond_16_bits_is_refused_with_its_width(market: Any, reverted: Any) -> None:
    orders = free_orders(market, workerpool=65_536)
    market.match(**orders)
    orders |= {"workerpool": market.workerpool_order(workerpoolprice=0)}
    with pytest.raises(reverted) as caught:
        market.match(**orders, boost=True)
    assert too_wide(caught) == (16, 65_536)
    assert market.deal(market.match(**orders).id).bot_first == 65_536


def test_a_first_task_of_16_bits_is_recorded(market: Any) -> None:
    orders = free_orders(market, workerpool=65_535)
    market.match(**orders)
    orders |= {"workerpool": market.workerpool_order(workerpoolprice=0)}
    deal = market.boost_deal(market.match(**orders, boost=True).id)
    assert (deal.bot_first, deal.bot_size) == (65_535, 1000)


def test_a_deadline_beyond_40_bits_is_refused_with_its_width(market: Any, reverted: Any) -> None:
    market.chain.ask("evm_setNextBlockTimestamp", 2**40 - 2101)
    assert market.boost_deal(market.match(boost=True).id).deadline == 2**40 - 1
    market.chain.ask("evm_setNextBlockTimestamp", 2**40 - 2100)
    with pytest.raises(reverted) as caught:
        market.match(boost=True)
    assert too_wide(caught) == (40, 2**40)


@pytest.mark.parametrize("field", ["params", "sign"])
def test_what_no_order_may_hold_is_refused_before_anything_is_looked_at(market: Any, reverted: Any, field: str) -> None:
    value = {"params": "x" * 4097, "sign": "0x" + "11" * 1025}[field]
    with pytest.raises(reverted) as caught:
        market.match(request=market.request_order(**{field: value}), boost=True)
    assert caught.value.data == b""


def test_params_of_the_greatest_length_are_told(market: Any) -> None:
    match = market.match(params="x" * 4096, boost=True)
    assert dict(market.events(match.receipt))["SchedulerNoticeBoost"]["params"] == "x" * 4096


# --- Boost deals and classic ones are never taken for each other ------------------------------------------------------


def place_of(market: Any, identifier: str) -> str:
    return create2_address(market.hub, to_bytes(identifier), keccak256(INIT_CODE))


def code_at(market: Any, address: str) -> bytes:
    return to_bytes(market.chain.ask("eth_getCode", address, "latest"))


def is_no_classic_deal(market: Any, reverted: Any, deal_id: str, index: int = 0) -> None:
    assert not market.deal(deal_id).exists
    for name, arguments in (("initialize", (deal_id, index)), ("initializeAndClaimArray", ([deal_id], [index]))):
        with pytest.raises(reverted) as caught:
            market.send(name, *arguments, sender=market.stranger)
        assert caught.value.data == b""
    with pytest.raises(reverted, match="Deal not found"):
        market.view("assertDatasetDealCompatibility", order_to_abi(market.dataset_order()), deal_id)


def is_no_boost_deal(market: Any, reverted: Any, match: Any, index: int = 0) -> None:
    assert market.boost_deal(match.id) == BoostDeal()
    with pytest.raises(reverted, match=r"^PocoBoost: Unknown task$"):
        market.push(match, market.workers[0], index)
    with pytest.raises(reverted, match=r"^PocoBoost: Unknown task$"):
        market.send("claimBoost", match.id, index, sender=market.stranger)


def test_a_boost_deal_is_no_classic_deal(market: Any, reverted: Any) -> None:
    match = market.match(boost=True, sponsored=True)
    is_no_classic_deal(market, reverted, match.id)


def test_a_classic_deal_is_no_boost_deal(market: Any, reverted: Any) -> None:
    match = market.match(volume=2)
    is_no_boost_deal(market, reverted, match)
    market.initialize(match)
    is_no_boost_deal(market, reverted, match)


@pytest.mark.parametrize("boost_first", [False, True])
def test_one_request_may_be_served_by_both_kinds(market: Any, reverted: Any, boost_first: bool) -> None:
    request = market.request_order(volume=5)
    first = market.match(request=request, workerpool=market.workerpool_order(volume=3), boost=boost_first)
    second = market.match(request=request, boost=not boost_first)
    boosted, classic = (first, second) if boost_first else (second, first)
    assert boosted.id != classic.id
    is_no_classic_deal(market, reverted, boosted.id, 3)
    is_no_boost_deal(market, reverted, classic)
    assert market.boost_deal(boosted.id).bot_first == (0 if boost_first else 3)
    assert market.deal(classic.id).bot_first == (3 if boost_first else 0)
    market.push(boosted, market.workers[0])
    task = market.initialize(classic, market.deal(classic.id).bot_first)
    market.contribute_and_finalize(task, market.workers[0])
    assert market.task(boosted.task()).status is market.task(task).status is TaskStatus.COMPLETED
    assert market.conserved()


def test_no_boost_match_lets_a_classic_deal_be_forged(market: Any, reverted: Any) -> None:
    """Given code of his own at the address of a request's first deal, an attacker needs a classic match of it."""
    genuine = market.match()
    request = market.request_order(volume=5)
    boosted = market.match(request=request, workerpool=market.workerpool_order(volume=3), boost=True)
    code = code_at(market, place_of(market, genuine.id))
    forged = code.replace(to_bytes(market.hash(genuine.request)), to_bytes(market.hash(request)))
    assert forged != code
    market.chain.ask("anvil_setCode", place_of(market, boosted.id), to_hex(forged))
    is_no_classic_deal(market, reverted, boosted.id)
    continued = market.match(request=request)
    assert market.deal(continued.id).bot_first == 3
    is_no_classic_deal(market, reverted, boosted.id)


def test_no_classic_match_lets_a_boost_deal_be_forged(market: Any, reverted: Any) -> None:
    """Only storage says that a Boost deal exists."""
    genuine, classic = market.match(boost=True), market.match()
    code = to_hex(code_at(market, place_of(market, genuine.id)))
    unmatched = dataclasses.replace(classic, id="0x" + "ab" * 32)
    for match in (classic, unmatched):
        market.chain.ask("anvil_setCode", place_of(market, match.id), code)
        is_no_boost_deal(market, reverted, match)


def test_a_match_over_planted_code_is_refused(market: Any, reverted: Any) -> None:
    request = market.request_order()
    market.chain.ask("anvil_setCode", place_of(market, ids.deal_id(market.hash(request), 0)), "0x00")
    with pytest.raises(reverted, match=r"^blob exists$"):
        market.match(request=request, boost=True)
    assert market.view("viewConsumed", market.hash(request)) == 0


# --- what the reference gets wrong ------------------------------------------------------------------------------------


@pytest.mark.parametrize("sign", [NOBODY, "0x" + "11" * 64])
def test_fixed_01_nobody_signs_for_the_zero_address(market: Any, reverted: Any, sign: str) -> None:
    request = market.request_order(requester=NULL_ADDRESS, sign=sign)
    with pytest.raises(reverted, match=r"^PocoBoost: Invalid request order signature$"):
        market.match(request=request, boost=True, sponsored=True)


def test_fixed_04_a_price_without_a_dataset_is_neither_recorded_nor_charged(market: Any) -> None:
    dataset = market.dataset_order(dataset=NULL_ADDRESS, datasetprice=777)
    request = market.request_order(dataset=NULL_ADDRESS, datasetmaxprice=777)
    match = market.match(dataset=dataset, request=request, boost=True)
    assert market.boost_deal(match.id).dataset_price == 0
    assert market.account(market.requester)[1] == COST - 1_000_000
    market.push(match, market.workers[0])
    assert market.account(market.requester)[1] == 0
    assert market.conserved()


def test_fixed_04_a_price_without_a_dataset_may_even_be_too_wide(market: Any) -> None:
    dataset = market.dataset_order(dataset=NULL_ADDRESS, datasetprice=2**96)
    request = market.request_order(dataset=NULL_ADDRESS, datasetmaxprice=2**96)
    assert market.boost_deal(market.match(dataset=dataset, request=request, boost=True).id).exists


FRAMEWORKS = (TEE, TEE_SCONE, TEE_GRAMINE, TEE_TDX, TEE_ALL)


@pytest.mark.parametrize(("dataset_tag", "pool_tag"), list(product(FRAMEWORKS, FRAMEWORKS)))
def test_fixed_06_the_framework_of_a_dataset_does_not_bind(market: Any, dataset_tag: str, pool_tag: str) -> None:
    match = market.match(
        app=market.app_order(tag=TEE),
        dataset=market.dataset_order(tag=dataset_tag),
        workerpool=market.workerpool_order(tag=pool_tag),
        tag=TEE,
        boost=True,
    )
    assert market.boost_deal(match.id).short_tag == "0x000001"
    assert dict(market.events(match.receipt))["SchedulerNoticeBoost"]["tag"] == TEE


def test_fixed_07_an_enormous_volume_is_clamped_to_what_a_deal_can_count(market: Any, reverted: Any) -> None:
    orders = free_orders(market, app=2**256 - 1, workerpool=2**53 - 1, request=2**53 - 1)
    first, second = (market.match(**orders, boost=True) for _ in range(2))
    deals = market.boost_deal(first.id), market.boost_deal(second.id)
    assert [(deal.bot_first, deal.bot_size) for deal in deals] == [(0, 65_535), (65_535, 65_535)]
    assert [market.view("viewConsumed", market.hash(order)) for order in orders.values()] == [131_070] * 3
    for match in (first, second):
        market.push(match, market.workers[0], 65_534)
        with pytest.raises(reverted, match=r"^PocoBoost: Unknown task$"):
            market.push(match, market.workers[0], 65_535)
    with pytest.raises(reverted) as caught:
        market.match(**orders, boost=True)
    assert too_wide(caught) == (16, 131_070)
    # the offers of app and workerpool serve other requests as before
    assert market.boost_deal(market.match(**orders | free_orders_of_request(market), boost=True).id).bot_size == 1


def free_orders_of_request(market: Any) -> dict[str, Any]:
    return {"request": market.request_order(dataset=NULL_ADDRESS, datasetmaxprice=0)}


@pytest.mark.parametrize("mode", [3, 4, 5])
def test_fixed_18_whoever_answers_nonsense_says_no(market: Any, mock: Any, reverted: Any, mode: int) -> None:
    group = mock("Wallet", mode)
    with pytest.raises(reverted, match=r"^PocoBoost: Requester restricted by app order$"):
        market.match(app=market.app_order(requesterrestrict=group), boost=True)
    with pytest.raises(reverted, match=r"^PocoBoost: Invalid request order signature$"):
        market.match(request=market.request_order(requester=group, sign=NOBODY), boost=True)


def test_fixed_19_an_account_with_delegated_code_signs_with_its_key(market: Any) -> None:
    """EIP-7702."""
    for account in (market.requester, market.scheduler, market.enclave):
        market.chain.ask("anvil_setCode", account, "0xef0100" + market.manifest.token[2:])
    market.push(market.match(boost=True), market.workers[0], enclave=market.enclave)


def test_fixed_20_a_recovery_id_of_0_or_1_is_27_or_28(market: Any) -> None:
    request = market.request_order()
    sign = to_bytes(request.sign)
    bare = replace(request, sign=to_hex(sign[:64] + bytes([sign[64] - 27])))
    assert market.boost_deal(market.match(request=bare, boost=True).id).exists
