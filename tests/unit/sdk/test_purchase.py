"""Buying from several pools at once, when one of them fails on the way."""

from __future__ import annotations

from typing import Any

import pytest

from pyiexec.chain.networks import NetworkProfile
from pyiexec.chain.signer import Signer
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.orders import AppOrder, WorkerpoolOrder
from pyiexec.protocol.params import DealParams
from pyiexec.protocol.primitives import NULL_BYTES32, Address, DealId, bytes32
from pyiexec.sdk.accounts import Balance
from pyiexec.sdk.connection import Connection
from pyiexec.sdk.orders import Match
from pyiexec.sdk.purchase import Purchases, Quote, Share

pytestmark = pytest.mark.anyio

APP, POOL, HUB = (Address("0x" + digits * 20) for digits in ("11", "22", "33"))
DEAL = DealId(bytes32(1))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def quote(*volumes: int) -> Quote:
    app, pool = AppOrder(app=APP, volume=99), WorkerpoolOrder(workerpool=POOL, volume=99)
    return Quote(
        app=APP,
        volume=sum(volumes),
        category=0,
        trust=1,
        tag=NULL_BYTES32,
        shares=tuple(Share(app, pool, volume) for volume in volumes),
        final_seconds=600,
    )


def purchases(monkeypatch: pytest.MonkeyPatch, *matched: int | IexecError) -> Purchases:
    """Purchases on a chain that makes deals of these volumes, or refuses them."""
    answers = iter(matched)

    async def match(*_orders: Any) -> Match:
        answer = next(answers)
        if isinstance(answer, IexecError):
            raise answer
        return Match(DEAL, answer, bytes32(2), 7)

    async def rich() -> Balance:
        return Balance(HUB, 10**18, 10**18, 0)

    async def started() -> None:
        """Nothing is sent."""

    profile = NetworkProfile(name="none", chain_id=1, rpc_url="", hub=HUB, market_url="", gateway_url="")
    found = Purchases(Connection(profile, Signer.from_key(bytes(31) + b"\1")))
    monkeypatch.setattr(found._orders, "match", match)
    monkeypatch.setattr(found._accounts, "show", rich)
    monkeypatch.setattr(found._at, "transactions", started)
    return found


async def test_deals_made_before_a_pool_fails_are_not_lost_to_the_buyer(monkeypatch: pytest.MonkeyPatch) -> None:
    sold_out = IexecError("ORDER_CONSUMED", "the workerpoolorder is used up or was closed")
    with pytest.raises(IexecError) as failed:
        await purchases(monkeypatch, 5, sold_out).buy(quote(5, 7), DealParams())
    assert failed.value.code == "ORDER_CONSUMED"
    assert failed.value.details["deals"] == [DEAL]
    assert "5 of 12 tasks" in failed.value.what
    assert DEAL in failed.value.remedy


async def test_a_pool_that_had_more_left_than_it_told_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    unneeded = IexecError("ORDER_CONSUMED", "the requestorder is used up or was closed")
    matches = await purchases(monkeypatch, 12, unneeded).buy(quote(5, 7), DealParams())
    assert [match.volume for match in matches] == [12]


async def test_a_first_pool_that_fails_leaves_nothing_to_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    sold_out = IexecError("ORDER_CONSUMED", "the workerpoolorder is used up or was closed")
    with pytest.raises(IexecError) as failed:
        await purchases(monkeypatch, sold_out).buy(quote(5), DealParams())
    assert failed.value is sold_out
