"""Orders enter the book when everything about them is true, and leave it when their signer says so."""

from __future__ import annotations

import io
from typing import Any

import anyio
import msgspec
import pytest

from pyiexec.chain.anvil import free_port
from pyiexec.chain.signer import Signer
from pyiexec.protocol.eip712 import challenge_hash
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.orders import Order, kind_of, order_to_json
from pyiexec.protocol.primitives import NULL_ADDRESS, to_bytes, to_hex

from .conftest import APP_OWNER, DATASET_OWNER, DEPOSIT, POOL_OWNER, REQUESTER, STRANGER, Chain, Market, running

pytestmark = pytest.mark.anyio


async def refused(market: Market, order: Order, signer: Signer) -> str:
    with pytest.raises(IexecError) as refusal:
        await market.book.publish(order, signer)
    status, _ = await market.get(f"/{kind_of(order)}s/{market.chain.hash(order)}")
    assert status == 404
    return refusal.value.what


async def test_each_kind_of_order_can_be_published_and_found(market: Market, chain: Chain) -> None:
    request = chain.request_order(dataset=chain.dataset, datasetmaxprice=2)
    for order, signer in (
        (chain.app_order(), APP_OWNER),
        (chain.dataset_order(), DATASET_OWNER),
        (chain.pool_order(), POOL_OWNER),
        (request, REQUESTER),
    ):
        kind = kind_of(order)
        assert await market.book.publish(order, signer) == chain.hash(order)
        found = await market.book.order(kind, chain.hash(order))
        assert (found.order, found.signer, found.remaining, found.status) == (
            order,
            signer.address,
            order.volume,
            "open",
        )
        query = {"apporder": {"app": chain.app}, "datasetorder": {"dataset": chain.dataset}}.get(kind, {})
        assert [it.order for it in await market.book.orders(kind, **query)] == [order]


async def test_the_javascript_clients_see_the_json_they_know(market: Market, chain: Chain) -> None:
    order = chain.app_order(appprice=7)
    strings = {
        name: str(value) if isinstance(value, int) else value for name, value in order_to_json(order).items()
    } | {"unknown": "dropped"}
    token = await market.token(APP_OWNER)
    status, answer = await market.request("POST", "/apporders", {"order": strings}, token)
    assert status == 200
    assert answer == {
        "ok": True,
        "published": {
            "orderHash": chain.hash(order),
            "order": order_to_json(order),
            "chainId": chain.manifest.chain_id,
            "remaining": 10,
            "fillable": 10,
            "status": "open",
            "signer": APP_OWNER.address,
            "publicationTimestamp": "2027-01-15T08:00:00.000Z",
        },
    }
    listed = {"ok": True, "count": 1, "orders": [answer["published"]]}
    assert await market.get("/apporders", app=chain.app, isDatasetStrict="false") == (200, listed)
    alone = {"ok": True, **answer["published"], "chainId": str(chain.manifest.chain_id)}
    assert await market.get(f"/apporders/{chain.hash(order).upper().replace('X', 'x')}") == (200, alone)


async def test_what_is_not_true_is_refused(market: Market, chain: Chain) -> None:
    undeployed = chain.signed(msgspec.structs.replace(chain.app_order(), app=STRANGER.address), APP_OWNER)
    assert await refused(market, undeployed, APP_OWNER) == "Resource not deployed"
    own = chain.app_order()
    assert await refused(market, own, STRANGER) == f"only order signer {APP_OWNER.address} can publish an order"
    forged = chain.signed(own, STRANGER)
    assert await refused(market, forged, APP_OWNER) == "invalid sign"
    for signature in ("0x", "0x00", own.sign[:-4], to_hex(bytes(65))):
        broken = msgspec.structs.replace(own, sign=signature)
        assert await refused(market, broken, APP_OWNER) == "invalid sign"


async def test_an_order_is_published_once(market: Market, chain: Chain) -> None:
    order = chain.app_order()
    await market.book.publish(order, APP_OWNER)
    with pytest.raises(IexecError, match="order already published"):
        await market.book.publish(order, APP_OWNER)


async def test_of_equal_publications_at_once_one_is_taken(market: Market, chain: Chain) -> None:
    order = chain.app_order()
    outcomes: list[str] = []

    async def publish() -> None:
        try:
            await market.book.publish(order, APP_OWNER)
            outcomes.append("published")
        except IexecError as error:
            outcomes.append(error.code)

    async with anyio.create_task_group() as group:
        for _ in range(8):
            group.start_soon(publish)
    assert sorted(outcomes) == ["ORDER_PUBLISHED"] * 7 + ["published"]


async def test_stakes_must_cover_what_is_offered(market: Market, chain: Chain) -> None:
    price = DEPOSIT * 10 // 3 // 10
    await market.book.publish(chain.pool_order(workerpoolprice=price, volume=10), POOL_OWNER)
    too_dear = chain.pool_order(workerpoolprice=price, volume=11)
    message = await refused(market, too_dear, POOL_OWNER)
    assert message == "workerpool owner's stake is too low to cover required workerpool lock"
    request = chain.request_order(appmaxprice=0, workerpoolmaxprice=DEPOSIT, volume=2)
    assert await refused(market, request, REQUESTER) == (
        f"requester stake is too low to cover requestorder payment, minimum stake required is {2 * DEPOSIT} nRLC"
    )


async def test_a_request_needs_orders_that_serve_it(market: Market, chain: Chain) -> None:
    request = chain.request_order(dataset=chain.dataset, datasetmaxprice=1)
    assert await refused(market, request, REQUESTER) == f"No apporder published for app {chain.app}"
    await market.book.publish(chain.app_order(appprice=1, requesterrestrict=STRANGER.address), APP_OWNER)
    await market.book.publish(chain.app_order(appprice=4), APP_OWNER)
    assert await refused(market, request, REQUESTER) == (
        f"appmaxprice for app {chain.app} is too low, actual best price is 4 nRLC"
    )
    await market.book.publish(chain.app_order(appprice=3, requesterrestrict=REQUESTER.address), APP_OWNER)
    assert await refused(market, request, REQUESTER) == f"No datasetorder published for dataset {chain.dataset}"
    await market.book.publish(chain.dataset_order(datasetprice=2), DATASET_OWNER)
    assert await refused(market, request, REQUESTER) == (
        f"datasetmaxprice for dataset {chain.dataset} is too low, actual best price is 2 nRLC"
    )
    await market.book.publish(chain.dataset_order(datasetprice=1), DATASET_OWNER)
    await market.book.publish(request, REQUESTER)


async def test_the_number_of_open_orders_of_a_wallet_is_bounded(chain: Chain, database_url: str) -> None:
    async with running(chain, database_url, open_orders_per_wallet=2) as market:
        for _ in range(2):
            await market.book.publish(chain.app_order(), APP_OWNER)
        assert await refused(market, chain.app_order(), APP_OWNER) == (
            f"maximum of 2 published open apporder has been reached for wallet {APP_OWNER.address}"
        )
        await market.book.publish(chain.pool_order(), POOL_OWNER)


async def test_an_order_signed_by_a_transaction_needs_no_signature(market: Market, chain: Chain) -> None:
    order = msgspec.structs.replace(chain.app_order(), sign="0x")
    await chain.presign(order, APP_OWNER)
    await market.book.publish(order, APP_OWNER)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"volume": 0}, "volume"),
        ({"volume": "1.5"}, "volume"),
        ({"volume": 2**53}, "volume"),
        ({"appprice": -1}, "appprice"),
        ({"appprice": None}, "appprice"),
        ({"appprice": True}, "appprice"),
        ({"app": "0x12"}, "app"),
        ({"tag": "0x0"}, "tag"),
        ({"salt": 7}, "salt"),
        ({"sign": "signed"}, "sign"),
        ({"requesterrestrict": []}, "requesterrestrict"),
    ],
)
async def test_ill_formed_orders_are_refused_by_field(
    market: Market, chain: Chain, change: dict[str, Any], field: str
) -> None:
    body = {"order": order_to_json(chain.app_order()) | change}
    status, answer = await market.request("POST", "/apporders", body, await market.token(APP_OWNER))
    assert status == 400
    assert field in answer["error"]
    missing = {"order": {name: value for name, value in order_to_json(chain.app_order()).items() if name != field}}
    status, answer = await market.request("POST", "/apporders", missing, await market.token(APP_OWNER))
    assert (status, answer["error"]) == (400, f"order.{field} is a required field")
    assert await market.book.orders("apporder", app=chain.app) == []


@pytest.mark.parametrize("body", [None, [], "order", {}, {"order": []}, {"order": {}}])
async def test_bodies_that_hold_no_order_are_refused(market: Market, body: Any) -> None:
    status, _ = await market.request("POST", "/apporders", body, await market.token(APP_OWNER))
    assert status == 400


async def test_a_body_without_end_is_refused(market: Market, chain: Chain) -> None:
    order = chain.request_order(params="x" * 2_000_000)
    body = io.BytesIO(msgspec.json.encode({"order": order_to_json(order)}))
    url = f"{market.url}/requestorders?chainId={chain.manifest.chain_id}"
    headers = {"authorization": await market.token(REQUESTER), "content-type": "application/json"}
    async with market.session.post(url, data=body, headers=headers) as response:
        assert response.status == 413
        assert (await response.json())["ok"] is False


async def test_a_login_counts_once(market: Market, chain: Chain) -> None:
    token = await market.token(APP_OWNER)
    body = {"order": order_to_json(chain.app_order())}
    assert (await market.request("POST", "/apporders", body, token))[0] == 200
    again = {"order": order_to_json(chain.app_order())}
    status, answer = await market.request("POST", "/apporders", again, token)
    assert (status, answer["error"]) == (403, "invalid authorization")


async def test_a_refused_order_uses_the_login_up_too(market: Market, chain: Chain) -> None:
    token = await market.token(STRANGER)
    body = {"order": order_to_json(chain.app_order())}
    assert (await market.request("POST", "/apporders", body, token))[1]["code"] == "ORDER_SIGNER_WRONG"
    assert (await market.request("POST", "/apporders", body, token))[1]["error"] == "invalid authorization"


async def test_a_login_expires(market: Market, chain: Chain) -> None:
    token = await market.token(APP_OWNER)
    market.clock.offset += 300
    body = {"order": order_to_json(chain.app_order())}
    assert (await market.request("POST", "/apporders", body, token))[1]["error"] == "invalid authorization"


async def test_a_wallet_may_have_several_logins_at_a_time(market: Market, chain: Chain) -> None:
    tokens = [await market.token(APP_OWNER) for _ in range(3)]
    for token in reversed(tokens):
        body = {"order": order_to_json(chain.app_order())}
        assert (await market.request("POST", "/apporders", body, token))[0] == 200


async def test_forged_logins_are_refused_and_do_not_burn_the_real_one(market: Market, chain: Chain) -> None:
    token = await market.token(APP_OWNER)
    digest, signature, address = token.split("_")
    made_up = challenge_hash("never handed out", chain.manifest.chain_id)
    forged_signature = to_hex(STRANGER.sign_digest(to_bytes(digest)))
    body = {"order": order_to_json(chain.app_order())}
    for forged in (
        "",
        "_",
        f"{digest}_{signature}",
        f"{digest}_{signature}_{address}_",
        f"{digest}_0x_{address}",
        f"{digest}_{forged_signature}_{address}",
        f"{digest}_{forged_signature}_{STRANGER.address}",
        f"{digest}_{signature}_{NULL_ADDRESS}",
        f"{made_up}_{to_hex(APP_OWNER.sign_digest(to_bytes(made_up)))}_{address}",
        f"0x_{signature}_{address}",
    ):
        status, answer = await market.request("POST", "/apporders", body, forged)
        assert (status, answer["error"]) == (403, "invalid authorization")
    assert (await market.request("POST", "/apporders", body, token))[0] == 200


async def test_a_challenge_is_typed_data_for_wallets(market: Market, chain: Chain) -> None:
    status, answer = await market.get("/challenge", address=APP_OWNER.address.lower())
    assert status == 200
    data = answer["data"]
    assert data["domain"] == {"name": "iExec Gateway", "version": "1", "chainId": str(chain.manifest.chain_id)}
    assert data["types"]["Challenge"] == [{"name": "challenge", "type": "string"}]
    greeting, _, random = data["message"]["challenge"].rpartition(" ")
    assert greeting == "Sign this message to log into iExec Gateway:"
    assert len(random) == 32


# --- taking back --------------------------------------------------------------------------------------------------


async def test_the_signer_takes_an_order_back(market: Market, chain: Chain) -> None:
    order = chain.app_order()
    name = await market.book.publish(order, APP_OWNER)
    with pytest.raises(IexecError, match=f"only order signer {APP_OWNER.address} can unpublish an order"):
        await market.book.unpublish("apporder", STRANGER, order_hash=name)
    assert await market.book.unpublish("apporder", APP_OWNER, order_hash=name) == [name]
    with pytest.raises(IexecError, match=f"apporder with orderHash {name} is not published"):
        await market.book.unpublish("apporder", APP_OWNER, order_hash=name)
    assert (await market.get(f"/apporders/{name}"))[1]["error"] == "apporder not found"
    assert await market.book.publish(order, APP_OWNER) == name


async def test_the_last_or_all_orders_of_a_resource_are_taken_back(market: Market, chain: Chain) -> None:
    names = []
    for _ in range(4):
        names.append(await market.book.publish(chain.pool_order(), POOL_OWNER))
        market.clock.offset += 1
    other = await market.book.publish(chain.app_order(), APP_OWNER)
    pool = chain.workerpool
    assert await market.book.unpublish("workerpoolorder", POOL_OWNER, resource=pool, only_last=True) == names[3:]
    assert set(await market.book.unpublish("workerpoolorder", POOL_OWNER, resource=pool)) == set(names[:3])
    with pytest.raises(IexecError) as refusal:
        await market.book.unpublish("workerpoolorder", POOL_OWNER, resource=pool)
    assert refusal.value.what == (
        f"no open workerpoolorder published by signer {POOL_OWNER.address} for workerpool {pool}"
    )
    assert (await market.book.order("apporder", other)).status == "open"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "orderHash is a required field"),
        ({"orderHash": "0x12"}, "orderHash must be a bytes32 hexstring"),
        ({"orderHash": 7}, "orderHash must be a `string` type, but the final value was: `7`."),
        ({"target": "unpublish_last"}, "app is a required field"),
        ({"target": "unpublish_all", "app": "0x"}, "app is not a valid ethereum address"),
        (
            {"target": "everything"},
            "target must be one of the following values: unpublish_orderHash, unpublish_last, unpublish_all",
        ),
        ({"target": []}, "target must be one of"),
    ],
)
async def test_ill_formed_withdrawals_are_refused_by_field(market: Market, body: Any, message: str) -> None:
    status, answer = await market.request("PUT", "/apporders", body, await market.token(APP_OWNER))
    assert status == 400
    assert answer["error"].startswith(message)


async def test_without_a_chain_the_book_is_read_but_not_written(chain: Chain, database_url: str) -> None:
    async with running(chain, database_url) as market:
        name = await market.book.publish(chain.app_order(), APP_OWNER)
    async with running(chain, database_url, rpc_url=f"http://127.0.0.1:{free_port()}") as market:
        assert (await market.book.order("apporder", name)).status == "open"
        with pytest.raises(IexecError) as refusal:
            await market.book.publish(chain.app_order(), APP_OWNER)
        assert (refusal.value.code, refusal.value.retry) == ("CHAIN_UNREACHABLE", True)
