"""Whether an order may be published, what is left of it, and who gets to see it."""

from __future__ import annotations

import msgspec
import pytest

from pyiexec.market.filters import read_filter
from pyiexec.market.listing import MAX_SAFE_INTEGER, Listing, Reason, Status, is_bulk, listing_to_json
from pyiexec.market.rules import Book, Facts, check_publication, wanted
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.orders import AppOrder, DatasetOrder, Order, RequestOrder, WorkerpoolOrder
from pyiexec.protocol.primitives import NULL_ADDRESS, Address, OrderHash, bytes32, checksum

APP, DATASET, POOL, OWNER, OTHER = (checksum(f"0x{number:040x}") for number in (10, 11, 12, 1, 2))
TEE_TAG, TDX_TAG, GPU_TAG = bytes32(1), bytes32(9), bytes32(1 << 8)


def facts(**known: object) -> Facts:
    usual = {"caller": OWNER, "registered": True, "owner": OWNER, "signed": True, "consumed": 0, "stake": 0}
    return Facts(**usual | known)


def book(**held: object) -> Book:
    return Book(**{"live_orders": 0} | held)


def refusal(order: Order, known: Facts, held: Book, quota: int = 50) -> str:
    with pytest.raises(IexecError) as refused:
        check_publication(order, known, held, quota)
    return refused.value.what


POOL_ORDER = WorkerpoolOrder(workerpool=POOL, workerpoolprice=99, volume=10, category=0)
REQUEST = RequestOrder(
    app=APP, appmaxprice=3, dataset=DATASET, datasetmaxprice=2, workerpoolmaxprice=5, requester=OWNER, volume=4
)
ALL_WRONG = {"registered": False, "owner": OTHER, "signed": False, "consumed": 10}


@pytest.mark.parametrize(
    ("known", "held", "message"),
    [
        (ALL_WRONG, {"status": Status.OPEN, "live_orders": 50}, "order already published"),
        (ALL_WRONG, {"live_orders": 50}, "Resource not deployed"),
        (ALL_WRONG | {"registered": True}, {"live_orders": 50}, f"only order signer {OTHER} can publish an order"),
        ({"signed": False, "consumed": 10}, {"live_orders": 50}, "invalid sign"),
        (
            {"consumed": 10},
            {"live_orders": 50},
            f"maximum of 50 published open workerpoolorder has been reached for wallet {OWNER}",
        ),
        ({"consumed": 10}, {}, "order already consumed"),
        ({"stake": 289}, {}, "workerpool owner's stake is too low to cover required workerpool lock"),
    ],
)
def test_an_order_is_refused_for_the_first_reason_there_is(
    known: dict[str, object], held: dict[str, object], message: str
) -> None:
    assert refusal(POOL_ORDER, facts(**known), book(**held)) == message


def test_the_pools_stake_is_floored_for_each_task_that_remains() -> None:
    check_publication(POOL_ORDER, facts(stake=290), book(), 50)
    check_publication(POOL_ORDER, facts(stake=145, consumed=5), book(), 50)


@pytest.mark.parametrize(
    ("stake", "held", "message"),
    [
        (
            39,
            {},
            "requester stake is too low to cover requestorder payment, minimum stake required is 40 nRLC",
        ),
        (40, {}, f"No apporder published for app {APP}"),
        (40, {"app_price": 4}, f"appmaxprice for app {APP} is too low, actual best price is 4 nRLC"),
        (40, {"app_price": 3}, f"No datasetorder published for dataset {DATASET}"),
        (
            40,
            {"app_price": 3, "dataset_price": 3},
            f"datasetmaxprice for dataset {DATASET} is too low, actual best price is 3 nRLC",
        ),
    ],
)
def test_a_request_must_be_paid_for_and_served(stake: int, held: dict[str, object], message: str) -> None:
    assert refusal(REQUEST, facts(stake=stake), book(**held)) == message


def test_a_served_request_is_published() -> None:
    check_publication(REQUEST, facts(stake=40), book(app_price=0, dataset_price=2), 50)
    without_dataset = msgspec.structs.replace(REQUEST, dataset=NULL_ADDRESS)
    check_publication(without_dataset, facts(stake=40), book(app_price=3), 50)


def test_a_request_for_an_enclave_is_told_so() -> None:
    request = msgspec.structs.replace(REQUEST, tag=TDX_TAG)
    assert refusal(request, facts(stake=40), book()) == f"No tee enabled apporder published for app {APP}"


@pytest.mark.parametrize("status", [Status.FILLED, Status.CANCELED])
def test_what_is_over_cannot_be_published_again(status: Status) -> None:
    assert refusal(POOL_ORDER, facts(stake=290), book(status=status)) == "order already published"


@pytest.mark.parametrize("status", [Status.SUSPENDED, Status.UNPUBLISHED])
def test_what_left_may_come_back(status: Status) -> None:
    check_publication(POOL_ORDER, facts(stake=290), book(status=status), 50)


def test_what_comes_back_from_suspension_has_its_place_already() -> None:
    check_publication(POOL_ORDER, facts(stake=290), book(status=Status.SUSPENDED, live_orders=50), 50)
    message = refusal(POOL_ORDER, facts(stake=290), book(status=Status.UNPUBLISHED, live_orders=50))
    assert message.startswith("maximum of 50")


def listed(order: Order) -> Listing:
    return Listing(
        order_hash=OrderHash(bytes32(1)),
        chain_id=65535,
        order=order,
        signer=OWNER,
        remaining=order.volume,
        fillable=order.volume,
        status=Status.OPEN,
        published_at=1_761_580_000_123,
    )


def sees(order: Order, kind: str, **query: str) -> bool:
    return wanted(listed(order), read_filter(kind, query))


@pytest.mark.parametrize(
    ("restriction", "query", "visible"),
    [
        (NULL_ADDRESS, {}, True),
        (OTHER, {}, False),
        (OTHER, {"isRequesterStrict": "true"}, False),
        (NULL_ADDRESS, {"requester": "any"}, True),
        (OTHER, {"requester": "any"}, True),
        (NULL_ADDRESS, {"requester": OTHER}, True),
        (OTHER, {"requester": OTHER}, True),
        (OTHER, {"requester": OTHER.lower(), "isRequesterStrict": "false"}, True),
        (POOL, {"requester": OTHER}, False),
        (NULL_ADDRESS, {"requester": OTHER, "isRequesterStrict": "true"}, False),
        (OTHER, {"requester": OTHER, "isRequesterStrict": "true"}, True),
    ],
)
def test_restricted_orders_show_to_those_they_are_for(
    restriction: Address, query: dict[str, str], visible: bool
) -> None:
    assert sees(AppOrder(app=APP, requesterrestrict=restriction), "apporder", app=APP, **query) is visible


@pytest.mark.parametrize(
    ("tag", "query", "visible"),
    [
        (bytes32(0), {"maxTag": bytes32(0)}, True),
        (TDX_TAG, {"maxTag": bytes32(0)}, True),
        (GPU_TAG, {"maxTag": bytes32(0)}, False),
        (GPU_TAG, {"maxTag": GPU_TAG}, True),
        (bytes32(0), {"minTag": TEE_TAG}, False),
        (TDX_TAG, {"minTag": TEE_TAG}, True),
        (TEE_TAG, {"minTag": TDX_TAG}, False),
        (GPU_TAG, {"minTag": bytes32(0)}, True),
    ],
)
def test_tags_are_bounded_on_both_sides_but_enclaves_not_from_above(
    tag: str, query: dict[str, str], visible: bool
) -> None:
    assert sees(WorkerpoolOrder(workerpool=POOL, tag=bytes32(tag)), "workerpoolorder", **query) is visible


@pytest.mark.parametrize(
    ("trust", "query", "visible"),
    [(0, {"minTrust": "1"}, True), (0, {"minTrust": "2"}, False), (5, {"minTrust": "5"}, True)],
)
def test_a_pool_must_reach_the_trust_asked_for(trust: int, query: dict[str, str], visible: bool) -> None:
    assert sees(WorkerpoolOrder(workerpool=POOL, trust=trust), "workerpoolorder", **query) is visible


def test_bulk_datasets_are_free_and_boundless() -> None:
    free = DatasetOrder(dataset=DATASET, volume=MAX_SAFE_INTEGER)
    assert is_bulk(free)
    assert is_bulk(msgspec.structs.replace(free, volume=MAX_SAFE_INTEGER - 1))
    assert not is_bulk(msgspec.structs.replace(free, datasetprice=1))
    assert not sees(DatasetOrder(dataset=DATASET), "datasetorder", dataset=DATASET, bulkOnly="true")
    assert listing_to_json(listed(free))["bulk"] is True
    assert "bulk" not in listing_to_json(listed(POOL_ORDER))


def test_a_listing_reads_as_clients_know_it() -> None:
    item = listing_to_json(listed(POOL_ORDER))
    assert item["publicationTimestamp"] == "2025-10-27T15:46:40.123Z"
    assert item["order"]["workerpoolprice"] == 99
    suspended = msgspec.structs.replace(
        listed(POOL_ORDER), status=Status.SUSPENDED, reason=Reason.STAKE, since=1_761_580_000_123
    )
    dead = listing_to_json(suspended)
    assert (dead["status"], dead["reason"], dead["since"]) == ("dead", "insufficient_stake", "2025-10-27T15:46:40.123Z")
    assert list(item) == [
        "orderHash",
        "order",
        "chainId",
        "remaining",
        "fillable",
        "status",
        "signer",
        "publicationTimestamp",
    ]
