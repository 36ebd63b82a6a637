"""Call data that no honest encoder makes: cut short, with dirty bits, with offsets that point anywhere."""

from __future__ import annotations

import random
from typing import Any

import pytest

from pyiexec.chain import calls
from pyiexec.chain.hub import FUNCTIONS
from pyiexec.protocol import ids
from pyiexec.protocol.orders import OrderOperation
from pyiexec.protocol.primitives import NULL_ADDRESS, to_hex

WORD = 32
SELECTOR = 4
MAX = 2**256 - 1


def word(value: int) -> bytes:
    return value.to_bytes(WORD, "big")


def with_word(data: bytes, position: int, value: int) -> bytes:
    """The call data with one word replaced."""
    at = SELECTOR + WORD * position
    return data[:at] + word(value) + data[at + WORD :]


def word_of(data: bytes, position: int) -> int:
    at = SELECTOR + WORD * position
    return int.from_bytes(data[at : at + WORD], "big")


def four_orders(market: Any) -> list[Any]:
    return [market.app_order(), market.dataset_order(), market.workerpool_order(), market.request_order(params="{}")]


# --- arguments of fixed size ------------------------------------------------------------------------------------------

FIXED = [
    "deposit", "depositFor", "withdraw", "withdrawTo", "transfer", "approve", "transferFrom", "increaseAllowance",
    "decreaseAllowance", "initialize", "reveal", "reopen", "claim", "claimBoost", "importScore", "setTeeBroker",
    "setCallbackGas", "changeRegistries", "transferOwnership",
]  # fmt: skip


@pytest.mark.parametrize("name", FIXED)
def test_a_call_cut_short_reverts_without_a_reason(market: Any, reverted: Any, name: str) -> None:
    """By a byte, by a word, or all of it: nothing is read as zero."""
    function = FUNCTIONS[name]
    samples = {"address": market.admin, "uint256": 0, "bytes32": "0x" + "00" * 32}
    whole = function.encode(*[samples[parameter.type] for parameter in function.inputs])
    for size in {len(whole) - 1, len(whole) - WORD, SELECTOR}:
        with pytest.raises(reverted) as caught:
            market.chain.send(market.hub, whole[:size], market.admin)
        assert caught.value.data == b""


ADDRESSED = [name for name in FIXED if any(parameter.type == "address" for parameter in FUNCTIONS[name].inputs)]


@pytest.mark.parametrize("name", ADDRESSED)
def test_an_address_with_dirty_upper_bits_reverts_without_a_reason(market: Any, reverted: Any, name: str) -> None:
    function = FUNCTIONS[name]
    samples = {"address": market.admin, "uint256": 0, "bytes32": "0x" + "00" * 32}
    whole = function.encode(*[samples[parameter.type] for parameter in function.inputs])
    for position, parameter in enumerate(function.inputs):
        if parameter.type == "address":
            for bit in (160, 255):
                dirty = with_word(whole, position, word_of(whole, position) | 1 << bit)
                with pytest.raises(reverted) as caught:
                    market.chain.send(market.hub, dirty, market.admin)
                assert caught.value.data == b""


@pytest.mark.parametrize("operation", [2, 255, 256, 257, 2**255])
def test_an_operation_of_more_than_a_bit_reverts_without_a_reason(market: Any, reverted: Any, operation: int) -> None:
    """256 and 257 would be 0 and 1 to a decoder that looks at the lowest byte."""
    order = market.app_order()
    whole = calls.manage_order(order, OrderOperation.CLOSE)
    # offset of the tuple; in it offset of the order, operation
    assert word_of(whole, 2) == 1
    with pytest.raises(reverted) as caught:
        market.chain.send(market.hub, with_word(whole, 2, operation), market.app_owner)
    assert caught.value.data == b""
    assert market.view("viewConsumed", market.hash(order)) == 0


def test_what_follows_the_arguments_is_ignored(market: Any) -> None:
    match = market.match()
    data = calls.initialize(match.id, 0) + b"\xff" * 100
    market.chain.send(market.hub, data, market.stranger)
    assert market.task(match.task()).status == 1


# --- byte strings, arrays and orders ----------------------------------------------------------------------------------


def test_a_match_cut_short_anywhere_is_no_match(market: Any, reverted: Any) -> None:
    """What is missing reads as zeros, and whatever zeros make of orders nobody has signed."""
    data = calls.match_orders(*four_orders(market))
    # padding may be missing at the end, and before it a recovery id that zero may stand for
    missing = WORD + 8
    for size in [*range(0, len(data) - missing, 97), len(data) - missing]:
        with pytest.raises(reverted):
            market.chain.call(market.hub, data[:size], sender=market.stranger)
    assert market.chain.call(market.hub, data[: len(data) - 31], sender=market.stranger)


WILD = [0, 1, 31, 4096, 2**16, 2**32, 2**64, 2**128, 2**255, MAX, MAX - 3, MAX - 31, MAX - 4095]


@pytest.mark.parametrize("boost", [False, True])
def test_an_offset_that_points_anywhere_makes_no_other_deal(market: Any, reverted: Any, boost: bool) -> None:
    """Every offset and length of the four orders replaced: the deal of the signed orders comes out, or none."""
    orders = four_orders(market)
    data = calls.match_orders(*orders, boost=boost)
    honest = market.chain.call(market.hub, data, sender=market.stranger)
    size = len(data) - SELECTOR
    structure = [at for at in range(size // WORD) if 0 < word_of(data, at) <= size]
    assert len(structure) > 12
    outcomes = set()
    for position in structure:
        for value in WILD:
            try:
                answer = market.chain.call(
                    market.hub, with_word(data, position, value), sender=market.stranger, gas=3_000_000
                )
                assert answer == honest, (position, value)
                outcomes.add("same")
            except reverted:
                outcomes.add("none")
    assert "none" in outcomes


@pytest.mark.parametrize("seed", range(3))
def test_mutated_orders_make_the_same_deal_or_none(market: Any, reverted: Any, seed: int) -> None:
    """Bytes flipped, cut out, doubled and swapped at random: a signature covers all that matters."""
    dice = random.Random(seed)
    data = calls.match_orders(*four_orders(market))
    honest = market.chain.call(market.hub, data, sender=market.stranger)
    none = 0
    for _ in range(300):
        mutant = bytearray(data)
        for _ in range(dice.randint(1, 3)):
            at, other = dice.randrange(SELECTOR, len(mutant)), dice.randrange(SELECTOR, len(mutant))
            kind = dice.choice(["flip", "byte", "swap words", "copy word", "cut", "insert"])
            if kind == "flip":
                mutant[at] ^= 1 << dice.randrange(8)
            elif kind == "byte":
                mutant[at] = dice.choice([0, 1, 0x7F, 0x80, 0xFF])
            elif kind in ("swap words", "copy word"):
                a, b = (SELECTOR + (x - SELECTOR) // WORD * WORD for x in (at, other))
                first, second = mutant[a : a + WORD], mutant[b : b + WORD]
                if len(first) == len(second) == WORD:
                    mutant[b : b + WORD] = first
                    if kind == "swap words":
                        mutant[a : a + WORD] = second
            elif kind == "cut":
                del mutant[at : at + dice.randint(1, WORD)]
            else:
                mutant[at:at] = bytes(dice.randint(1, WORD))
            if len(mutant) <= SELECTOR:
                break
        try:
            answer = market.chain.call(market.hub, bytes(mutant), sender=market.stranger, gas=3_000_000)
            assert answer == honest, to_hex(bytes(mutant))
        except reverted:
            none += 1
    assert none > 150


@pytest.mark.parametrize("length", [1025, 4096, 2**16, 2**64, 2**255, MAX])
def test_a_list_longer_than_it_says_or_can_be_is_refused_at_little_gas(market: Any, reverted: Any, length: int) -> None:
    """The length word alone is changed: nothing is done for the items that are there."""
    match = market.match(volume=2)
    initialize = calls.initialize_array([match.id] * 2, [0, 1])
    for data, positions in (
        (initialize, [(2,), (5,), (2, 5)]),
        (FUNCTIONS["claimArray"].encode([match.task(0)]), [(1,)]),
        (FUNCTIONS["depositForArray"].encode([0, 0], [market.admin] * 2), [(2,), (5,), (2, 5)]),
    ):
        for changed in positions:
            forged = data
            for position in changed:
                forged = with_word(forged, position, length)
            with pytest.raises(reverted):
                market.chain.call(market.hub, forged, sender=market.admin, gas=2_000_000)


def test_items_beyond_the_end_are_no_tasks_and_no_deals(market: Any, reverted: Any) -> None:
    """A list that says three and brings two: the third is a zero, which nothing has as its id."""
    match = market.match(volume=2)
    tasks = [market.initialize(match, index) for index in range(2)]
    over = market.task(tasks[0]).final_deadline
    for data in (
        with_word(FUNCTIONS["claimArray"].encode(tasks), 1, 3),
        with_word(with_word(calls.initialize_array([match.id] * 2, [0, 1]), 2, 3), 5, 3),
    ):
        with pytest.raises(reverted) as caught:
            market.chain.send(market.hub, data, market.stranger, at=over)
        assert caught.value.data == b""
        over += 1
    assert [market.task(task).status for task in tasks] == [1, 1]


def test_signatures_cut_short_give_no_leave(market: Any, reverted: Any) -> None:
    """The signatures come last in call data: what is missing of them reads as zeros, and is not what was signed."""
    task, worker = market.started(), market.workers[0]
    digest = market.digest("right")
    leave = market.authorization(worker, task, by=market.scheduler)
    hash_, seal = ids.result_hash(task, digest), ids.result_seal(worker, task, digest)
    for data in (
        calls.contribute(task, hash_, seal, leave, NULL_ADDRESS, b""),
        calls.contribute_and_finalize(task, digest, b"link", leave),
    ):
        # 65 bytes and 31 of padding; not the recovery id alone, which zero may stand for
        for missing in (40, 64, 96, 128):
            with pytest.raises(reverted):
                market.chain.send(market.hub, data[:-missing], worker)
    assert market.task(task).contributors == ()


@pytest.mark.parametrize("size", [0, 1, 2, 3])
def test_a_call_of_less_than_a_selector_is_a_plain_transfer(market: Any, reverted: Any, size: int) -> None:
    """Whatever function it is the beginning of."""
    beginning = FUNCTIONS["totalSupply"].selector[:size]
    with pytest.raises(reverted, match=r"^fallback-disabled$"):
        market.chain.send(market.hub, beginning, market.stranger)
