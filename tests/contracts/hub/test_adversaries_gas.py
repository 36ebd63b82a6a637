"""Gas as a weapon: callbacks that are starved, that burn, that answer megabytes; wallets and groups that do so too."""

from __future__ import annotations

from typing import Any

import pytest

from pyiexec.chain.abi import Function
from pyiexec.chain.hub import FUNCTIONS
from pyiexec.protocol import ids
from pyiexec.protocol.orders import order_to_abi
from pyiexec.protocol.primitives import NULL_ADDRESS, bytes32, keccak256, to_bytes

PANIC_ASSERT = to_bytes("0x4e487b71" + f"{1:064x}")
ALLOWANCE = 200_000
#: What a callee sees of its allowance once its own dispatch is done.
DISPATCH = 1_000
PAYLOAD = b"\x11" * 4096


def number(market: Any, contract: str, name: str) -> int:
    return int.from_bytes(market.chain.call(contract, Function.parse(f"{name}()").encode()), "big")


class Ending:
    """A transaction that ends with a callback, tried with any gas."""

    def __init__(self, market: Any, sender: str, data: bytes, refusal: bytes) -> None:
        self.market, self.sender, self.data, self.refusal = market, sender, data, refusal

    def tried(self, gas: int, reverted: Any, ask: Any) -> tuple[bool, Any]:
        """Whether it succeeds with that gas, and the answer to a question asked right after; nothing remains."""
        snapshot = self.market.chain.ask("evm_snapshot")
        refusal = None
        try:
            self.market.chain.send(self.market.hub, self.data, self.sender, gas=gas)
        except reverted as error:
            refusal = error.data
        # with too little gas even for what comes before, there is no reason
        assert refusal in (None, self.refusal, b"")
        answer = ask()
        self.market.chain.ask("evm_revert", snapshot)
        return refusal is None, answer

    def least(self, reverted: Any) -> int:
        low, high = 200_000, 2_000_000
        while high - low > 1:
            middle = (low + high) // 2
            done, _ = self.tried(middle, reverted, lambda: None)
            low, high = (low, middle) if done else (middle, high)
        return high


def finalizing(market: Any, callback: str, payload: bytes = PAYLOAD) -> Ending:
    task = market.started(callback=callback)
    digest = bytes32(keccak256(payload))
    worker = market.workers[0]
    data = FUNCTIONS["contribute"].encode(
        task,
        ids.result_hash(task, digest),
        ids.result_seal(worker, task, digest),
        NULL_ADDRESS,
        b"",
        market.authorization(worker, task, by=market.scheduler),
    )
    market.chain.send(market.hub, data, worker)
    market.send("reveal", task, digest, sender=worker)
    return Ending(market, market.scheduler, FUNCTIONS["finalize"].encode(task, b"", payload), PANIC_ASSERT)


def shortcut(market: Any, callback: str, payload: bytes = PAYLOAD) -> Ending:
    task, worker = market.started(callback=callback), market.workers[0]
    digest = bytes32(keccak256(payload))
    leave = market.authorization(worker, task, by=market.scheduler)
    data = FUNCTIONS["contributeAndFinalize"].encode(task, digest, b"", payload, NULL_ADDRESS, b"", leave)
    return Ending(market, worker, data, PANIC_ASSERT)


def boost(market: Any, callback: str, payload: bytes = PAYLOAD) -> Ending:
    request = market.request_order(callback=callback)
    orders = (market.app_order(), market.dataset_order(), market.workerpool_order(), request)
    market.send("matchOrdersBoost", *map(order_to_abi, orders), sender=market.stranger)
    deal, worker = ids.deal_id(market.hash(request), 0), market.workers[0]
    leave = market.authorization(worker, ids.task_id(deal, 0), by=market.scheduler)
    data = FUNCTIONS["pushResultBoost"].encode(deal, 0, b"", payload, leave, NULL_ADDRESS, b"")
    reason = Function.parse("Error(string)").encode("PocoBoost: Not enough gas after callback")
    return Ending(market, worker, data, reason)


ENDINGS = [finalizing, shortcut, boost]


@pytest.mark.parametrize("ending", ENDINGS)
def test_at_no_gas_limit_does_a_task_end_without_its_callback_having_had_its_allowance(
    market: Any, mock: Any, reverted: Any, ending: Any
) -> None:
    """A callee that survives the failure of its inner call gives gas back, which must not pass for an allowance."""
    callee = mock("Forgiving")
    attempt = ending(market, callee)
    seen = set()
    for gas in range(200_000, 1_600_001, 20_000):
        done, worked = attempt.tried(gas, reverted, lambda: number(market, callee, "worked"))
        assert worked == done, gas
        seen.add(done)
    assert seen == {True, False}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("payload", [b"d", PAYLOAD])
def test_at_the_least_gas_that_works_the_callback_is_offered_all_of_its_allowance(
    market: Any, mock: Any, reverted: Any, ending: Any, payload: bytes
) -> None:
    callee = mock("Forgiving")
    attempt = ending(market, callee, payload)
    least = attempt.least(reverted)
    plenty = attempt.tried(5_000_000, reverted, lambda: number(market, callee, "gas_offered"))
    assert plenty[0]
    assert ALLOWANCE - DISPATCH < plenty[1] <= ALLOWANCE
    assert attempt.tried(least, reverted, lambda: number(market, callee, "gas_offered")) == plenty
    assert not attempt.tried(least - 1, reverted, lambda: None)[0]


# --- code planted where a callback, a wallet or a group is expected ---------------------------------------------------

PLANTED = "0x00000000000000000000000000000000000C0DE1"
CODES = {
    "loops": "0x5b5f56",
    "aborts": "0xfe",
    "answers a megabyte": "0x620f42405ff3",
    "reverts with a megabyte": "0x620f42405ffd",
    "answers nothing": "0x00",
    "destroys itself": "0x33ff",
    "creates contracts": "0x5b5f5f5ff05056",
}


@pytest.fixture(params=CODES)
def planted(request: pytest.FixtureRequest, market: Any) -> str:
    market.chain.ask("anvil_setCode", PLANTED, CODES[request.param])
    return PLANTED


@pytest.mark.parametrize("ending", ENDINGS)
def test_no_callback_costs_more_than_its_allowance(market: Any, planted: str, ending: Any) -> None:
    """Whatever stands there; the bound beside the allowance is what the ending costs with nobody to call."""
    attempt = ending(market, planted, b"d")
    snapshot = market.chain.ask("evm_snapshot")
    gas = market.chain.send(market.hub, attempt.data, attempt.sender).gas
    assert market.conserved()
    market.chain.ask("evm_revert", snapshot)
    market.chain.ask("anvil_setCode", planted, "0x")
    alone = market.chain.send(market.hub, attempt.data, attempt.sender).gas
    assert gas <= alone + ALLOWANCE


def test_a_wallet_of_any_code_has_signed_nothing(market: Any, planted: str, reverted: Any) -> None:
    """ERC-1271: what fails, or answers nonsense, or burns all it is given is a no, with the reason of any other no."""
    with pytest.raises(reverted, match=r"^iExecV5-matchOrders-0x50$"):
        market.match(request=market.request_order(requester=planted, sign="0x01"))


def test_a_group_of_any_code_has_no_members(market: Any, planted: str, reverted: Any) -> None:
    """ERC-734."""
    with pytest.raises(reverted, match=r"^iExecV5-matchOrders-0x15$"):
        market.match(app=market.app_order(requesterrestrict=planted))


def test_an_enclave_or_broker_of_any_code_vouches_for_nothing(market: Any, planted: str, reverted: Any) -> None:
    task = market.started()
    with pytest.raises(reverted):
        market.contribute(task, market.workers[0], enclave=planted, enclave_sign=b"\x01")
    market.send("setTeeBroker", planted, sender=market.admin)
    with pytest.raises(reverted):
        market.contribute(task, market.workers[0], enclave=market.enclave, authorization=b"\x01")
    assert market.task(task).contributors == ()


def test_a_wallet_changes_nothing_while_it_is_asked(market: Any, reverted: Any) -> None:
    """It is called statically: what it tries to write at the hub fails, whatever it answers in the end."""
    approve = FUNCTIONS["approve"].encode(market.stranger, 5)
    push = "".join(f"7f{approve[at : at + 32].hex():0<64}60{at:02x}52" for at in range(0, len(approve), 32))
    call = f"5f5f60{len(approve):02x}5f5f73{market.hub[2:]}5af1"
    answer = "7f1626ba7e" + "00" * 28 + "5f5260205ff3"
    # tries, leaves the outcome where it does not matter, and says yes
    market.chain.ask("anvil_setCode", PLANTED, "0x" + push + call + "50" + answer)
    market.fund(PLANTED)
    match = market.match(request=market.request_order(requester=PLANTED, sign="0x01"))
    assert market.deal(match.id).requester.lower() == PLANTED.lower()
    assert market.view("allowance", PLANTED, market.stranger) == 0
    # the same code, called by anybody, may well approve
    market.chain.send(PLANTED, b"", market.stranger)
    assert market.view("allowance", PLANTED, market.stranger) == 5


@pytest.mark.parametrize("word", ["1626ba7e" + "00" * 27 + "01", "00" * 28 + "1626ba7e", "ff" * 32, "01" * 32])
@pytest.mark.parametrize("size", [0, 4, 31, 32, 64, 100_000])
def test_only_the_magic_word_itself_is_a_yes(market: Any, word: str, size: int) -> None:
    """ERC-1271's four bytes with dirty bits after them, at the wrong end, or anything else: at any length, a no."""
    store = "7f" + word + "5f52"
    market.chain.ask("anvil_setCode", PLANTED, "0x" + store + f"62{size:06x}5ff3")
    assert not market.view("verifySignature", PLANTED, "0x" + "ab" * 32, b"")
    genuine = "7f1626ba7e" + "00" * 28 + "5f52"
    market.chain.ask("anvil_setCode", PLANTED, "0x" + genuine + f"62{size:06x}5ff3")
    assert market.view("verifySignature", PLANTED, "0x" + "ab" * 32, b"") is (size >= 32)


@pytest.mark.parametrize("word", [0, 2, 1 << 255, (1 << 256) - 1, 1 << 8 | 1])
def test_only_a_clean_one_is_membership(market: Any, reverted: Any, word: int) -> None:
    market.chain.ask("anvil_setCode", PLANTED, f"0x7f{word:064x}5f5260205ff3")
    with pytest.raises(reverted, match=r"^iExecV5-matchOrders-0x15$"):
        market.match(app=market.app_order(requesterrestrict=PLANTED))
    market.chain.ask("anvil_setCode", PLANTED, f"0x7f{1:064x}5f5260205ff3")
    assert market.deal(market.match(app=market.app_order(requesterrestrict=PLANTED)).id).exists
