"""A hub for the chain's own coin: deposits with value, withdrawals in wei, and what remains of either."""

from __future__ import annotations

from typing import Any

import pytest

from pyiexec.chain.abi import Function
from pyiexec.chain.calls import match_orders
from pyiexec.chain.hub import FUNCTIONS, NATIVE_FUNCTIONS
from pyiexec.protocol.primitives import NULL_ADDRESS, Address

#: In wei.
NRLC = 10**9
PERFORM = Function.parse("perform(address,bytes)")
RENOUNCE = Function.parse("renounceOwnership()")


class NativeMarket:
    """What the tests of native deposits need of a market; everything else is as on a hub with a token."""

    def __init__(self, market: Any) -> None:
        self.market = market
        self.chain = market.chain
        self.hub: Address = market.hub
        self.view = market.view
        self.send = market.send
        self.events = market.events
        self.account = market.account

    def deposit(self, name: str, *arguments: Any, sender: Address, value: int, **options: Any) -> Any:
        data = NATIVE_FUNCTIONS[name].encode(*arguments)
        return self.chain.send(self.hub, data, sender, value=value, **options)

    def answer(self, name: str, *arguments: Any, sender: Address, value: int) -> bytes:
        """What a deposit returns."""
        data = NATIVE_FUNCTIONS[name].encode(*arguments)
        transaction = {"from": sender, "to": self.hub, "data": "0x" + data.hex(), "value": hex(value)}
        return bytes.fromhex(self.chain.ask("eth_call", transaction, "latest")[2:])

    def coins(self, account: Address, block: str = "latest") -> int:
        """In wei."""
        return int(self.chain.ask("eth_getBalance", account, block), 16)

    def spent(self, receipt: Any) -> int:
        """What a transaction moved out of its sender's wallet, in wei, besides the fee."""
        raw = receipt.raw
        fee = int(raw["gasUsed"], 16) * int(raw["effectiveGasPrice"], 16)
        before, after = (self.coins(raw["from"], hex(int(raw["blockNumber"], 16) + past)) for past in (-1, 0))
        return before - fee - after

    def backed(self) -> bool:
        """Whether the hub holds exactly what its supply stands for."""
        return self.coins(self.hub) == self.view("totalSupply") * NRLC


def minted(target: Address, amount: int) -> tuple[str, dict[str, Any]]:
    return "Transfer", {"from": NULL_ADDRESS, "to": target, "value": amount}


@pytest.fixture
def market(native_market: Any) -> Any:
    return native_market


@pytest.fixture
def native(market: Any) -> NativeMarket:
    return NativeMarket(market)


@pytest.fixture
def alice(market: Any) -> Address:
    address: Address = market.requester
    return address


@pytest.fixture
def bob(market: Any) -> Address:
    address: Address = market.stranger
    return address


# --- deposits ---------------------------------------------------------------------------------------------------------

#: Every way to deposit for oneself.
WAYS = {
    "deposit()": NATIVE_FUNCTIONS["deposit"].encode(),
    "a plain transfer": b"",
    "a byte": b"\x01",
    "three bytes": b"\x71\x50\x18",
    "an unknown function": bytes.fromhex("c0ffee00") + b"anything",
}


@pytest.mark.parametrize("data", WAYS.values(), ids=WAYS)
@pytest.mark.parametrize(("value", "amount"), [(100 * NRLC, 100), (100 * NRLC + 333, 100), (NRLC - 1, 0), (0, 0)])
def test_value_is_deposited_in_nrlc_and_the_remainder_given_back(
    native: NativeMarket, alice: Address, data: bytes, value: int, amount: int
) -> None:
    receipt = native.chain.send(native.hub, data, alice, value=value)
    assert native.spent(receipt) == amount * NRLC
    assert native.events(receipt) == [minted(alice, amount)]
    assert native.account(alice) == (amount, 0)
    assert native.view("totalSupply") == amount
    assert native.backed()


def test_deposits_answer_true_and_plain_ones_nothing(native: NativeMarket, alice: Address, bob: Address) -> None:
    true = (1).to_bytes(32, "big")
    assert native.answer("deposit", sender=alice, value=NRLC) == true
    assert native.answer("depositFor", bob, sender=alice, value=NRLC) == true
    assert native.answer("depositForArray", [1], [bob], sender=alice, value=NRLC) == true
    for data in ("0x", "0xc0ffee00"):
        transaction = {"from": alice, "to": native.hub, "data": data, "value": hex(NRLC)}
        assert native.chain.ask("eth_call", transaction, "latest") == "0x"


def test_a_deposit_for_another_gives_the_remainder_back_to_the_caller(
    native: NativeMarket, alice: Address, bob: Address
) -> None:
    before = native.coins(bob)
    receipt = native.deposit("depositFor", bob, sender=alice, value=7 * NRLC + 5)
    assert native.spent(receipt) == 7 * NRLC
    assert (native.account(alice), native.account(bob)) == ((0, 0), (7, 0))
    assert native.coins(bob) == before
    assert native.backed()


@pytest.mark.parametrize("remainder", [0, 1, 5 * NRLC])
def test_deposits_for_several_give_back_what_they_do_not_use(
    native: NativeMarket, alice: Address, bob: Address, remainder: int
) -> None:
    value = 6 * NRLC + remainder
    receipt = native.deposit("depositForArray", [1, 2, 3, 0], [bob, alice, bob, bob], sender=alice, value=value)
    assert native.spent(receipt) == 6 * NRLC
    assert native.events(receipt) == [minted(bob, 1), minted(alice, 2), minted(bob, 3), minted(bob, 0)]
    assert (native.account(alice), native.account(bob)) == ((2, 0), (4, 0))
    assert native.backed()


def test_deposits_for_nobody_give_everything_back(native: NativeMarket, alice: Address) -> None:
    assert native.spent(native.deposit("depositForArray", [], [], sender=alice, value=NRLC)) == 0
    assert native.view("totalSupply") == 0


def test_a_thousand_deposits_fit_one_call(native: NativeMarket, alice: Address, bob: Address) -> None:
    for count in (1000, 1024):
        native.deposit("depositForArray", [1] * count, [bob] * count, sender=alice, value=count * NRLC, gas=29_900_000)
    assert native.account(bob) == (2024, 0)
    assert native.backed()


@pytest.mark.parametrize(
    ("amounts", "targets", "value", "reason"),
    [
        ([1], [], 10, "invalid-array-length"),
        ([], ["bob"], 10, "invalid-array-length"),
        ([1, 1], ["bob", NULL_ADDRESS], 10, "ERC20: mint to the zero address"),
        ([1, 1], ["bob", "hub"], 10, "ERC20: mint to the hub"),
        ([6, 5], ["bob", "bob"], 10, ""),
        ([1], ["bob"], 0, ""),
        ([2**256 - 1], ["bob"], 10, "ERC20: supply exceeds 128 bits"),
        ([2**128 - 1], ["bob"], 10, ""),
        ([1] * 1025, ["bob"] * 1025, 2000, ""),
    ],
)
def test_deposits_for_several_are_all_or_none(
    native: NativeMarket,
    alice: Address,
    bob: Address,
    reverted: Any,
    amounts: list[int],
    targets: list[str],
    value: int,
    reason: str,
) -> None:
    named = [{"bob": bob, "hub": native.hub}.get(target, target) for target in targets]
    with pytest.raises(reverted) as caught:
        native.deposit("depositForArray", amounts, named, sender=alice, value=value * NRLC, gas=29_900_000)
    assert caught.value.reason == reason
    assert native.view("totalSupply") == 0


def test_the_zero_address_cannot_deposit_nor_be_deposited_for(
    native: NativeMarket, alice: Address, reverted: Any
) -> None:
    native.chain.impersonate(NULL_ADDRESS)
    for data in WAYS.values():
        with pytest.raises(reverted, match=r"^ERC20: mint to the zero address$"):
            native.chain.send(native.hub, data, NULL_ADDRESS, value=NRLC)
    with pytest.raises(reverted, match=r"^ERC20: mint to the zero address$"):
        native.deposit("depositFor", NULL_ADDRESS, sender=alice, value=NRLC)


# --- withdrawals ------------------------------------------------------------------------------------------------------


@pytest.fixture
def rich(native: NativeMarket, alice: Address) -> NativeMarket:
    """Alice has 1,000 nRLC."""
    native.deposit("deposit", sender=alice, value=1000 * NRLC)
    return native


@pytest.mark.parametrize("amount", [1000, 1, 0])
def test_a_withdrawal_is_paid_in_wei(rich: NativeMarket, alice: Address, amount: int) -> None:
    assert rich.spent(rich.send("withdraw", amount, sender=alice)) == -amount * NRLC
    assert rich.account(alice) == (1000 - amount, 0)
    assert rich.backed()


@pytest.mark.parametrize("amount", [1000, 1, 0])
def test_a_withdrawal_may_go_to_another_wallet(rich: NativeMarket, alice: Address, bob: Address, amount: int) -> None:
    before = rich.coins(bob)
    receipt = rich.send("withdrawTo", amount, bob, sender=alice)
    assert rich.events(receipt) == [("Transfer", {"from": alice, "to": NULL_ADDRESS, "value": amount})]
    assert rich.coins(bob) == before + amount * NRLC
    assert rich.account(bob) == (0, 0)
    assert rich.backed()


@pytest.mark.parametrize("amount", [1001, 2**128 - 1, 2**256 - 1])
def test_more_than_is_free_cannot_be_withdrawn(
    rich: NativeMarket, alice: Address, bob: Address, reverted: Any, amount: int
) -> None:
    for name, arguments in (("withdraw", (amount,)), ("withdrawTo", (amount, bob))):
        with pytest.raises(reverted) as caught:
            rich.send(name, *arguments, sender=alice)
        assert caught.value.data == b""


def test_what_is_not_a_deposit_refuses_value(rich: NativeMarket, alice: Address, bob: Address, reverted: Any) -> None:
    for name, arguments in (("withdraw", (1,)), ("withdrawTo", (1, bob)), ("transfer", (bob, 1)), ("recover", ())):
        with pytest.raises(reverted) as caught:
            rich.send(name, *arguments, sender=alice, value=NRLC)
        assert caught.value.data == b""


def test_a_withdrawal_to_who_takes_no_coins_is_refused(
    rich: NativeMarket, alice: Address, mock: Any, reverted: Any
) -> None:
    miser = mock("Miser")
    for amount in (5, 0):
        with pytest.raises(reverted, match=r"^native-transfer-failed$"):
            rich.send("withdrawTo", amount, miser, sender=alice)
    assert rich.account(alice) == (1000, 0)


def test_what_came_without_a_deposit_is_recovered_by_the_owner(
    rich: NativeMarket, market: Any, alice: Address, reverted: Any
) -> None:
    """As by the self-destruction of a contract, or as the reward of a block."""
    rich.chain.ask("anvil_setBalance", rich.hub, hex(rich.coins(rich.hub) + 55 * NRLC + 7))
    with pytest.raises(reverted, match=r"^Ownable: caller is not the owner$"):
        rich.send("recover", sender=alice)
    assert rich.view("recover", sender=market.admin) == 55
    assert rich.events(rich.send("recover", sender=market.admin)) == [minted(market.admin, 55)]
    assert rich.events(rich.send("recover", sender=market.admin)) == [minted(market.admin, 0)]
    assert rich.account(market.admin) == (55, 0)
    assert rich.coins(rich.hub) == rich.view("totalSupply") * NRLC + 7


def test_a_supply_beyond_what_the_hub_holds_is_not_recovered(rich: NativeMarket, market: Any, reverted: Any) -> None:
    rich.chain.ask("anvil_setBalance", rich.hub, hex(1000 * NRLC - 1))
    with pytest.raises(reverted) as caught:
        rich.send("recover", sender=market.admin)
    assert caught.value.data == b""


# --- odd callers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [0, 1, NRLC])
@pytest.mark.parametrize(
    "data", [RENOUNCE.encode(), FUNCTIONS["receiveApproval"].encode(NULL_ADDRESS, 1, NULL_ADDRESS, b"")]
)
def test_fixed_22_functions_that_no_facet_implements_are_no_deposits(
    native: NativeMarket, market: Any, reverted: Any, data: bytes, value: int
) -> None:
    with pytest.raises(reverted, match=r"^fallback-disabled$"):
        native.chain.send(native.hub, data, market.admin, value=value)
    assert native.view("owner") == market.admin


def test_fixed_22_the_hub_is_no_spender_of_its_own_nrlc(rich: NativeMarket, alice: Address, reverted: Any) -> None:
    with pytest.raises(reverted, match=r"^fallback-disabled$"):
        rich.send("approveAndCall", rich.hub, 1, b"", sender=alice)


def test_a_function_of_the_other_variant_is_a_deposit_like_any_unknown_one(
    native: NativeMarket, alice: Address, bob: Address
) -> None:
    native.send("deposit", 5, sender=alice, value=2 * NRLC)
    native.send("depositFor", 5, bob, sender=alice, value=3 * NRLC)
    assert (native.account(alice), native.account(bob)) == ((5, 0), (0, 0))


def test_a_contract_that_takes_no_coins_cannot_deposit_even_without_a_remainder(
    native: NativeMarket, alice: Address, mock: Any, reverted: Any
) -> None:
    miser = mock("Miser")
    for data in (*WAYS.values(), NATIVE_FUNCTIONS["depositForArray"].encode([1], [alice])):
        with pytest.raises(reverted, match=r"^native-transfer-failed$"):
            native.chain.send(miser, PERFORM.encode(native.hub, data), alice, value=NRLC)
    assert native.view("totalSupply") == 0


def test_fixed_24_nothing_is_sent_to_or_minted_for_the_hub_itself(
    rich: NativeMarket, alice: Address, reverted: Any
) -> None:
    with pytest.raises(reverted, match=r"^ERC20: transfer to the hub$"):
        rich.send("transfer", rich.hub, 1, sender=alice)
    with pytest.raises(reverted, match=r"^ERC20: mint to the hub$"):
        rich.deposit("depositFor", rich.hub, sender=alice, value=NRLC)


@pytest.mark.parametrize("missing", [1, 2, 12, 32, 40, 64, 100, 188])
def test_deposits_for_several_that_were_cut_short_are_refused(
    native: NativeMarket, alice: Address, bob: Address, reverted: Any, missing: int
) -> None:
    data = NATIVE_FUNCTIONS["depositForArray"].encode([1, 1], [bob, bob])
    with pytest.raises(reverted) as caught:
        native.chain.send(native.hub, data[:-missing], alice, value=2 * NRLC)
    assert caught.value.data == b""


def test_who_is_paid_cannot_withdraw_the_same_nrlc_again(native: NativeMarket, market: Any, mock: Any) -> None:
    """It is called with all gas, when its account is debited already."""
    address = mock("Actor")
    withdraw_all = FUNCTIONS["withdraw"].encode(100)

    def tell(signature: str, *arguments: Any, value: int = 0) -> None:
        data = Function.parse(signature).encode(*arguments)
        native.chain.send(address, data, market.stranger, value=value)

    native.deposit("depositFor", address, sender=market.requester, value=100 * NRLC)
    native.deposit("deposit", sender=market.sponsor, value=1000 * NRLC)
    tell("plan(address,uint256,bytes)", native.hub, 0, withdraw_all)
    tell("plan(address,uint256,bytes)", native.hub, 40 * NRLC, NATIVE_FUNCTIONS["deposit"].encode())
    tell("arm(bool)", True)
    tell("perform(address,bytes)", native.hub, withdraw_all)
    outcomes = [
        int.from_bytes(native.chain.call(address, Function.parse("outcomes(uint256)").encode(step)), "big")
        for step in range(2)
    ]
    # the second withdrawal was refused; the deposit from within was as good as one afterwards
    assert outcomes == [1, 2]
    assert (native.account(address), native.coins(address)) == ((40, 0), 60 * NRLC)
    assert native.account(market.sponsor) == (1000, 0)
    assert native.backed()


# --- the rest of the hub ----------------------------------------------------------------------------------------------


def test_free_nrlc_is_an_erc_20_token_here_too(rich: NativeMarket, alice: Address, bob: Address, mock: Any) -> None:
    assert rich.view("token") == NULL_ADDRESS
    assert (rich.view("name"), rich.view("symbol"), rich.view("decimals")) == ("Staked RLC", "SRLC", 9)
    rich.send("transfer", bob, 9, sender=alice)
    rich.send("approve", bob, 10, sender=alice)
    rich.send("increaseAllowance", bob, 5, sender=alice)
    rich.send("decreaseAllowance", bob, 3, sender=alice)
    rich.send("transferFrom", alice, bob, 12, sender=bob)
    assert (rich.account(alice), rich.account(bob)) == ((979, 0), (21, 0))
    spender = mock("Spender")
    rich.send("approveAndCall", spender, 5, b"data", sender=alice)
    assert rich.view("allowance", alice, spender) == 5


def test_a_task_is_paid_in_the_chains_own_coin(native: NativeMarket, market: Any) -> None:
    worker = market.workers[0]
    for account in (market.requester, market.scheduler, worker):
        native.deposit("deposit", sender=account, value=2 * 10**9 * NRLC)
    match = market.match()
    assert native.events(match.receipt)[-1][0] == "OrdersMatched"
    task = market.initialize(match)
    market.contribute(task, worker)
    market.reveal(task, worker)
    market.finalize(task, b"link")
    assert market.conserved()
    assert native.backed()
    earned, _ = native.account(worker)
    assert earned == 2_990_000_000
    assert native.spent(native.send("withdraw", earned, sender=worker)) == -earned * NRLC
    assert native.backed()


def test_a_match_that_is_not_paid_for_is_refused(native: NativeMarket, market: Any, reverted: Any) -> None:
    native.deposit("deposit", sender=market.requester, value=1_001_000_999 * NRLC)
    orders = (market.app_order(), market.dataset_order(), market.workerpool_order(), market.request_order())
    with pytest.raises(reverted, match=r"^IexecEscrow: Transfer amount exceeds balance$"):
        native.chain.send(native.hub, match_orders(*orders), market.requester)
