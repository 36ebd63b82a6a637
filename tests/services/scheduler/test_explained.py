"""Why a task is where it is, asked as a client asks it: of the scheduler, and of the chain when that is silent."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import anyio
import msgspec
import pytest
from tests.services.scheduler.conftest import Net, until_shown
from tests.services.scheduler.scripted import S

from pyiexec.chain.networks import NetworkProfile
from pyiexec.devnet import roles
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.messages import Assign
from pyiexec.protocol.primitives import TaskId
from pyiexec.protocol.tasks import TaskStatus
from pyiexec.sdk import AsyncClient

pytestmark = pytest.mark.anyio

NOBODY = "http://127.0.0.1:9"
PYIEXEC = Path(sys.executable).with_name("pyiexec")


def profile(net: Net, scheduler_url: str) -> NetworkProfile:
    return NetworkProfile(
        name="test",
        chain_id=net.manifest.chain_id,
        rpc_url=net.url,
        hub=net.hub.address,
        market_url=NOBODY,
        gateway_url=NOBODY,
        scheduler_url=scheduler_url,
    )


def client(net: Net, scheduler_url: str) -> AsyncClient:
    return AsyncClient(profile(net, scheduler_url), roles.account(roles.REQUESTER))


async def asked_by_command(net: Net, scheduler_url: str, task_id: TaskId, *options: str) -> str:
    """What a person reads."""
    file = net.path / "network.json"
    file.write_bytes(msgspec.json.encode(profile(net, scheduler_url)))
    command = [PYIEXEC, "task", "why", task_id, "--network", str(file), *options]
    return (await anyio.run_process(command)).stdout.decode()


async def test_scheduler_and_chain_tell_the_same_states_and_the_scheduler_the_causes(net: Net) -> None:
    worker = net.workers[0]

    async def fail(assign: Assign) -> None:
        await worker.report(assign.task_id, S.FAILED, cause="APP_TRAPPED", message="the application trapped")

    worker.on_assign = fail
    async with net.scheduler(failures=1) as url, anyio.create_task_group() as group, client(net, url) as user:
        deal = await net.buy()
        (task_id,) = await net.tasks_of(deal)
        await until_shown(url, f"/tasks/{task_id}", lambda task: (task.get("cause") or {}).get("code") == "NO_WORKER")
        waiting = await user.tasks.why(task_id)
        assert (waiting.source, waiting.state, waiting.reason) == ("scheduler", "RUNNING", "INITIALIZED")
        assert waiting.cause is not None
        assert waiting.cause.code == "NO_WORKER"
        assert waiting.awaited is not None
        assert waiting.awaited.code == "WORKER"

        group.start_soon(worker.run, url)
        await until_shown(url, f"/tasks/{task_id}", lambda task: task["currentStatus"] == "FAILED")
        failed = await user.tasks.why(task_id)
        assert (failed.state, failed.reason) == ("FAILED", "APP_TRAPPED")
        assert (worker.address, "FAILED", "APP_TRAPPED") in [(s.who, s.state, s.reason) for s in failed.history]
        assert failed.awaited is not None
        assert failed.awaited.code == "REFUND"
        told = await asked_by_command(net, url, task_id)
        assert told.startswith("FAILED since ")
        assert "the application trapped  [APP_TRAPPED]" in told
        assert "the final deadline, and somebody who claims the task then  [REFUND]" in told
        assert f"{worker.address}  FAILED" in told
        group.cancel_scope.cancel()
    async with client(net, NOBODY) as user:
        by_chain = await user.tasks.why(task_id)
    assert (by_chain.source, by_chain.state, by_chain.reason) == ("chain", "RUNNING", "INITIALIZED")
    assert by_chain.since == waiting.since
    assert by_chain.silence is not None
    assert by_chain.silence.code == "SCHEDULER_UNREACHABLE"
    assert by_chain.awaited is not None
    assert by_chain.awaited.until == waiting.awaited.until
    by_command = json.loads(await asked_by_command(net, NOBODY, task_id, "--json"))
    assert (by_command["source"], by_command["silence"]["code"]) == ("chain", "SCHEDULER_UNREACHABLE")
    assert by_command["awaited"]["then"] == by_chain.awaited.then


async def test_every_vote_and_proof_of_a_finished_task_is_in_the_chain_s_account_of_it(net: Net) -> None:
    async with net.scheduler() as url, anyio.create_task_group() as group:
        for worker in net.workers[:2]:
            group.start_soon(worker.run, url)
        deal = await net.buy(trust=3)
        assert await net.settled(deal) == [TaskStatus.COMPLETED]
        (task_id,) = await net.tasks_of(deal)
        group.cancel_scope.cancel()
    async with client(net, NOBODY) as user:
        found = await user.tasks.why(task_id)
        (unopened,) = await net.tasks_of(await net.buy())
        with pytest.raises(IexecError, match=r"is initialised on chain .* does not answer") as refused:
            await user.tasks.why(unopened)
        assert (refused.value.code, refused.value.retry) == ("TASK_UNKNOWN", True)
    assert (found.state, found.reason, found.awaited) == ("COMPLETED", "FINALIZED", None)
    assert [step.reason for step in found.history if step.who == "task"] == [
        "INITIALIZED",
        "VOTES_SUFFICED",
        "FINALIZED",
    ]
    for worker in net.workers[:2]:
        assert [s.state for s in found.history if s.who == worker.address] == ["CONTRIBUTED", "REVEALED"]
