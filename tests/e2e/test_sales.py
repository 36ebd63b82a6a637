"""A pool that sells itself: `pyiexec up --sell-at`, a deal bought, workers killed, and the order book in step."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from pyiexec.devnet.samples import sample
from tests.e2e.conftest import QuickCli, part_pid

#: Seconds in which the order book must follow.
IN_STEP = 30.0


@pytest.fixture(scope="module")
def network_options() -> Sequence[str]:
    return ("--workers", "2", "--block-time", "0", "--sell-at", "0.2 RLC")


def until(found: Callable[[], Any], wanted: Callable[[Any], bool]) -> Any:
    deadline = time.monotonic() + IN_STEP
    while not wanted(last := found()):
        assert time.monotonic() < deadline, last
        # Asked through the command line, as a manager would.
        time.sleep(0.2)
    return last


def test_a_pool_sells_its_free_slots_and_nothing_else(quick: QuickCli) -> None:
    scheduler = quick.json("up")["endpoints"]["scheduler"]

    def offered() -> dict[str, Any]:
        return quick.json("scheduler", "offers", scheduler)

    def volume(shown: dict[str, Any]) -> int:
        return sum(offer["volume"] for offer in shown["offers"])

    slots = until(offered, lambda shown: shown["workers"] == 2 and volume(shown) == shown["slots"])["slots"]
    assert slots >= 2
    book = quick.json("orderbook", "workerpool")
    assert sum(order["remaining"] for order in book["orders"]) == slots
    assert {order["order"]["workerpoolprice"] for order in book["orders"]} == {200_000_000}
    text = quick("scheduler", "offers", scheduler)
    assert (text.code, "[ALL_OFFERED]" in text.out) == (0, True), text.out + text.err

    (quick.home / "noop.wasm").write_bytes(sample("noop/noop.wasm"))
    app = quick.json("app", "deploy", "noop.wasm", "--as", "app-provider")["address"]
    quick.json("app", "publish", app, "--as", "app-provider")
    quick.json("account", "deposit", "2 RLC")
    done = quick.json("run", app, "--args", "x", "--category", "5", "--yes")
    (task,) = done["tasks"]
    assert quick.json("task", "show", task["taskId"])["status"] == "COMPLETED"
    until(offered, lambda shown: volume(shown) == slots)

    os.kill(part_pid(quick, "worker-1"), signal.SIGSTOP)
    fewer = until(offered, lambda shown: shown["workers"] == 1 and volume(shown) == shown["slots"])
    assert 0 < fewer["slots"] < slots
    os.kill(part_pid(quick, "worker-1"), signal.SIGKILL)
    # It is started again, like any part, and sold again.
    until(offered, lambda shown: volume(shown) == slots)
