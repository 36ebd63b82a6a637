"""Receivers of the chain's own coin that call back: each is sent wei with all gas, and tries everything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from pyiexec.chain.hub import FUNCTIONS, NATIVE_FUNCTIONS
from pyiexec.protocol.primitives import Address

#: In wei.
NRLC = 10**9
START = 1_000


@pytest.fixture
def market(native_market: Any) -> Any:
    deposit = native_market.fund
    native_market.fund = lambda account, amount=START: deposit(account, amount)
    return native_market


def moves(me: Address) -> list[tuple[bytes, int]]:
    """Every way to bring coins in or out: call data and wei."""
    native = NATIVE_FUNCTIONS
    return [
        (native["deposit"].encode(), 10 * NRLC + 7),
        (b"", 10 * NRLC),
        (bytes.fromhex("c0ffee00"), 10 * NRLC + 7),
        (native["depositFor"].encode(me), 10 * NRLC + NRLC - 1),
        (native["depositForArray"].encode([3, 4], [me, me]), 20 * NRLC + 1),
        (FUNCTIONS["withdraw"].encode(10), 0),
        (FUNCTIONS["withdrawTo"].encode(10, me), 0),
    ]


@dataclass
class Purse:
    """The actor's coins, and what it has in the hub."""

    market: Any
    actor: Any

    def coins(self, account: Address) -> int:
        return int(self.market.chain.ask("eth_getBalance", account, "latest"), 16)

    def wealth(self) -> int:
        """In wei, inside and outside."""
        return self.coins(self.actor.address) + sum(self.market.account(self.actor.address)) * NRLC

    def backed(self) -> bool:
        return self.coins(self.market.hub) == self.market.view("totalSupply") * NRLC


@pytest.fixture
def purse(market: Any, actor: Any) -> Purse:
    market.chain.ask("anvil_setBalance", actor.address, hex(10**6 * NRLC))
    market.fund(market.sponsor, 5_000)
    return Purse(market, actor)


@pytest.mark.parametrize("outer", range(7))
def test_a_receiver_that_calls_back_creates_no_money(purse: Purse, outer: int) -> None:
    """Every way to bring coins in or out, tried from within each."""
    market, actor = purse.market, purse.actor
    for data, coins in moves(actor.address):
        actor.plan(market.hub, data, coins)
    actor.arm()
    data, coins = moves(actor.address)[outer]
    wealth = purse.wealth()
    actor.perform(market.hub, data, value=coins)
    assert [actor.outcome(step) for step in range(7)] == [True] * 7
    assert purse.wealth() == wealth + coins
    assert purse.backed()
    assert market.account(market.sponsor) == (5_000, 0)
    assert market.conserved(actor.address)


def test_what_is_being_paid_out_cannot_be_spent_again(purse: Purse) -> None:
    market, actor = purse.market, purse.actor
    for data in (
        FUNCTIONS["withdraw"].encode(1),
        FUNCTIONS["transfer"].encode(market.stranger, 1),
        FUNCTIONS["withdrawTo"].encode(START, market.stranger),
    ):
        actor.plan(market.hub, data)
    actor.arm()
    actor.does("withdraw", START)
    assert [actor.outcome(step) for step in range(3)] == [False] * 3
    assert market.account(actor.address) == (0, 0)
    assert purse.backed()


def test_the_remainder_on_its_way_back_cannot_be_recovered_meanwhile(purse: Purse) -> None:
    """An owner that deposits more than it says: while the rest is being sent, the hub has no surplus."""
    market, actor = purse.market, purse.actor
    market.send("transferOwnership", actor.address, sender=market.admin)
    actor.plan(market.hub, FUNCTIONS["recover"].encode())
    actor.arm()
    for data, coins in moves(actor.address):
        wealth = purse.wealth()
        actor.perform(market.hub, data, value=coins)
        assert actor.outcome() is True
        assert purse.wealth() == wealth + coins
        assert purse.backed()


@pytest.mark.parametrize("code", ["0xfe", "0x5b5f56", "0x620f42405ffd", "0x5f5ffd"])
def test_a_receiver_that_refuses_or_burns_only_harms_itself(purse: Purse, reverted: Any, code: str) -> None:
    market = purse.market
    market.fund(market.stranger, 50)
    market.chain.ask("anvil_setCode", market.stranger, code)
    for name, arguments in (("withdraw", (10,)), ("withdrawTo", (10, market.stranger))):
        sender = market.stranger if name == "withdraw" else market.sponsor
        market.chain.impersonate(sender)
        with pytest.raises(reverted, match=r"^native-transfer-failed$"):
            market.send(name, *arguments, sender=sender)
        market.chain.ask("anvil_stopImpersonatingAccount", sender)
    assert market.account(market.stranger) == (50, 0)
    assert market.account(market.sponsor) == (5_000, 0)
    assert purse.backed()


def test_a_receiver_that_answers_a_megabyte_is_paid_and_not_read(purse: Purse) -> None:
    market = purse.market
    market.chain.ask("anvil_setCode", market.broker, "0x620f42405ff3")
    receipt = market.send("withdrawTo", 10, market.broker, sender=market.sponsor)
    # the megabyte itself costs its memory, once and not twice
    assert receipt.gas < 3 * 31_250 + 31_250**2 // 512 + 120_000
    assert purse.backed()
