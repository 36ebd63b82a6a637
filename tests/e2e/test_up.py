"""The network of `pyiexec up`: it stays, stops, comes back as it was, and survives being killed."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pyiexec.chain.hub import EVENTS
from pyiexec.chain.rpc import JsonRpc
from pyiexec.devnet.samples import sample
from tests.e2e.conftest import (
    PYIEXEC,
    Cli,
    QuickCli,
    daemon_pid,
    descendants,
    has_ended,
    local_directory,
    part_pid,
)

UP = ("up", "--any-ports", "--workers", "2", "--block-time", "0")


@pytest.fixture(scope="module")
def network(make_cli: Callable[[], Cli]) -> Iterator[QuickCli]:
    """A network whose tests stop, kill and restart it."""
    command = make_cli()
    command.json(*UP)
    yield QuickCli(command.home)
    command("down")


@pytest.fixture(scope="module")
def traces(network: QuickCli) -> dict[str, Any]:
    """What a first session leaves behind: an app on offer, a deal, a result."""
    (network.home / "noop.wasm").write_bytes(sample("noop/noop.wasm"))
    app = network.json("app", "deploy", "noop.wasm", "--as", "app-provider")["address"]
    order = network.json("app", "publish", app, "--as", "app-provider")["orderHash"]
    network.json("account", "deposit", "5 RLC")
    done = network.json("run", app, "--args", "kept", "--yes", "--output", "first")
    return {"app": app, "order": order, "deal": done["deals"][0], "task": done["tasks"][0]["taskId"]}


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


def everything_is_there(network: QuickCli, traces: dict[str, Any], folder: str) -> None:
    """Chain, order book, result store and scheduler still know the first session, and go on working."""
    assert network.json("deal", "show", traces["deal"])["tasks"][0]["status"] == "COMPLETED"
    network.json("task", "result", traces["task"], "--output", folder)
    assert (network.home / folder / "result.txt").read_text() == "kept\n"
    assert network.json("order", "show", "apporder", traces["order"])["status"] == "open"
    assert network.json("task", "show", traces["task"])["scheduler"]["currentStatus"] == "COMPLETED"
    assert network.json("orderbook", "workerpool")["count"] == 1
    again = network.json("run", traces["app"], "--args", folder, "--yes", "--output", f"{folder}-run")
    assert (network.home / f"{folder}-run" / "result.txt").read_text() == f"{folder}\n"
    assert again["deals"][0] != traces["deal"]


def test_up_tells_endpoints_accounts_and_profile(network: QuickCli) -> None:
    shown = network.json("up")
    assert shown["running"]
    services = {"market", "gateway", "scheduler", "sms", "compass", "indexer", "faucet"}
    assert set(shown["endpoints"]) == {"chain", *services}
    roles = {account["role"] for account in shown["accounts"]}
    assert {"requester", "app-provider", "pool-manager"} <= roles
    assert json.loads(Path(shown["profile"]).read_text())["hub"] == shown["hub"]


def test_a_second_up_leaves_the_running_network_as_it_is(network: QuickCli) -> None:
    pid = daemon_pid(network)
    text = network("up", "--workers", "9")
    assert text.code == 0
    assert "is up already" in text.out
    assert daemon_pid(network) == pid


def test_a_running_network_is_not_deleted(network: QuickCli) -> None:
    network.refused("reset", "--yes", code="NETWORK_RUNNING")


def test_what_was_done_is_still_there_after_down_and_up(network: QuickCli, traces: dict[str, Any]) -> None:
    before = network.json("up")
    pid = daemon_pid(network)
    parts = descendants(pid)
    assert len(parts) > 5
    assert network.json("down")["running"] is False
    assert all(has_ended(part) for part in [pid, *parts])
    status = network("status", "--json")
    assert (status.code, status.json["running"], status.json["well"]) == (1, False, False)
    network.refused("down", code="NETWORK_STOPPED")
    # Taken up as it was made, with its two workers and its ports.
    after = Cli(network.home).json("up")
    assert [name for name in network.json("logs")["logs"] if name.startswith("worker")] == ["worker-1", "worker-2"]
    # Configuration files made for it stay valid.
    assert after["endpoints"] == before["endpoints"]
    assert after["hub"] == before["hub"]
    everything_is_there(network, traces, "after-down")


def test_a_killed_network_leaves_nothing_behind_and_comes_back(network: QuickCli, traces: dict[str, Any]) -> None:
    endpoints = network.json("up")["endpoints"]
    pid = daemon_pid(network)
    parts = descendants(pid)
    os.kill(pid, signal.SIGKILL)
    assert all(has_ended(part) for part in [pid, *parts])
    for url in endpoints.values():
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port_of(url))) != 0
    assert Cli(network.home).json(*UP)["endpoints"] == endpoints
    everything_is_there(network, traces, "after-kill")


@pytest.mark.parametrize("part", ["scheduler", "worker-1", "market"])
def test_a_killed_part_is_started_again(network: QuickCli, traces: dict[str, Any], part: str) -> None:
    daemon = daemon_pid(network)
    victim = part_pid(network, part)
    os.kill(victim, signal.SIGKILL)
    assert has_ended(victim)
    while not network("status", "--json").json["well"]:
        pass
    done = network.json("run", traces["app"], "--yes", "--output", f"without-{part}")
    assert done["tasks"]
    assert daemon_pid(network) == daemon


def test_ctrl_c_while_waiting_loses_nothing(network: QuickCli, traces: dict[str, Any]) -> None:
    up = network.json("up")
    known = count_deals(up)
    process = subprocess.Popen(
        [str(PYIEXEC), "run", traces["app"], "--args", "interrupted", "--volume", "6", "--yes", "--output", "broken"],
        cwd=network.home,
        env=network.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    # Interrupted as soon as the price is locked: the chain tells, not the command.
    while count_deals(up) == known:
        assert process.poll() is None, process.communicate()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, (out, err)
    assert "Traceback" not in out + err
    assert "deal show" in err
    deal = err.split("pyiexec deal show ")[1].split("`")[0]
    tasks: list[dict[str, Any]] = []
    while not tasks or {task["status"] for task in tasks} != {"COMPLETED"}:
        tasks = network.json("deal", "show", deal)["tasks"]
    network.json("task", "result", tasks[5]["taskId"], "--output", "rescued")
    assert (network.home / "rescued" / "result.txt").read_text() == "interrupted\n"


def count_deals(up: dict[str, Any]) -> int:
    """Deals that the chain has seen: the order book tells of them later."""

    async def ask() -> int:
        async with JsonRpc(up["endpoints"]["chain"]) as rpc:
            wanted = {"address": up["hub"], "topics": [EVENTS["OrdersMatched"].topic], "fromBlock": "0x0"}
            return len(await rpc.call("eth_getLogs", wanted))

    return asyncio.run(ask())


def test_a_port_that_is_taken_is_named_and_nothing_stays_behind(make_cli: Callable[[], Cli]) -> None:
    command = make_cli()
    endpoints = command.json(*UP)["endpoints"]
    command.json("down")
    with socket.socket() as squatter:
        squatter.bind(("127.0.0.1", port_of(endpoints["market"])))
        squatter.listen()
        refused = command("up", "--json")
        assert refused.code == 1
        assert str(port_of(endpoints["market"])) in refused.out
    assert command("status", "--json").json["running"] is False
    # The way is free again.
    assert command.json("up")["running"]
    command.json("down")
    command.refused("reset", code="CONFIRMATION_NEEDED")
    command.json("reset", "--yes")
    assert not local_directory(command).exists()
    command.refused("status", code="NETWORK_UNKNOWN")


def test_more_liars_than_workers_are_refused_before_anything_starts(make_cli: Callable[[], Cli]) -> None:
    command = make_cli()
    refused = command.refused("up", "--any-ports", "--workers", "2", "--bad", "3", code="BAD_REQUEST")
    assert "liars" in refused["error"]
    assert not local_directory(command).exists()
