"""Other projects test against a whole network by naming one fixture."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

NOOP = Path(__file__).parents[2] / "apps" / "noop" / "noop.wasm"

SOMEBODYS_TESTS = f"""
from pathlib import Path

import asyncio

from pyiexec.devnet.testing import LocalNetwork
from pyiexec.protocol.orders import AppOrder
from pyiexec.sdk import AsyncClient

NOOP = Path({str(NOOP)!r}).read_bytes()


def sell(network: LocalNetwork) -> str:
    with network.client("app-provider") as provider:
        app = provider.deploy_app("echo", NOOP).address
        provider.publish(provider.sign(AppOrder(app=app, volume=100)))
    return app


def test_three_workers_agree_and_are_paid(pyiexec_network: LocalNetwork) -> None:
    app = sell(pyiexec_network)
    with pyiexec_network.client("requester") as client:
        quote = client.quote(app, volume=2, trust=5)
        client.deposit(quote.total)
        before = client.balance()
        execution = client.buy(app, args="forty two", volume=2, trust=5)
        events = [update.event for update in client.watch(execution)]
        results = client.results(execution)
        after = client.balance()
    assert events.count("TaskFinalize") == 2
    assert events.count("TaskContribute") >= 6
    assert [result.files["result.txt"] for result in results] == [b"forty\\ntwo\\n"] * 2
    assert (before.stake - after.stake, after.locked) == (quote.total, before.locked)


def test_the_network_is_shared_by_the_session_and_serves_asyncio_too(pyiexec_network: LocalNetwork) -> None:
    app = sell(pyiexec_network)

    async def buy() -> bytes:
        async with AsyncClient(pyiexec_network.profile, pyiexec_network.account("requester")) as client:
            await client.account.deposit((await client.purchases.quote(app)).total)
            [result] = await client.results(await client.buy(app, args="hello"))
            return result.files["result.txt"]

    assert asyncio.run(buy()) == b"hello\\n"
"""


def test_a_foreign_project_buys_proved_results_in_its_tests(tmp_path: Path) -> None:
    (tmp_path / "test_market.py").write_text(SOMEBODYS_TESTS)
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "test_market.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert "2 passed" in run.stdout, (run.stdout + run.stderr)[-4000:]
