"""From four orders to a deal: every check with its code, and what is recorded."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from pyiexec.chain.abi import Function
from pyiexec.protocol import ids
from pyiexec.protocol.deals import Resource
from pyiexec.protocol.orders import NO_DATASET, order_to_abi
from pyiexec.protocol.primitives import NULL_ADDRESS, NULL_BYTES32, bytes32

ELSEWHERE = "0x1111111111111111111111111111111111111111"
ELSEWHERE_TOO = "0x2222222222222222222222222222222222222222"
TEE, TEE_SCONE, TEE_GRAMINE, TEE_TDX, TEE_ALL = (bytes32(tag) for tag in (0x01, 0x03, 0x05, 0x09, 0x0F))
NOBODY = "0x" + "11" * 65
CHANGE_POLICY = Function.parse("changePolicy(uint256 stake, uint256 reward)")

Order = dict[str, Any]
#: Code of the check, and the fields of app, dataset, workerpool and request order that fail it and no earlier one.
#: Orders are signed by nobody: checks of fields come before those of signatures.
FIELD_CHECKS: list[tuple[str, Order, Order, Order, Order]] = [
    ("0x00", {}, {}, {"category": 1}, {}),
    ("0x01", {}, {}, {"category": 6}, {"category": 6}),
    ("0x02", {}, {}, {"trust": 2}, {"trust": 3}),
    ("0x03", {"appprice": 1_001}, {}, {}, {}),
    ("0x04", {}, {"datasetprice": 1_000_001}, {}, {}),
    ("0x05", {}, {}, {"workerpoolprice": 1_000_000_001}, {}),
    ("0x06", {}, {}, {}, {"tag": bytes32(0x10)}),
    ("0x06", {"tag": TEE}, {}, {}, {}),
    ("0x06", {}, {"tag": bytes32(0x10)}, {}, {}),
    ("0x07", {}, {}, {"tag": TEE}, {"tag": TEE}),
    ("0x07", {}, {"tag": TEE}, {"tag": TEE}, {}),
    ("0x10", {}, {}, {}, {"app": ELSEWHERE}),
    ("0x11", {}, {}, {}, {"dataset": ELSEWHERE}),
    ("0x12", {}, {}, {}, {"workerpool": ELSEWHERE}),
    ("0x13", {"datasetrestrict": ELSEWHERE}, {}, {}, {}),
    ("0x14", {"workerpoolrestrict": ELSEWHERE}, {}, {}, {}),
    ("0x15", {"requesterrestrict": ELSEWHERE}, {}, {}, {}),
    ("0x16", {}, {"apprestrict": ELSEWHERE}, {}, {}),
    ("0x17", {}, {"workerpoolrestrict": ELSEWHERE}, {}, {}),
    ("0x18", {}, {"requesterrestrict": ELSEWHERE}, {}, {}),
    ("0x19", {}, {}, {"apprestrict": ELSEWHERE}, {}),
    ("0x1a", {}, {}, {"datasetrestrict": ELSEWHERE}, {}),
    ("0x1b", {}, {}, {"requesterrestrict": ELSEWHERE}, {}),
    ("0x20", {"app": ELSEWHERE}, {}, {}, {"app": ELSEWHERE}),
    ("0x21", {}, {}, {}, {}),
]


@pytest.mark.parametrize(("code", "app", "dataset", "workerpool", "request_"), FIELD_CHECKS)
def test_each_check_of_the_fields_has_its_code(
    market: Any, reverted: Any, code: str, app: Order, dataset: Order, workerpool: Order, request_: Order
) -> None:
    unsigned = {"sign": NOBODY}
    with pytest.raises(reverted, match=f"^iExecV5-matchOrders-{code}$"):
        market.match(
            app=market.app_order(**app | unsigned),
            dataset=market.dataset_order(**dataset | unsigned),
            workerpool=market.workerpool_order(**workerpool | unsigned),
            request=market.request_order(**request_ | unsigned),
        )


Break = Callable[[Any], dict[str, Any]]
#: Orders well signed but for the one that breaks.
IDENTITY_CHECKS: list[tuple[str, Break]] = [
    ("0x30", lambda m: {"dataset": m.dataset_order(dataset=m.app), "request": m.request_order(dataset=m.app)}),
    ("0x31", lambda m: {"dataset": m.dataset_order(sign=NOBODY)}),
    ("0x40", lambda m: {"workerpool": m.workerpool_order(workerpool=m.app)}),
    ("0x41", lambda m: {"workerpool": m.workerpool_order(sign=NOBODY)}),
    ("0x50", lambda m: {"request": m.request_order(sign=NOBODY)}),
    ("0x60", lambda m: {"app": m.app_order(volume=0)}),
    ("0x60", lambda m: {"dataset": m.dataset_order(volume=0)}),
    ("0x60", lambda m: {"workerpool": m.workerpool_order(volume=0)}),
    ("0x60", lambda m: {"request": m.request_order(volume=0)}),
]


@pytest.mark.parametrize(("code", "broken"), IDENTITY_CHECKS)
def test_each_check_of_identities_has_its_code(market: Any, reverted: Any, code: str, broken: Break) -> None:
    with pytest.raises(reverted, match=f"^iExecV5-matchOrders-{code}$"):
        market.match(**broken(market))


@pytest.mark.parametrize("kind", ["app", "dataset", "workerpool"])
def test_a_contract_that_merely_looks_like_an_asset_is_not_registered(
    market: Any, reverted: Any, mock: Any, kind: str
) -> None:
    fake = mock("Wallet", 0)
    codes = {"app": "0x20", "dataset": "0x30", "workerpool": "0x40"}
    order = getattr(market, f"{kind}_order")(**{kind: fake})
    request = market.request_order(**{kind: fake})
    with pytest.raises(reverted, match=codes[kind]):
        market.match(**{kind: order}, request=request)


@pytest.mark.parametrize("field", ["app", "dataset", "workerpool", "request"])
def test_a_signature_of_a_wrong_length_has_a_reason_of_its_own(market: Any, reverted: Any, field: str) -> None:
    order = getattr(market, f"{field}_order")(sign="0xbadd")
    with pytest.raises(reverted, match=r"^invalid-signature-format$"):
        market.match(**{field: order})


def test_a_deal_records_all_that_was_agreed(market: Any) -> None:
    tag = TEE_TDX
    request = market.request_order(
        beneficiary=market.stranger,
        callback=ELSEWHERE,
        params='{"iexec_args":"é"}',
        volume=321,
        category=2,
        trust=3,
        tag=tag,
        workerpool=market.workerpool,
    )
    app, dataset = market.app_order(tag=TEE), market.dataset_order(tag=TEE_SCONE)
    workerpool = market.workerpool_order(tag=tag, category=2)
    match = market.match(app=app, dataset=dataset, workerpool=workerpool, request=request, sponsored=True)
    deal = market.deal(match.id)
    assert deal.app == Resource(market.app, market.app_owner, 1_000)
    assert deal.dataset == Resource(market.dataset, market.dataset_owner, 1_000_000)
    assert deal.workerpool == Resource(market.workerpool, market.scheduler, 1_000_000_000)
    assert (deal.trust, deal.category, deal.tag) == (3, 2, tag)
    assert (deal.requester, deal.beneficiary) == (market.requester, market.stranger)
    assert (deal.callback, deal.params) == (ELSEWHERE, '{"iexec_args":"é"}')
    assert deal.start_time == market.chain.now()
    assert (deal.bot_first, deal.bot_size) == (0, 321)
    assert (deal.worker_stake, deal.scheduler_reward_ratio, deal.sponsor) == (300_000_000, 1, market.sponsor)
    for order in (app, dataset, workerpool, request):
        assert market.view("viewConsumed", market.hash(order)) == 321


def test_a_deal_without_trimmings_is_as_good(market: Any) -> None:
    match = market.match(no_dataset=True, trust=0, dataset=market.dataset_order(dataset=NULL_ADDRESS, datasetprice=0))
    deal = market.deal(match.id)
    assert deal.trust == 1
    assert deal.dataset == Resource()
    assert (deal.tag, deal.callback, deal.params) == (NULL_BYTES32, NULL_ADDRESS, "")
    assert deal.beneficiary == deal.sponsor == deal.requester == market.requester


def test_params_of_the_greatest_length_are_kept(market: Any) -> None:
    params = "x" * 4096
    request = market.request_order(params=params, callback=ELSEWHERE, beneficiary=ELSEWHERE, tag=bytes32(16))
    match = market.match(request=request, sponsored=True)
    assert market.deal(match.id).params == params


def test_longer_params_are_refused(market: Any, reverted: Any) -> None:
    with pytest.raises(reverted) as caught:
        market.match(params="x" * 4097)
    assert caught.value.data == b""


def test_a_match_tells_in_order(market: Any) -> None:
    match = market.match(volume=2, sponsored=True)
    hashes = {
        "appHash": market.hash(match.app),
        "datasetHash": market.hash(match.dataset),
        "workerpoolHash": market.hash(match.workerpool),
        "requestHash": market.hash(match.request),
    }
    cost, stake = 2 * 1_001_001_000, 2 * 300_000_000
    assert market.events(match.receipt) == [
        ("Transfer", {"from": market.sponsor, "to": market.hub, "value": cost}),
        ("Lock", {"owner": market.sponsor, "amount": cost}),
        ("Transfer", {"from": market.scheduler, "to": market.hub, "value": stake}),
        ("Lock", {"owner": market.scheduler, "amount": stake}),
        ("SchedulerNotice", {"workerpool": market.workerpool, "dealid": match.id}),
        ("OrdersMatched", {"dealid": match.id, **hashes, "volume": 2}),
        ("DealSponsored", {"dealId": match.id, "sponsor": market.sponsor}),
    ]


def test_without_a_dataset_its_hash_is_zero_and_its_volume_is_ignored(market: Any) -> None:
    match = market.match(no_dataset=True, volume=5)
    assert dict(market.events(match.receipt))["OrdersMatched"]["datasetHash"] == NULL_BYTES32
    assert market.view("viewConsumed", market.hash(NO_DATASET)) == 0
    assert market.deal(match.id).bot_size == 5


def test_one_request_is_served_by_several_deals(market: Any) -> None:
    request = market.request_order(volume=7)
    first = market.match(request=request, workerpool=market.workerpool_order(volume=3))
    second = market.match(request=request, workerpool=market.workerpool_order(volume=4))
    assert second.id == ids.deal_id(market.hash(request), 3)
    deals = market.deal(first.id), market.deal(second.id)
    assert [(deal.bot_first, deal.bot_size) for deal in deals] == [(0, 3), (3, 4)]
    task = market.initialize(second, 3)
    assert market.task(task).index == 3


def test_a_request_used_up_cannot_be_matched_again(market: Any, reverted: Any) -> None:
    match = market.match()
    with pytest.raises(reverted, match="0x60"):
        market.match(request=match.request)


@pytest.mark.parametrize("least", ["app", "dataset", "workerpool", "request"])
def test_the_smallest_order_is_the_volume_and_the_hub_can_say_so_before(market: Any, least: str) -> None:
    orders = {
        kind: getattr(market, f"{kind}_order")(volume=3 if kind == least else 9)
        for kind in ("app", "dataset", "workerpool", "request")
    }
    assert market.view("computeDealVolume", *map(order_to_abi, orders.values())) == 3
    match = market.match(**orders)
    assert market.deal(match.id).bot_size == 3
    assert market.view("computeDealVolume", *map(order_to_abi, orders.values())) == 0


def test_prices_of_zero_make_a_deal_without_money(market: Any) -> None:
    match = market.match(
        app=market.app_order(appprice=0),
        dataset=market.dataset_order(datasetprice=0),
        workerpool=market.workerpool_order(workerpoolprice=0),
    )
    assert market.deal(match.id).worker_stake == 0
    task = market.initialize(match)
    market.contribute(task, market.workers[0])
    market.reveal(task, market.workers[0])
    market.finalize(task)
    assert market.task(task).status == 3


@pytest.mark.parametrize("who", ["requester", "scheduler", "sponsor"])
def test_one_nrlc_too_little_is_refused(market: Any, reverted: Any, who: str) -> None:
    market.set_balance(getattr(market, who), 1_001_000_999 if who != "scheduler" else 299_999_999)
    with pytest.raises(reverted, match=r"^IexecEscrow: Transfer amount exceeds balance$"):
        market.match(sponsored=who == "sponsor")


FRAMEWORKS = (TEE, TEE_SCONE, TEE_GRAMINE, TEE_TDX, TEE_ALL)


@pytest.mark.parametrize(("dataset_tag", "pool_tag"), list(product(FRAMEWORKS, FRAMEWORKS)))
def test_the_framework_of_a_dataset_does_not_bind(market: Any, dataset_tag: str, pool_tag: str) -> None:
    match = market.match(
        app=market.app_order(tag=TEE),
        dataset=market.dataset_order(tag=dataset_tag),
        workerpool=market.workerpool_order(tag=pool_tag),
        tag=TEE,
    )
    assert market.deal(match.id).tag == TEE


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
    ],
)
@pytest.mark.parametrize("by_group", [False, True])
def test_a_restriction_lets_through_whom_it_names_or_whose_group_it_names(
    market: Any, mock: Any, kind: str, field: str, named: str, by_group: bool
) -> None:
    restriction = mock("Wallet", 0) if by_group else getattr(market, named)
    order = getattr(market, f"{kind}_order")(**{field: restriction})
    assert market.deal(market.match(**{kind: order}).id).exists


@pytest.mark.parametrize(
    ("order", "fields", "reason"),
    [
        ("request", {"trust": 2**24}, "trust too high"),
        ("app", {"appprice": 2**96}, "app price too high"),
        ("dataset", {"datasetprice": 2**96}, "dataset price too high"),
        ("workerpool", {"workerpoolprice": 2**96}, "workerpool price too high"),
    ],
)
def test_what_a_deal_cannot_hold_is_refused_with_a_reason(
    market: Any, reverted: Any, order: str, fields: Order, reason: str
) -> None:
    generous = {"appmaxprice": 2**97, "datasetmaxprice": 2**97, "workerpoolmaxprice": 2**97}
    changed = getattr(market, f"{order}_order")(**fields | (generous if order == "request" else {}))
    orders = {"request": market.request_order(**generous)} | {order: changed}
    with pytest.raises(reverted, match=f"^{reason}$"):
        market.match(**orders)


def test_a_worker_stake_beyond_what_a_deal_holds_is_refused(market: Any, reverted: Any) -> None:
    market.chain.send(market.workerpool, CHANGE_POLICY.encode(2**32 - 1, 1), market.scheduler)
    order = market.workerpool_order(workerpoolprice=2**96 - 1)
    with pytest.raises(reverted, match=r"^worker stake too high$"):
        market.match(workerpool=order, workerpoolmaxprice=2**96)


def test_the_policy_of_the_workerpool_is_recorded_at_the_match(market: Any) -> None:
    market.chain.send(market.workerpool, CHANGE_POLICY.encode(55, 100), market.scheduler)
    deal = market.deal(market.match().id)
    assert (deal.worker_stake, deal.scheduler_reward_ratio) == (550_000_000, 100)


def test_an_enormous_volume_is_clamped_to_the_indexes_a_deal_can_count(market: Any, reverted: Any) -> None:
    free = {"appprice": 0}
    orders = {
        "app": market.app_order(**free, volume=2**256 - 1),
        "workerpool": market.workerpool_order(workerpoolprice=0, volume=2**255),
        "request": market.request_order(dataset=NULL_ADDRESS, datasetmaxprice=0, volume=2**53 - 1),
    }
    match = market.match(**orders)
    deal = market.deal(match.id)
    assert (deal.bot_first, deal.bot_size) == (0, 2**32 - 1)
    assert market.initialize(match, 2**32 - 2)
    assert market.view("viewConsumed", market.hash(orders["app"])) == 2**32 - 1
    with pytest.raises(reverted, match="0x60"):
        market.match(**orders)
