"""Every refusal in the words that clients know: each message of the table is met where it belongs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from pyiexec.market.app import refused as answer_to
from pyiexec.market.bodies import read_json, read_order, read_withdrawal
from pyiexec.market.challenges import read_token
from pyiexec.market.desk import withdraw
from pyiexec.market.filters import read_chain, read_deal_filter, read_filter, read_window
from pyiexec.market.listing import Listing, Status
from pyiexec.market.messages import MESSAGES, refusal
from pyiexec.market.rows import row_of
from pyiexec.market.rules import Book, Facts, check_publication
from pyiexec.market.tables import METADATA, ORDERS
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.orders import AppOrder, DatasetOrder, Order, RequestOrder, WorkerpoolOrder, kind_of, order_to_json
from pyiexec.protocol.primitives import NULL_ADDRESS, OrderHash, bytes32, checksum

APP, DATASET, POOL, OWNER, OTHER = (checksum(f"0x{number:040x}") for number in (10, 11, 12, 1, 2))
HASH = OrderHash(bytes32(77))
APP_ORDER = AppOrder(app=APP)
POOL_ORDER = WorkerpoolOrder(workerpool=POOL, workerpoolprice=10, volume=3)
REQUEST = RequestOrder(
    app=APP, appmaxprice=3, dataset=DATASET, datasetmaxprice=2, workerpoolmaxprice=5, requester=OWNER
)
TEE_REQUEST = RequestOrder(app=APP, requester=OWNER, tag=bytes32(9))

Case = tuple[str, Callable[[], Any], str]


def order_with(order: Order, **fields: Any) -> Callable[[], Any]:
    body = {"order": order_to_json(order) | {"sign": "0x"} | fields}
    return lambda: read_order(kind_of(order), body)


def order_without(order: Order, name: str) -> Callable[[], Any]:
    body = {"order": {key: value for key, value in (order_to_json(order) | {"sign": "0x"}).items() if key != name}}
    return lambda: read_order(kind_of(order), body)


def publishing(order: Order, *, held: dict[str, Any] | None = None, **known: Any) -> Callable[[], Any]:
    facts = {"caller": OWNER, "registered": True, "owner": OWNER, "signed": True, "consumed": 0, "stake": 100}
    book = Book(**{"live_orders": 0} | (held or {}))
    return lambda: check_publication(order, Facts(**facts | known), book, 50)


def withdrawing(kind: str, body: dict[str, Any], listed: Listing | None = None) -> Callable[[], Any]:
    def run() -> Any:
        engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
        with engine.begin() as connection:
            METADATA.create_all(connection)
            if listed is not None:
                connection.execute(sa.insert(ORDERS).values(row_of(listed)))
            withdraw(connection, kind, OWNER, read_withdrawal(kind, body), 0)

    return run


def of_others() -> Listing:
    return Listing(
        order_hash=HASH,
        chain_id=1,
        order=APP_ORDER,
        signer=OTHER,
        remaining=1,
        fillable=1,
        status=Status.OPEN,
        published_at=1,
    )


def cases() -> Iterator[Case]:
    yield "required", lambda: read_chain({}, 1), "chainId is a required field"
    yield "required", lambda: read_order("apporder", {}), "order is a required field"
    for order in (APP_ORDER, DatasetOrder(dataset=DATASET), POOL_ORDER, REQUEST):
        for name in order_to_json(order):
            if name != "params":
                yield "required", order_without(order, name), f"order.{name} is a required field"
    yield "required", lambda: read_withdrawal("apporder", {}), "orderHash is a required field"
    for kind, field in (("apporder", "app"), ("datasetorder", "dataset"), ("workerpoolorder", "workerpool")):
        yield "required", withdrawing(kind, {"target": "unpublish_all"}), f"{field} is a required field"
    last = {"target": "unpublish_last"}
    yield "required", lambda: read_withdrawal("requestorder", last), "requester is a required field"
    yield "named", lambda: read_filter("apporder", {}), "app or appOwner is required"
    yield "named", lambda: read_filter("datasetorder", {}), "dataset or datasetOwner is required"
    yield "null", order_with(APP_ORDER, app=None), "order.app cannot be null"
    yield "null", lambda: read_order("apporder", {"order": None}), "order cannot be null"
    yield "chain", lambda: read_chain({"chainId": "134"}, 1), "chainId 134 is not supported"
    yield "chain", lambda: read_chain({"chainId": "01"}, 1), "chainId 01 is not supported"
    yield "address", order_with(APP_ORDER, app="0x12"), "order.app is not a valid ethereum address"
    yield "address", lambda: read_deal_filter({"appOwner": "any"}), "appOwner is not a valid ethereum address"
    for name in ("app", "requester", "workerpool"):
        message = f'{name} is neither "any" nor a valid ethereum address'
        query = {"app": "any", name: "0x"}
        yield "address or any", lambda query=query: read_filter("requestorder", query), message  # type: ignore[misc]
    yield "bytes32", order_with(APP_ORDER, tag="0x1"), "order.tag must be a bytes32 hexstring"
    yield "bytes32", order_with(APP_ORDER, salt="0x" + "g" * 64), "order.salt must be a bytes32 hexstring"
    yield "bytes32", lambda: read_filter("workerpoolorder", {"minTag": "0"}), "minTag must be a bytes32 hexstring"
    yield "signature", order_with(APP_ORDER, sign="signed"), "order.sign must be a valid signature"
    strict = {"app": "any", "isAppStrict": "abc"}
    message = 'isAppStrict must be a `boolean` type, but the final value was: `"abc"`.'
    yield "boolean", lambda: read_filter("workerpoolorder", strict), message
    message = "order.app must be a `string` type, but the final value was: `7`."
    yield "string", order_with(APP_ORDER, app=7), message
    message = "order must be a `object` type, but the final value was: `[]`."
    yield "object", lambda: read_order("apporder", {"order": []}), message
    message = 'order.appprice must be a `number` type, but the final value was: `NaN` (cast from the value `"x"`).'
    yield "number", order_with(APP_ORDER, appprice="x"), message
    yield "integer", order_with(APP_ORDER, appprice=0.5), "order.appprice must be an integer"
    yield "at least", order_with(APP_ORDER, volume=0), "order.volume must be greater than or equal to 1"
    yield "at least", lambda: read_window({"pageSize": "9"}), "pageSize must be greater than or equal to 10"
    yield "at least", lambda: read_window({"pageIndex": "-1"}), "pageIndex must be greater than or equal to 0"
    yield "at most", lambda: read_window({"pageSize": "1001"}), "pageSize must be less than or equal to 1000"
    message = "order.volume must be less than or equal to 9007199254740991"
    yield "at most", order_with(APP_ORDER, volume=2**53), message
    message = "target must be one of the following values: unpublish_orderHash, unpublish_last, unpublish_all"
    yield "one of", lambda: read_withdrawal("apporder", {"target": "x"}), message
    yield "body", lambda: read_json(b"[]"), "the body must be a JSON object"
    yield "login", lambda: read_token(None), "invalid authorization"
    yield "published", publishing(APP_ORDER, held={"status": Status.FILLED}), "order already published"
    yield "not deployed", publishing(APP_ORDER, registered=False), "Resource not deployed"
    yield "publisher", publishing(APP_ORDER, owner=OTHER), f"only order signer {OTHER} can publish an order"
    yield "publisher", publishing(APP_ORDER, owner=None), f"only order signer {NULL_ADDRESS} can publish an order"
    yield "sign", publishing(APP_ORDER, signed=False), "invalid sign"
    for order in (APP_ORDER, DatasetOrder(dataset=DATASET), POOL_ORDER, REQUEST):
        message = f"maximum of 50 published open {kind_of(order)} has been reached for wallet {OWNER}"
        yield "quota", publishing(order, held={"live_orders": 50}), message
    yield "consumed", publishing(APP_ORDER, consumed=1), "order already consumed"
    message = "workerpool owner's stake is too low to cover required workerpool lock"
    yield "pool stake", publishing(POOL_ORDER, stake=8), message
    message = "requester stake is too low to cover requestorder payment, minimum stake required is 10 nRLC"
    yield "requester stake", publishing(REQUEST, stake=9), message
    yield "no apporder", publishing(REQUEST), f"No apporder published for app {APP}"
    yield "no tee apporder", publishing(TEE_REQUEST), f"No tee enabled apporder published for app {APP}"
    held: dict[str, Any] = {"app_price": 3}
    yield "no datasetorder", publishing(REQUEST, held=held), f"No datasetorder published for dataset {DATASET}"
    message = f"appmaxprice for app {APP} is too low, actual best price is 4 nRLC"
    yield "max price", publishing(REQUEST, held={"app_price": 4}), message
    message = f"datasetmaxprice for dataset {DATASET} is too low, actual best price is 7 nRLC"
    yield "max price", publishing(REQUEST, held=held | {"dataset_price": 7}), message
    by_hash = {"orderHash": HASH}
    for kind in ("apporder", "datasetorder", "workerpoolorder", "requestorder"):
        message = f"{kind} with orderHash {HASH} is not published"
        yield "not published", withdrawing(kind, by_hash), message
        field = "requester" if kind == "requestorder" else kind.removesuffix("order")
        message = f"no open {kind} published by signer {OWNER} for {field} {APP}"
        yield "none published", withdrawing(kind, {"target": "unpublish_last", field: APP}), message
    message = f"only order signer {OTHER} can unpublish an order"
    yield "withdrawer", withdrawing("apporder", by_hash, of_others()), message


CASES = list(cases())
#: Met over HTTP, where there is something to be found or a node to be away: see the tests of the services.
ELSEWHERE = {"no order", "no deal", "no category", "retry", "internal"}


@pytest.mark.parametrize(("name", "cause", "text"), CASES, ids=[f"{name}: {text[:40]}" for name, _, text in CASES])
def test_a_refusal_is_told_in_the_words_clients_know(name: str, cause: Callable[[], Any], text: str) -> None:
    with pytest.raises(IexecError) as refused:
        cause()
    assert refused.value.what == text
    assert refused.value.code == MESSAGES[name].code
    assert refused.value.http_status == (400 if MESSAGES[name].code == "BAD_REQUEST" else 403)


def test_no_message_goes_untried() -> None:
    assert {name for name, _, _ in CASES} | ELSEWHERE == MESSAGES.keys()


@pytest.mark.parametrize(
    ("name", "values", "status", "text"),
    [
        ("no order", {"kind": "apporder"}, 404, "apporder not found"),
        ("no deal", {}, 404, "deal not found"),
        ("no category", {}, 404, "category not found"),
    ],
)
def test_what_is_not_there_is_not_found(name: str, values: dict[str, str], status: int, text: str) -> None:
    refused = refusal(name, **values)
    assert (refused.http_status, refused.what) == (status, text)


def test_what_is_wrong_with_the_node_is_not_told_to_strangers() -> None:
    secret = IexecError("CHAIN_UNREACHABLE", "no answer from node.example/key")
    status, body = answer_to("/apporders", secret)
    assert status == 503
    assert body["error"] == "Something went wrong, you should retry later."
    assert body["retry"] is True
    assert "node.example" not in str(body)


def test_a_defect_of_ours_is_told_as_one() -> None:
    status, body = answer_to("/apporders", ZeroDivisionError("key"))
    assert (status, body["error"]) == (500, "Internal error")
    assert "key" not in str(body)


def test_nothing_of_a_value_is_taken_for_a_place_in_a_message() -> None:
    with pytest.raises(IexecError) as refused:
        read_chain({"chainId": "{path}{0}"}, 1)
    assert refused.value.what == "chainId {path}{0} is not supported"
