"""Other projects test against a whole network by naming a fixture."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROJECT = '''
"""A project of somebody else: it knows pyiexec's public names and nothing of this repository."""

from pathlib import Path

import asyncio

import anyio
import pytest

from pyiexec.devnet.samples import sample
from pyiexec.protocol.orders import AppOrder
from pyiexec.sdk import AsyncClient, IexecError


@pytest.fixture(scope="session")
def app(pyiexec_network):
    with pyiexec_network.client("app-provider") as provider:
        deployed = provider.deploy_app("echo", sample("noop/noop.wasm"))
        assert provider.deploy_app("echo", sample("noop/noop.wasm")).address == deployed.address
        assert provider.app(deployed.address).owner == provider.address
        provider.publish(provider.sign(AppOrder(app=deployed.address, appprice=5, volume=1000)))
    return deployed.address


@pytest.fixture(scope="session", autouse=True)
def stake(pyiexec_network):
    with pyiexec_network.client() as requester:
        requester.deposit(2 * 10**9)


def test_buy_watch_and_download(pyiexec_network, app):
    with pyiexec_network.client() as requester:
        quote = requester.quote(app, volume=2, trust=3)
        execution = requester.buy(app, args="hello", volume=2, trust=3, max_price=quote.total)
        assert execution.quote.total == quote.total
        updates = list(requester.watch(execution))
        assert [update.event for update in updates].count("TaskFinalize") == 2
        results = requester.results(execution)
        assert [result.files["result.txt"] for result in results] == [b"hello\\n"] * 2
        (deal_id,) = execution.deal_ids
        assert requester.deal(deal_id).trust == 3
        task = requester.task(results[0].task_id)
        assert task.result_digest == results[0].digest
        # Trust 3 takes more than one worker's word.
        assert len(task.contributors) >= 2
        assert requester.explain(results[0].task_id)["currentStatus"] == "COMPLETED"
        # The app prints nothing, and its log says so.
        logs = requester.logs(results[0].task_id)
        assert {log.worker for log in logs} <= set(task.contributors)
        assert [(log.stdout, log.stderr) for log in logs] == [("", "")] * len(logs)
        assert list(requester.follow_logs(results[0].task_id)) == []


def test_a_watch_may_be_left_early(pyiexec_network, app):
    with pyiexec_network.client() as requester:
        execution = requester.buy(app)
        for update in requester.watch(execution):
            break
        assert len(requester.results(execution)) == 1


def test_inputs_are_stored(pyiexec_network, app):
    with pyiexec_network.client() as requester:
        url = requester.store(b"content")
        assert "/ipfs/" in url
        assert requester.results(requester.buy(app, inputs=[url]))


def test_errors_have_codes(pyiexec_network, app):
    with pyiexec_network.client() as requester:
        with pytest.raises(IexecError) as refused:
            requester.buy(app, max_price=1)
        assert refused.value.code == "PRICE_TOO_LOW"
        with pytest.raises(IexecError) as refused:
            requester.buy(app, approve=lambda quote: False)
        assert refused.value.code == "CONFIRMATION_NEEDED"
        with pytest.raises(IexecError) as refused:
            requester.withdraw(10**18)
        assert refused.value.code == "STAKE_TOO_LOW"
        # Orders can be taken back, from the book and from the chain.
    with pyiexec_network.client("app-provider") as provider:
        order = provider.sign(AppOrder(app=app, appprice=1))
        name = provider.publish(order)
        provider.unpublish("apporder", name)
        assert provider.cancel(order).startswith("0x")


def test_a_client_without_a_wallet_reads_and_does_nothing_else(pyiexec_network, app):
    from pyiexec.sdk import Client

    with Client(pyiexec_network.profile) as anybody:
        assert anybody.app(app).name == "echo"
        assert anybody.balance(pyiexec_network.account("requester").address).stake > 0
        with pytest.raises(IexecError) as refused:
            anybody.deposit(1)
        assert refused.value.code == "WALLET_MISSING"


def test_the_asynchronous_client_does_the_same(pyiexec_network, app):
    async def scenario():
        account = pyiexec_network.account("requester")
        async with AsyncClient(pyiexec_network.profile, account) as requester:
            results = await requester.run(app, args="asyncio", volume=3)
            assert {result.files["result.txt"] for result in results} == {b"asyncio\\n"}
            bought = [await requester.buy(app, args=str(number)) for number in range(3)]
            texts = []

            async def collect(execution):
                (result,) = await requester.results(execution)
                texts.append(result.files["result.txt"])

            async with anyio.create_task_group() as group:
                for execution in bought:
                    group.start_soon(collect, execution)
            assert sorted(texts) == [b"0\\n", b"1\\n", b"2\\n"]
            audit = await requester.ledgers.audit()
            assert audit.problems == ()

    asyncio.run(scenario())
'''


def test_a_separate_project_tests_against_a_network_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\nfilterwarnings = error\n")
    (tmp_path / "test_project.py").write_text(PROJECT)
    # The cache of tools is the machine's; nothing else of this project's surroundings is.
    environment = {name: os.environ[name] for name in ("PATH", "HOME", "XDG_CACHE_HOME") if name in os.environ}
    process = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--timeout=100", str(tmp_path)],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )
    assert process.returncode == 0, process.stdout[-6000:] + process.stderr[-2000:]
    assert "6 passed" in process.stdout, process.stdout
