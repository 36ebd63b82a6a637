"""What strangers send does no harm: it is refused by name, and the book goes on as before."""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import AsyncIterator
from typing import Any

import anyio
import msgspec
import pytest

from pyiexec.protocol.eip712 import Domain, challenge_hash, order_hash
from pyiexec.protocol.orders import Order, kind_of, order_to_json
from pyiexec.protocol.primitives import to_bytes, to_hex

from .conftest import APP_OWNER, POOL_OWNER, REQUESTER, STRANGER, Chain, Market

pytestmark = pytest.mark.anyio

HOSTILE = [
    "'; DROP TABLE orders; --",
    '" OR 1=1 --',
    "<script>alert(1)</script>",
    "0x' UNION SELECT document FROM orders --",
    "../../etc/passwd",
    "\u0000",
    "${jndi:ldap://x}",
    "0x" + "g" * 40,
    "0X" + "0" * 39,
    "é" * 42,
    "",
]


async def publish(market: Market, order: Order, fields: dict[str, Any], token: str) -> tuple[int, Any]:
    return await market.request("POST", f"/{kind_of(order)}s", {"order": order_to_json(order) | fields}, token)


async def test_text_that_is_no_value_is_refused_in_every_field_of_every_order(market: Market, chain: Chain) -> None:
    request = chain.request_order()
    # One login does for all: what is malformed does not use it up.
    token = await market.token(REQUESTER)
    for order in (chain.app_order(), chain.dataset_order(), chain.pool_order(), request):
        for name in order_to_json(order):
            for text in HOSTILE:
                if name == "params":
                    continue
                status, answer = await publish(market, order, {name: text}, token)
                assert status == 400, (kind_of(order), name, text, answer)
                assert answer["error"].startswith(f"order.{name} "), answer
                assert answer["ok"] is False
    await market.book.publish(chain.app_order(), APP_OWNER)
    assert (await publish(market, request, {}, token))[0] == 200


async def test_params_may_be_any_text_and_come_back_as_they_were(market: Market, chain: Chain) -> None:
    await market.book.publish(chain.app_order(volume=1000), APP_OWNER)
    for text in (*HOSTILE, "not JSON {", "x" * 300_000):
        order = chain.request_order(params=text, appmaxprice=3, workerpoolmaxprice=0)
        await market.book.publish(order, REQUESTER)
        found = await market.book.order("requestorder", chain.hash(order))
        assert found.order == order


async def test_text_that_is_no_value_is_refused_in_every_parameter(market: Market) -> None:
    for path, names in {
        "/apporders": ("app", "appOwner", "dataset", "minTag", "minVolume", "pageSize", "isDatasetStrict"),
        "/workerpoolorders": ("category", "minTrust", "workerpoolOwner", "maxTag"),
        "/requestorders": ("beneficiary", "maxTrust", "requester"),
        "/deals": ("appOwner", "requestorderHash", "category", "page"),
        "/categories": ("minWorkClockTimeRef", "pageIndex"),
        "/challenge": ("address",),
        "/ohlc": ("category",),
    }.items():
        for name in names:
            # A parameter without a value is as good as none.
            for text in filter(None, HOSTILE):
                status, answer = await market.get(path, **{"app": "any", name: text} if "app" in path else {name: text})
                assert status == 400, (path, name, text, answer)
                assert name in answer["error"]


async def test_numbers_of_every_kind_are_refused_by_field(market: Market, chain: Chain) -> None:
    order = chain.pool_order()
    token = await market.token(POOL_OWNER)
    for name in ("workerpoolprice", "volume", "category", "trust"):
        for value, message in (
            (True, f"order.{name} must be a `number` type"),
            ([1], f"order.{name} must be a `number` type"),
            ("NaN", f"order.{name} must be a `number` type"),
            ("Infinity", f"order.{name} must be a `number` type"),
            ("0x1", f"order.{name} must be a `number` type"),
            (None, f"order.{name} cannot be null"),
            (1.5, f"order.{name} must be an integer"),
            ("1e999", f"order.{name} must be an integer"),
            (-1, f"order.{name} must be greater than or equal to"),
            (2**256, f"order.{name} must be less than or equal to 9007199254740991"),
            ("9" * 400, f"order.{name} must be less than or equal to 9007199254740991"),
        ):
            status, answer = await publish(market, order, {name: value}, token)
            assert status == 400
            assert answer["error"].startswith(message), answer
    raw = msgspec.json.encode({"order": order_to_json(order)}).decode()
    url = f"{market.url}/workerpoolorders?chainId={chain.manifest.chain_id}"
    for number in ("NaN", "Infinity", "1e999", "-1e999", "9" * 10_000, "01"):
        body = re.sub(r'"volume":\d+', f'"volume":{number}', raw)
        async with market.session.post(url, data=body, headers={"authorization": token}) as response:
            assert response.status == 400, number
            assert (await response.json())["ok"] is False
    # What JavaScript takes for the number is taken for it.
    status, _ = await publish(market, order, {"volume": " 10 ", "category": "0e0", "workerpoolprice": 100.0}, token)
    assert status == 200


async def test_bodies_that_are_too_large_or_too_deep_are_refused(market: Market, chain: Chain) -> None:
    url = f"{market.url}/requestorders?chainId={chain.manifest.chain_id}"
    token = await market.token(REQUESTER)
    huge = msgspec.json.encode({"order": order_to_json(chain.request_order(params="x" * 10_000_000))})
    for body, status in (
        (huge, 413),
        (b"[" * 100_000, 400),
        (b'{"order":' * 50_000, 400),
        (b'{"order": "\xff"}', 400),
        (b"", 400),
        (b'{"order": {"params": "\\ud800"}}', 400),
    ):
        headers = {"authorization": token, "content-type": "application/json"}
        async with market.session.post(url, data=io.BytesIO(body), headers=headers) as response:
            assert response.status == status
            assert (await response.json())["ok"] is False
    await market.book.publish(chain.app_order(), APP_OWNER)
    assert (await publish(market, chain.request_order(), {}, token))[0] == 200


async def test_a_publication_of_unknown_length_is_taken_like_any_other(market: Market, chain: Chain) -> None:
    url = f"{market.url}/apporders?chainId={chain.manifest.chain_id}"

    async def parts(content: bytes) -> AsyncIterator[bytes]:
        for start in range(0, len(content), 65_536):
            yield content[start : start + 65_536]

    order = msgspec.json.encode({"order": order_to_json(chain.app_order())})
    token = await market.token(APP_OWNER)
    for body, status in ((order + b" " * 2**21, 413), (order, 200), (order, 403)):
        headers = {"authorization": token}
        async with market.session.post(url, data=parts(body), headers=headers) as response:
            assert response.status == status
            assert (await response.json())["ok"] is (status == 200)


async def test_logins_are_used_once_also_when_used_at_once(market: Market, chain: Chain) -> None:
    token = await market.token(APP_OWNER)
    orders = [chain.app_order() for _ in range(8)]
    answers = await asyncio.gather(*(publish(market, order, {}, token) for order in orders))
    assert sorted(status for status, _ in answers) == [200] + [403] * 7
    assert {answer["error"] for status, answer in answers if status == 403} == {"invalid authorization"}
    assert len(await market.book.orders("apporder", app=chain.app)) == 1


async def test_a_refusal_of_a_rule_uses_the_login_up_and_a_slip_does_not(market: Market, chain: Chain) -> None:
    token = await market.token(STRANGER)
    order = chain.app_order()
    for wrong in ({}, {"order": {}}, {"order": order_to_json(order) | {"salt": 1}}, []):
        assert (await market.request("POST", "/apporders", wrong, token))[0] == 400
        assert (await market.request("PUT", "/apporders", wrong, token))[0] == 400
    assert (await publish(market, order, {}, token))[1]["code"] == "ORDER_SIGNER_WRONG"
    assert (await publish(market, order, {}, token))[1]["error"] == "invalid authorization"


async def test_challenges_of_one_wallet_stand_beside_each_other_until_they_expire(market: Market, chain: Chain) -> None:
    tokens = [await market.token(APP_OWNER) for _ in range(4)]
    assert len(set(tokens)) == 4
    for token in reversed(tokens[1:]):
        assert (await publish(market, chain.app_order(), {}, token))[0] == 200
    market.clock.offset += 300
    assert (await publish(market, chain.app_order(), {}, tokens[0]))[1]["error"] == "invalid authorization"


async def test_nobody_logs_in_as_somebody_else_or_uses_up_their_challenges(market: Market, chain: Chain) -> None:
    token = await market.token(APP_OWNER)
    digest, signature, address = token.split("_")
    forged = to_hex(STRANGER.sign_digest(to_bytes(digest)))
    flipped = signature[:-4] + ("00" if signature[-4:-2] != "00" else "01") + signature[-2:]
    own = to_hex(STRANGER.sign_digest(to_bytes(challenge_hash("Sign this message", chain.manifest.chain_id))))
    for attempt in (
        "",
        "_",
        "__",
        digest,
        f"{digest}_{forged}_{address}",
        f"{digest}_{forged}_{STRANGER.address}",
        f"{digest}_{flipped}_{address}",
        f"{digest}_{signature}_{STRANGER.address}",
        f"{digest}_0x_{address}",
        f"{digest}_0x{'00' * 65}_{address}",
        f"{digest}_0x{'ff' * 1000}_{address}",
        f"{digest}_0x{'ff' * 5000}_{address}",
        f"{digest}_{signature}_0x{'0' * 40}",
        f"{challenge_hash('Sign this message', chain.manifest.chain_id)}_{own}_{STRANGER.address}",
        f"{digest}_{signature}_{address}_",
        f"' OR '1'='1_{signature}_{address}",
    ):
        for method in ("POST", "PUT"):
            status, answer = await market.request(method, "/apporders", {}, attempt)
            assert (status, answer["error"]) == (403, "invalid authorization"), attempt
    assert (await publish(market, chain.app_order(), {}, token))[0] == 200


async def test_an_order_for_another_hub_or_chain_is_not_signed_here(market: Market, chain: Chain) -> None:
    order = chain.app_order()
    for domain in (Domain(1, chain.manifest.hub), Domain(chain.manifest.chain_id, chain.app)):
        sign = to_hex(APP_OWNER.sign_digest(to_bytes(order_hash(order, domain))))
        status, answer = await publish(market, order, {"sign": sign}, await market.token(APP_OWNER))
        assert (status, answer["error"]) == (403, "invalid sign")


async def test_many_readers_do_not_keep_a_publication_waiting(market: Market, chain: Chain) -> None:
    for _ in range(10):
        await market.book.publish(chain.pool_order(), POOL_OWNER)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as group:
            for _ in range(100):
                group.start_soon(market.book.orders, "workerpoolorder")
            group.start_soon(market.book.publish, chain.app_order(), APP_OWNER)
    assert len(await market.book.orders("apporder", app=chain.app)) == 1
