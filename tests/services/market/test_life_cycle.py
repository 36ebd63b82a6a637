"""Orders leave the book when something they need is gone, say why, and are back by themselves once it is back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from pyiexec.chain import calls, registries, token
from pyiexec.chain.rpc import JsonRpc
from pyiexec.chain.sending import Call
from pyiexec.chain.signer import Signer
from pyiexec.protocol.eip712 import challenge_hash
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.orders import Order, kind_of, order_to_json
from pyiexec.protocol.primitives import Address, checksum

from .conftest import ADMIN, APP_OWNER, DEPOSIT, POOL_OWNER, REQUESTER, STRANGER, Chain, Market, running

pytestmark = pytest.mark.anyio

#: An ERC-1271 wallet: whoever knows what is signed may sign, by the hash itself. Answers 0x1626ba7e for calldata
#: whose signature begins with the hash, and zero otherwise.
WALLET_CODE = "0x60043560643514631626ba7e0260e01b5f5260205ff3"
WALLET = checksum("0x" + "e2" * 20)


async def entry(market: Market, order: Order) -> dict[str, Any]:
    status, answer = await market.get(f"/{kind_of(order)}s/{market.chain.hash(order)}")
    assert status == 200, answer
    found: dict[str, Any] = answer
    return found


async def until_it_stands(market: Market, order: Order, status: str, fillable: int, reason: str | None = None) -> None:
    async def reached() -> bool:
        found = await entry(market, order)
        return (found["status"], found["fillable"], found.get("reason")) == (status, fillable, reason)

    await market.until(reached)
    assert ("since" in await entry(market, order)) == (status == "dead")


async def withdraw(chain: Chain, signer: Signer, amount: int) -> None:
    await chain.send(signer, Call(chain.manifest.hub, calls.withdraw(amount), title="withdraw"))


async def deposit(chain: Chain, account: Address, amount: int) -> None:
    approve = Call(chain.manifest.token, token.approve(chain.manifest.hub, amount))
    await chain.send(ADMIN, approve, Call(chain.manifest.hub, calls.deposit_for(amount, account), title="deposit"))


async def give(chain: Chain, signer: Signer, to: Address) -> None:
    data = registries.transfer_asset(signer.address, to, chain.app)
    await chain.send(signer, Call(chain.manifest.registries.app, data, title="give the app away"))


async def test_orders_share_one_stake_and_come_back_with_it(market: Market, chain: Chain) -> None:
    better, worse = chain.pool_order(workerpoolprice=100), chain.pool_order(workerpoolprice=110)
    await market.book.publish(worse, POOL_OWNER)
    await market.book.publish(better, POOL_OWNER)
    await withdraw(chain, POOL_OWNER, DEPOSIT - 300 - 70)
    await until_it_stands(market, better, "open", 10)
    await until_it_stands(market, worse, "open", 2)
    assert (await entry(market, worse))["remaining"] == 10
    await withdraw(chain, POOL_OWNER, 270)
    await until_it_stands(market, better, "open", 3)
    await until_it_stands(market, worse, "dead", 0, "insufficient_stake")
    assert [it.order for it in await market.book.orders("workerpoolorder")] == [better]
    # What is in the book, suspended or not, can be taken back; and publishing it again needs the stake again.
    with pytest.raises(IexecError, match="workerpool owner's stake is too low"):
        await market.book.publish(worse, POOL_OWNER)
    await deposit(chain, POOL_OWNER.address, 1000)
    await until_it_stands(market, better, "open", 10)
    await until_it_stands(market, worse, "open", 10)
    await market.book.unpublish("workerpoolorder", POOL_OWNER, order_hash=chain.hash(better))
    assert (await market.get(f"/workerpoolorders/{chain.hash(better)}"))[0] == 404
    await market.book.publish(better, POOL_OWNER)
    await until_it_stands(market, better, "open", 10)


async def test_a_sold_app_takes_the_orders_of_its_former_owner_along(market: Market, chain: Chain) -> None:
    order = chain.app_order()
    await market.book.publish(order, APP_OWNER)
    await give(chain, APP_OWNER, STRANGER.address)
    await until_it_stands(market, order, "dead", 0, "owner_changed")
    new = chain.signed(chain.app_order(), STRANGER)
    await market.book.publish(new, STRANGER)
    await give(chain, STRANGER, APP_OWNER.address)
    await until_it_stands(market, new, "dead", 0, "owner_changed")
    await until_it_stands(market, order, "open", 10)


async def test_requests_leave_with_the_last_offer_that_serves_them(market: Market, chain: Chain) -> None:
    public = chain.app_order(appprice=1)
    restricted = chain.app_order(appprice=3, requesterrestrict=REQUESTER.address)
    dear = chain.app_order(appprice=4)
    for offer in (public, restricted, dear):
        await market.book.publish(offer, APP_OWNER)
    request = chain.request_order(appmaxprice=3)
    await market.book.publish(request, REQUESTER)
    await market.book.unpublish("apporder", APP_OWNER, order_hash=chain.hash(public))
    await until_it_stands(market, request, "open", 2)
    await chain.close(restricted, APP_OWNER)
    await until_it_stands(market, request, "dead", 0, "no_matching_apporder")
    await market.book.publish(chain.app_order(appprice=2), APP_OWNER)
    await until_it_stands(market, request, "open", 2)


async def test_what_is_signed_by_a_contract_or_a_transaction_counts(market: Market, chain: Chain) -> None:
    async with JsonRpc(chain.url) as rpc:
        await rpc.call("anvil_setCode", WALLET, WALLET_CODE)

    async def login() -> str:
        _, answer = await market.get("/challenge", address=WALLET)
        digest = challenge_hash(answer["data"]["message"]["challenge"], chain.manifest.chain_id)
        return f"{digest}_{digest}_{WALLET}"

    async def publish(order: Order, authorization: str) -> tuple[int, Any]:
        return await market.request("POST", "/apporders", {"order": order_to_json(order)}, authorization)

    await give(chain, APP_OWNER, WALLET)
    unsigned = msgspec.structs.replace(chain.app_order(), sign="0x")
    signed = msgspec.structs.replace(unsigned, sign=chain.hash(unsigned))
    for sign in ("0x", "0x" + "00" * 32, "0x12", "0x" + "ff" * 65):
        wrong = msgspec.structs.replace(unsigned, sign=sign)
        status, answer = await publish(wrong, await login())
        assert (status, answer["error"]) == (403, "invalid sign")
    digest, _, _ = (await login()).split("_")
    for sign in ("0x", "0x" + "00" * 32, "0x" + "ff" * 65):
        status, answer = await publish(signed, f"{digest}_{sign}_{WALLET}")
        assert (status, answer["error"]) == (403, "invalid authorization")
    assert (await publish(signed, await login()))[0] == 200
    assert [it.signer for it in await market.book.orders("apporder", appOwner=WALLET)] == [WALLET]


async def test_a_presigned_order_goes_with_its_transaction(market: Market, chain: Chain) -> None:
    order = msgspec.structs.replace(chain.app_order(), sign="0x")
    async with JsonRpc(chain.url) as rpc:
        snapshot = await rpc.call("evm_snapshot")
        await chain.presign(order, APP_OWNER)
        await market.book.publish(order, APP_OWNER)
        await until_it_stands(market, order, "open", 10)
        await chain.close(chain.app_order(), APP_OWNER)
        await rpc.call("evm_revert", snapshot)
        await rpc.call("anvil_mine", "0x4")
    await chain.close(chain.app_order(), APP_OWNER)
    await until_it_stands(market, order, "dead", 0, "signature_missing")
    await chain.presign(order, APP_OWNER)
    await until_it_stands(market, order, "open", 10)


async def state(market: Market) -> dict[str, Any]:
    """All lists that can be asked for."""
    found: dict[str, Any] = {}
    everyone = {"workerpool": "any", "requester": "any"}
    for path, query in (
        ("/apporders", {"app": "any", **everyone}),
        ("/workerpoolorders", everyone),
        ("/requestorders", everyone),
        ("/deals", {}),
        ("/categories", {}),
    ):
        status, found[path] = await market.get(path, **query)
        assert status == 200
    _, metrics = await market.get("/metrics")
    return found | {"statuses": metrics["statuses"]}


async def test_a_book_that_is_rebuilt_is_the_same(chain: Chain, new_database: Callable[[], str]) -> None:
    database_url = new_database()
    app, pool, request = chain.app_order(), chain.pool_order(), chain.request_order(volume=4)
    unserved, closed = chain.request_order(appmaxprice=2), chain.app_order(appprice=2)
    async with running(chain, database_url) as market:
        for order, signer in ((app, APP_OWNER), (closed, APP_OWNER), (pool, POOL_OWNER), (request, REQUESTER)):
            await market.book.publish(order, signer)
        await market.book.publish(unserved, REQUESTER)
        await chain.match(app, pool, msgspec.structs.replace(request))
        await chain.close(closed, APP_OWNER)
        await withdraw(chain, POOL_OWNER, DEPOSIT - 4 * 30 - 35)
        await until_it_stands(market, request, "filled", 0)
        await until_it_stands(market, unserved, "dead", 0, "no_matching_apporder")
        await until_it_stands(market, pool, "open", 1)
        before = await state(market)
    assert len(before["/deals"]["deals"]) == 1
    # Twice: once it only goes on, once it reads everything again.
    for rebuild in (False, True):
        async with running(chain, database_url, rebuild=rebuild) as market:
            await until_it_stands(market, pool, "open", 1)
            await until_it_stands(market, closed, "canceled", 0)
            await until_it_stands(market, unserved, "dead", 0, "no_matching_apporder")
            assert await state(market) == before


async def test_one_process_follows_the_chain_for_all_and_another_goes_on(chain: Chain, database_url: str) -> None:
    order = chain.app_order()
    async with running(chain, database_url) as second_to_last:
        async with running(chain, database_url) as first, running(chain, database_url) as second:
            await second.book.publish(order, APP_OWNER)
            assert await first.book.orders("apporder", app=chain.app) == await second.book.orders(
                "apporder", app=chain.app
            )
            lags = [(await it.get("/metrics"))[1]["node"]["lagBlocks"] for it in (second_to_last, first, second)]
            assert len([lag for lag in lags if lag is not None]) <= 1
            await chain.close(order, APP_OWNER)
            for market in (first, second):
                await market.until_status("apporder", order, "canceled", 0)
        other = chain.app_order()
        await second_to_last.book.publish(other, APP_OWNER)
        await chain.close(other, APP_OWNER)
        await second_to_last.until_status("apporder", other, "canceled", 0)
