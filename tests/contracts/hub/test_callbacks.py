"""Callbacks: told of the result, never in the way of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from pyiexec.chain.abi import Event, Function
from pyiexec.protocol.primitives import to_bytes

GOT_RESULT = Event.parse("GotResult(bytes32 indexed id, bytes result)")
PANIC_ASSERT = to_bytes("0x4e487b71" + f"{1:064x}")
#: Loops for ever; answers a megabyte.
BURNER, FLOODER = "0x5b5f56", "0x62" + f"{1_000_000:06x}" + "5ff3"
ALLOWANCE = 200_000


def ready(market: Any, callback: str) -> str:
    """A task one `finalize` away from its callback with `data`."""
    task: str = market.started(callback=callback)
    market.contribute(task, market.workers[0], "data")
    market.reveal(task, market.workers[0], "data")
    return task


def number(market: Any, consumer: str, name: str) -> int:
    """A public variable of the consumer."""
    return int.from_bytes(market.chain.call(consumer, Function.parse(f"{name}()").encode()), "big")


def planted(market: Any, code: str) -> str:
    address = "0x00000000000000000000000000000000000C0DE1"
    market.chain.ask("anvil_setCode", address, code)
    return address


def test_a_callback_receives_the_payload_last(market: Any, mock: Any) -> None:
    consumer = mock("Consumer", 0)
    task = ready(market, consumer)
    receipt = market.finalize(task, b"link", b"data")
    last = receipt.raw["logs"][-1]
    assert last["address"] == consumer.lower()
    assert GOT_RESULT.decode(last) == {"id": task, "result": b"data"}
    assert receipt.raw["logs"][-2]["address"] == market.hub.lower()
    offered = number(market, consumer, "gas_offered")
    assert ALLOWANCE - 5_000 < offered < ALLOWANCE


def test_the_shortcut_calls_back_too(market: Any, mock: Any) -> None:
    consumer = mock("Consumer", 0)
    task = market.started(callback=consumer)
    receipt = market.contribute_and_finalize(task, market.workers[0], callback=b"data")
    assert GOT_RESULT.decode(receipt.raw["logs"][-1])["result"] == b"data"


@pytest.mark.parametrize("data", [b"", b"other"])
def test_the_payload_must_be_what_was_voted_for(market: Any, mock: Any, reverted: Any, data: bytes) -> None:
    task = ready(market, mock("Consumer", 0))
    with pytest.raises(reverted) as caught:
        market.finalize(task, b"link", data)
    assert caught.value.data == b""
    assert market.task(task).status == 2


@pytest.mark.parametrize("kind", ["account", "token", "refuses", "burns"])
def test_a_callback_that_fails_changes_nothing(market: Any, mock: Any, kind: str) -> None:
    kinds: dict[str, Callable[[], str]] = {
        "account": lambda: market.stranger,
        "token": lambda: market.manifest.token,
        "refuses": lambda: mock("Consumer", 1),
        "burns": lambda: planted(market, BURNER),
    }
    task = ready(market, kinds[kind]())
    market.finalize(task, b"link", b"data")
    assert market.task(task).status == 3
    assert market.view("resultFor", task) == b"data"


def test_a_callback_that_calls_back_finds_the_task_done(market: Any, mock: Any) -> None:
    consumer = mock("Consumer", 2)
    task = ready(market, consumer)
    market.finalize(task, b"link", b"data")
    assert (number(market, consumer, "calls"), number(market, consumer, "claimed")) == (1, 0)
    assert market.conserved()


@pytest.mark.parametrize("missing", [500, 5_000, 20_000, 60_000])
def test_whoever_finalizes_cannot_starve_the_callback(market: Any, reverted: Any, missing: int) -> None:
    """The least gas that works is what the callee was promised; less is a panic, not a silent miss."""
    task = ready(market, planted(market, BURNER))
    least = _least_gas(market, task, reverted)
    with pytest.raises(reverted) as caught:
        market.finalize(task, b"link", b"data", gas=least - missing)
    assert caught.value.data == PANIC_ASSERT
    assert market.task(task).status == 2
    market.finalize(task, b"link", b"data", gas=least)
    assert market.task(task).status == 3


def _least_gas(market: Any, task: str, reverted: Any) -> int:
    low, high = 300_000, 1_000_000
    while high - low > 1:
        middle = (low + high) // 2
        snapshot = market.chain.ask("evm_snapshot")
        try:
            market.finalize(task, b"link", b"data", gas=middle)
            high = middle
        except reverted:
            low = middle
        market.chain.ask("evm_revert", snapshot)
    return high


def test_fixed_30_what_a_callback_answers_is_not_copied(market: Any) -> None:
    """A megabyte of answer would cost millions of gas to copy; it costs the callee its own allowance at most."""
    market.send("setCallbackGas", 10_000_000, sender=market.admin)
    flooded = market.finalize(ready(market, planted(market, FLOODER)), b"link", b"data").gas
    market.set_balance(market.workers[0], 10**9)
    trace = market.finalize(ready(market, market.stranger), b"link", b"data").gas
    callee = 3 * 31_250 + 31_250**2 // 512
    assert flooded - trace < callee + 60_000


def test_a_pending_task_has_no_result(market: Any, reverted: Any) -> None:
    task = market.started()
    with pytest.raises(reverted, match=r"^task-pending$"):
        market.view("resultFor", task)
    with pytest.raises(reverted, match=r"^task-pending$"):
        market.view("resultFor", "0x" + "ab" * 32)
