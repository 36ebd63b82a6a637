"""RLC in and out, and the ERC-20 face of what is inside."""

from __future__ import annotations

from typing import Any

import pytest

from pyiexec.chain import token
from pyiexec.chain.abi import Function
from pyiexec.chain.calls import match_orders
from pyiexec.chain.hub import FUNCTIONS
from pyiexec.protocol.orders import NO_DATASET
from pyiexec.protocol.primitives import NULL_ADDRESS

RICH = 10**12


@pytest.fixture
def rich(market: Any) -> Any:
    """The administrator has approved plenty of RLC."""
    market.chain.send(market.manifest.token, token.FUNCTIONS["approve"].encode(market.hub, RICH), market.admin)
    return market


def rlc_of(market: Any, account: str) -> int:
    data = market.chain.call(market.manifest.token, token.FUNCTIONS["balanceOf"].encode(account))
    return int.from_bytes(data, "big")


def movements(market: Any, receipt: Any) -> list[tuple[str, str, str, int]]:
    """Transfers in order: who emitted, from, to, amount."""
    names = {market.hub.lower(): "hub", market.manifest.token.lower(): "rlc"}
    return [
        (names[log["address"]], "0x" + log["topics"][1][26:], "0x" + log["topics"][2][26:], int(log["data"], 16))
        for log in receipt.raw["logs"]
    ]


@pytest.mark.parametrize("amount", [100, 0])
def test_a_deposit_moves_rlc_then_mints(rich: Any, amount: int) -> None:
    supply = rich.view("totalSupply")
    receipt = rich.send("deposit", amount, sender=rich.admin)
    admin, hub, nobody = rich.admin.lower(), rich.hub.lower(), NULL_ADDRESS
    assert movements(rich, receipt) == [("rlc", admin, hub, amount), ("hub", nobody, admin, amount)]
    assert rich.view("totalSupply") == supply + amount
    assert rich.account(rich.admin) == (amount, 0)


def test_a_deposit_may_be_for_others(rich: Any) -> None:
    rich.send("depositFor", 5, rich.stranger, sender=rich.admin)
    receipt = rich.send("depositForArray", [1, 2], [rich.stranger, rich.broker], sender=rich.admin)
    assert [kind for kind, *_ in movements(rich, receipt)] == ["rlc", "hub", "rlc", "hub"]
    assert rich.account(rich.stranger) == (6, 0)
    assert rich.account(rich.broker) == (2, 0)


def test_deposits_refuse_what_makes_no_sense(rich: Any, reverted: Any) -> None:
    with pytest.raises(reverted, match=r"^invalid-array-length$"):
        rich.send("depositForArray", [1], [], sender=rich.admin)
    with pytest.raises(reverted, match=r"^ERC20: mint to the zero address$"):
        rich.send("depositFor", 1, NULL_ADDRESS, sender=rich.admin)
    with pytest.raises(reverted) as caught:
        rich.send("deposit", 1, sender=rich.stranger)
    assert caught.value.data == b""


@pytest.mark.parametrize("missing", [1, 2, 12, 32, 40, 64])
def test_deposits_for_several_that_were_cut_short_are_refused(rich: Any, reverted: Any, missing: int) -> None:
    """What is missing would read as zeros, and the last deposit would go to somebody else's address."""
    targets = [rich.stranger, rich.requester[:-4] + "0000"]
    data = FUNCTIONS["depositForArray"].encode([1, 1], targets)
    with pytest.raises(reverted) as caught:
        rich.chain.send(rich.hub, data[:-missing], rich.admin)
    assert caught.value.data == b""
    rich.chain.send(rich.hub, data, rich.admin)


def test_a_thousand_deposits_fit_one_call(rich: Any) -> None:
    receipt = rich.send("depositForArray", [1] * 1000, [rich.stranger] * 1000, sender=rich.admin, gas=29_900_000)
    assert rich.account(rich.stranger) == (1000, 0)
    assert receipt.gas < 25_000_000


@pytest.mark.parametrize("count", [1024, 1025])
def test_deposits_for_several_are_1024_at_most(rich: Any, reverted: Any, count: int) -> None:
    arguments = [0] * count, [rich.stranger] * count
    if count > 1024:
        with pytest.raises(reverted) as caught:
            rich.send("depositForArray", *arguments, sender=rich.admin, gas=29_900_000)
        assert caught.value.data == b""
    else:
        receipt = rich.send("depositForArray", *arguments, sender=rich.admin, gas=29_900_000)
        assert len(receipt.raw["logs"]) == 2 * count


def words(*values: int) -> bytes:
    """Call data of depositForArray in its own words."""
    return FUNCTIONS["depositForArray"].selector + b"".join(value.to_bytes(32, "big") for value in values)


def test_arrays_are_found_wherever_call_data_has_them(rich: Any) -> None:
    """Encoders are free in order and gaps: ABI specification, use of dynamic types."""
    first, second = int(rich.stranger, 16), int(rich.broker, 16)
    for data in (
        words(0x40, 0xA0, 2, 5, 6, 2, first, second),
        words(0xA0, 0x40, 2, first, second, 2, 5, 6),
        words(0x80, 0xE0, 99, 99, 2, 5, 6, 2, first, second, 99),
        words(0x40, 0xA0, 2, 5, 6, 2, first, second) + b"more",
    ):
        before = rich.account(rich.stranger)[0], rich.account(rich.broker)[0]
        rich.chain.send(rich.hub, data, rich.admin)
        after = rich.account(rich.stranger)[0], rich.account(rich.broker)[0]
        assert after == (before[0] + 5, before[1] + 6)


@pytest.mark.parametrize(
    "data",
    [
        words(0x40, 0x80, 1, 5, 1, 1 << 160 | 7),
        words(0x40, 0x80, 1, 5, 1, 1 << 255 | 7),
        words(2**256 - 1, 0x40, 1, 5),
        words(0x40, 2**256 - 4, 1, 5),
        words(2**256 - 36, 2**256 - 36, 0, 0),
        words(2**255, 2**255, 0, 0),
        words(0x40, 0x60, 2**256 - 1, 2**256 - 1),
        words(0x40, 0x40, 2, 5),
        words(0x40),
        words(),
    ],
)
def test_arrays_that_no_encoder_makes_are_refused(rich: Any, reverted: Any, data: bytes) -> None:
    with pytest.raises(reverted) as caught:
        rich.chain.send(rich.hub, data, rich.admin)
    assert caught.value.data == b""


def test_deposits_for_several_answer_true_and_refuse_value(rich: Any, reverted: Any) -> None:
    assert rich.view("depositForArray", [1], [rich.stranger], sender=rich.admin) is True
    with pytest.raises(reverted) as caught:
        rich.send("depositForArray", [1], [rich.stranger], sender=rich.admin, value=1)
    assert caught.value.data == b""


@pytest.mark.parametrize("amount", [100, 0])
def test_a_withdrawal_burns_then_moves_rlc(market: Any, amount: int) -> None:
    before = rlc_of(market, market.stranger)
    receipt = market.send("withdrawTo", amount, market.stranger, sender=market.requester)
    requester, hub = market.requester.lower(), market.hub.lower()
    assert movements(market, receipt) == [
        ("hub", requester, NULL_ADDRESS, amount),
        ("rlc", hub, market.stranger.lower(), amount),
    ]
    assert rlc_of(market, market.stranger) == before + amount
    market.send("withdraw", amount, sender=market.requester)
    assert rlc_of(market, market.requester) == amount


def test_more_than_is_free_cannot_be_withdrawn(market: Any, reverted: Any) -> None:
    free, _ = market.account(market.requester)
    with pytest.raises(reverted) as caught:
        market.send("withdraw", free + 1, sender=market.requester)
    assert caught.value.data == b""


def test_rlc_sent_without_a_deposit_is_recovered_by_the_owner(market: Any, reverted: Any) -> None:
    market.chain.send(market.manifest.token, token.FUNCTIONS["transfer"].encode(market.hub, 55), market.admin)
    with pytest.raises(reverted, match=r"^Ownable: caller is not the owner$"):
        market.send("recover", sender=market.stranger)
    assert market.view("recover", sender=market.admin) == 55
    market.send("recover", sender=market.admin)
    assert market.account(market.admin) == (55, 0)
    receipt = market.send("recover", sender=market.admin)
    assert movements(market, receipt) == [("hub", NULL_ADDRESS, market.admin.lower(), 0)]


@pytest.mark.parametrize("data", [b"", b"\xaa", b"\xaa\xbb", b"\xaa\xbb\xcc", bytes.fromhex("715018a6")])
@pytest.mark.parametrize("value", [0, 1])
def test_fixed_22_plain_transfers_and_unknown_functions_are_refused(
    market: Any, reverted: Any, data: bytes, value: int
) -> None:
    """`renounceOwnership` (0x715018a6) is in the published ABI but is no function of the hub."""
    with pytest.raises(reverted, match=r"^fallback-disabled$"):
        market.chain.send(market.hub, data, market.stranger, value=value)


def test_functions_refuse_value_without_a_reason(market: Any, reverted: Any) -> None:
    with pytest.raises(reverted) as caught:
        market.send("withdraw", 0, sender=market.requester, value=1)
    assert caught.value.data == b""


# --- ERC-20 -----------------------------------------------------------------------------------------------------------


def test_free_nrlc_is_passed_on(market: Any) -> None:
    receipt = market.send("transfer", market.stranger, 9, sender=market.requester)
    moved = {"from": market.requester, "to": market.stranger, "value": 9}
    assert market.events(receipt) == [("Transfer", moved)]
    assert market.account(market.stranger) == (9, 0)


def test_an_allowance_is_used_up(market: Any, reverted: Any) -> None:
    market.send("approve", market.stranger, 10, sender=market.requester)
    market.send("increaseAllowance", market.stranger, 5, sender=market.requester)
    receipt = market.send("decreaseAllowance", market.stranger, 3, sender=market.requester)
    approval = {"owner": market.requester, "spender": market.stranger, "value": 12}
    assert market.events(receipt) == [("Approval", approval)]
    receipt = market.send("transferFrom", market.requester, market.broker, 12, sender=market.stranger)
    assert [name for name, _ in market.events(receipt)] == ["Transfer", "Approval"]
    assert market.view("allowance", market.requester, market.stranger) == 0
    with pytest.raises(reverted) as caught:
        market.send("transferFrom", market.requester, market.broker, 1, sender=market.stranger)
    assert caught.value.data == b""


@pytest.mark.parametrize(
    ("name", "arguments", "reason"),
    [
        ("transfer", (NULL_ADDRESS, 0), "ERC20: transfer to the zero address"),
        ("transferFrom", (NULL_ADDRESS, "stranger", 1), "ERC20: transfer from the zero address"),
        ("transferFrom", ("requester", NULL_ADDRESS, 1), "ERC20: transfer to the zero address"),
        ("approve", (NULL_ADDRESS, 0), "ERC20: approve to the zero address"),
        ("increaseAllowance", (NULL_ADDRESS, 0), "ERC20: approve to the zero address"),
        ("decreaseAllowance", (NULL_ADDRESS, 0), "ERC20: approve to the zero address"),
        ("approveAndCall", (NULL_ADDRESS, 0, b""), "ERC20: approve to the zero address"),
        ("decreaseAllowance", ("stranger", 1), ""),
        ("transfer", ("stranger", 10**18), ""),
    ],
)
def test_each_refusal_has_its_reason(market: Any, reverted: Any, name: str, arguments: Any, reason: str) -> None:
    named = [getattr(market, str(value), value) for value in arguments]
    with pytest.raises(reverted) as caught:
        market.send(name, *named, sender=market.requester)
    assert caught.value.reason == reason


def test_the_zero_address_cannot_act(market: Any, reverted: Any) -> None:
    market.chain.impersonate(NULL_ADDRESS)
    for name, arguments, reason in (
        ("approve", (market.stranger, 1), "ERC20: approve from the zero address"),
        ("transfer", (market.stranger, 0), "ERC20: transfer from the zero address"),
        ("withdraw", (0,), "ERC20: burn from the zero address"),
    ):
        with pytest.raises(reverted, match=f"^{reason}$"):
            market.send(name, *arguments, sender=NULL_ADDRESS)


def test_a_spender_is_told_of_its_approval_and_may_decline(market: Any, mock: Any, reverted: Any) -> None:
    spender = mock("Spender")
    market.send("approveAndCall", spender, 5, b"data", sender=market.requester)
    assert market.view("allowance", market.requester, spender) == 5
    with pytest.raises(reverted, match=r"^approval-refused$"):
        market.send("approveAndCall", spender, 0, b"", sender=market.requester)
    with pytest.raises(reverted) as caught:
        market.send("approveAndCall", market.stranger, 5, b"", sender=market.requester)
    assert caught.value.data == b""


def test_a_spender_is_told_4096_bytes_at_most(market: Any, mock: Any, reverted: Any) -> None:
    spender = mock("Actor")
    market.send("approveAndCall", spender, 5, b"d" * 4096, sender=market.requester)
    with pytest.raises(reverted) as caught:
        market.send("approveAndCall", spender, 5, b"d" * 4097, sender=market.requester)
    assert caught.value.data == b""


def test_fixed_24_nothing_is_sent_to_or_minted_for_the_hub_itself(rich: Any, reverted: Any) -> None:
    with pytest.raises(reverted, match=r"^ERC20: transfer to the hub$"):
        rich.send("transfer", rich.hub, 1, sender=rich.requester)
    with pytest.raises(reverted, match=r"^ERC20: mint to the hub$"):
        rich.send("depositFor", 1, rich.hub, sender=rich.admin)


# --- deposit and match ------------------------------------------------------------------------------------------------


def approve_and_call(market: Any, amount: int, data: bytes, sender: str) -> Any:
    call = token.FUNCTIONS["approveAndCall"].encode(market.hub, amount, data)
    return market.chain.send(market.manifest.token, call, sender)


@pytest.fixture
def buyer(market: Any) -> str:
    """A requester with RLC in its wallet and nothing in the hub."""
    account: str = market.stranger
    market.chain.send(market.manifest.token, token.FUNCTIONS["transfer"].encode(account, RICH), market.admin)
    return account


@pytest.mark.parametrize("amount", [0, 77])
def test_approve_and_call_of_the_token_deposits(market: Any, buyer: str, amount: int) -> None:
    approve_and_call(market, amount, b"", buyer)
    assert market.account(buyer) == (amount, 0)


def test_the_data_of_an_approval_has_10240_bytes_at_most(market: Any, buyer: str, reverted: Any) -> None:
    unsupported = Function.parse("UnsupportedOperation(bytes4 selector)").encode(b"aaaa")
    for size, refusal in ((10_240, unsupported), (10_241, b"")):
        with pytest.raises(reverted) as caught:
            approve_and_call(market, 0, b"a" * size, buyer)
        assert caught.value.data == refusal


@pytest.mark.parametrize("with_dataset", [True, False])
def test_deposit_and_match_in_one_transaction(market: Any, buyer: str, with_dataset: bool) -> None:
    dataset = market.dataset_order() if with_dataset else NO_DATASET
    request = market.request_order(requester=buyer, dataset=dataset.dataset)
    cost = 1_001_001_000 if with_dataset else 1_000_001_000
    data = match_orders(market.app_order(), dataset, market.workerpool_order(), request)
    receipt = approve_and_call(market, cost, data, buyer)
    assert market.account(buyer) == (0, cost)
    names = ["Transfer", "Transfer", "Lock", "Transfer", "Lock", "SchedulerNotice", "OrdersMatched"]
    assert [name for name, _ in market.events(receipt)] == names
    deal = market.deal(dict(market.events(receipt))["OrdersMatched"]["dealid"])
    assert deal.sponsor == deal.requester == buyer


def test_deposit_and_match_is_all_or_nothing(market: Any, buyer: str, reverted: Any) -> None:
    request = market.request_order(requester=buyer)
    data = match_orders(market.app_order(), market.dataset_order(), market.workerpool_order(), request)
    with pytest.raises(reverted, match=r"^IexecEscrow: Transfer amount exceeds balance$"):
        approve_and_call(market, 1_001_000_999, data, buyer)
    assert market.account(buyer) == (0, 0)
    assert rlc_of(market, buyer) == RICH


def test_deposit_and_match_serves_the_sender_alone(market: Any, buyer: str, reverted: Any) -> None:
    orders = (market.app_order(), market.dataset_order(), market.workerpool_order(), market.request_order())
    with pytest.raises(reverted, match="CallerIsNotTheRequester"):
        approve_and_call(market, 0, match_orders(*orders), buyer)


@pytest.mark.parametrize("sponsor", [True, False])
def test_deposit_and_match_does_nothing_else(market: Any, buyer: str, reverted: Any, sponsor: bool) -> None:
    orders = (market.app_order(), market.dataset_order(), market.workerpool_order(), market.request_order())
    data = match_orders(*orders, sponsor=True) if sponsor else bytes.fromhex("12345678")
    with pytest.raises(reverted, match="UnsupportedOperation") as caught:
        approve_and_call(market, 0, data, buyer)
    assert caught.value.data[4:8] == data[:4]


@pytest.mark.parametrize(
    "data", [b"\x12\x34", FUNCTIONS["matchOrders"].selector, FUNCTIONS["matchOrders"].selector * 9]
)
def test_malformed_orders_revert_without_a_reason(market: Any, buyer: str, reverted: Any, data: bytes) -> None:
    with pytest.raises(reverted) as caught:
        approve_and_call(market, 0, data, buyer)
    assert caught.value.data == b""


def test_a_match_that_fails_without_a_reason_is_an_operation_failed(market: Any, buyer: str, reverted: Any) -> None:
    """And the match goes through the diamond: whatever facet has it is asked."""
    mute = market.manifest.contracts["OwnershipFacet"].address
    selector = FUNCTIONS["matchOrders"].selector
    market.send("diamondCut", [(mute, 1, [selector])], NULL_ADDRESS, b"", sender=market.admin)
    request = market.request_order(requester=buyer)
    data = match_orders(market.app_order(), market.dataset_order(), market.workerpool_order(), request)
    with pytest.raises(reverted, match="OperationFailed"):
        approve_and_call(market, RICH, data, buyer)


def test_fixed_02_only_the_token_is_believed_about_an_approval(market: Any, buyer: str, reverted: Any) -> None:
    approve = token.FUNCTIONS["approve"].encode(market.hub, 100)
    market.chain.send(market.manifest.token, approve, buyer)
    for sender in (market.requester, buyer):
        with pytest.raises(reverted, match=r"^wrong-token$"):
            market.send("receiveApproval", buyer, 100, market.manifest.token, b"", sender=sender)
    with pytest.raises(reverted, match=r"^wrong-token$"):
        market.send("approveAndCall", market.hub, 1, b"", sender=market.requester)
