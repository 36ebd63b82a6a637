"""What anybody may ask a scheduler: tasks, replicates, events, figures; and what it refuses."""

from __future__ import annotations

import itertools
import json
from typing import Any

import anyio
import pytest
from tests.services.scheduler.asking import ask, stream
from tests.services.scheduler.conftest import Net, until_shown
from tests.services.scheduler.scripted import S

from pyiexec import __version__
from pyiexec.devnet import roles
from pyiexec.protocol.messages import Assign
from pyiexec.protocol.primitives import bytes32
from pyiexec.protocol.tasks import TaskStatus

pytestmark = pytest.mark.anyio

#: Fields of the reference's models, and ours besides.
TASK_FIELDS = {
    *("chainTaskId", "replicates", "maxExecutionTime", "tag", "dappType", "dappName", "commandLine"),
    *("initializationBlockNumber", "currentStatus", "trust", "uploadingWorkerWalletAddress", "consensus"),
    *("contributionDeadline", "revealDeadline", "finalDeadline", "resultLink", "chainCallbackData", "dateStatusList"),
}
OURS = {"dealId", "taskIndex", "phase", "cause", "awaited", "forecast"}
REPLICATE_FIELDS = {
    *("self", "chainTaskId", "walletAddress", "currentStatus", "statusUpdateList", "resultLink", "chainCallbackData"),
    *("contributionHash", "appLogs", "appExitCode", "teeSessionGenerationError", "cause"),
}


async def test_a_finished_task_is_told_in_the_reference_s_fields(net: Net) -> None:
    async with net.scheduler() as url, anyio.create_task_group() as group:
        for worker in net.workers[:3]:
            group.start_soon(worker.run, url)
        deal_id = await net.buy(trust=5)
        assert await net.settled(deal_id) == [TaskStatus.COMPLETED]
        (task_id,) = await net.tasks_of(deal_id)
        done = await until_shown(
            url, f"/tasks/{task_id}", lambda task: all(r["currentStatus"] == "COMPLETED" for r in task["replicates"])
        )
        deal, task = await net.hub.deal(deal_id), await net.hub.task(task_id)
        assert done.keys() == TASK_FIELDS | OURS
        assert done["chainTaskId"] == task_id
        assert (done["dealId"], done["taskIndex"], done["trust"]) == (deal_id, 0, 5)
        assert (done["tag"], done["dappType"], done["dappName"]) == (deal.tag, "DOCKER", "/ipfs/x")
        assert done["maxExecutionTime"] == task.timeref * 1000
        assert done["consensus"] == task.consensus_value
        assert json.loads(done["resultLink"]) == json.loads(task.results)
        assert done["initializationBlockNumber"] > 0
        assert done["finalDeadline"].endswith("Z")
        assert done["cause"] is None
        assert done["awaited"] is None
        reasons = [change["reason"] for change in done["dateStatusList"]]
        assert reasons[0] == "DEAL_MADE"
        assert reasons[-1] == "FINALIZED"
        assert {"INITIALIZED", "VOTES_SUFFICED", "RESULT_VERIFIED"} <= set(reasons)
        statuses = [change["status"] for change in done["dateStatusList"]]
        assert statuses[0] == "RECEIVED"
        assert statuses[-2:] == ["FINALIZED", "COMPLETED"]
        assert {"INITIALIZED", "RUNNING", "CONSENSUS_REACHED", "FINALIZING"} <= set(statuses)
        assert [change["date"] for change in done["dateStatusList"]] == sorted(
            change["date"] for change in done["dateStatusList"]
        )
        for replicate in done["replicates"]:
            assert replicate.keys() <= REPLICATE_FIELDS
            assert [change["status"] for change in replicate["statusUpdateList"]][:3] == [
                "CREATED",
                "STARTED",
                "APP_DOWNLOADED",
            ]
            assert all(change["reason"] for change in replicate["statusUpdateList"])
            alone = await ask(url, replicate["self"])
            assert (alone.status, alone.json) == (200, replicate)
            lower = await ask(url, f"/tasks/{task_id}/replicates/{replicate['walletAddress'].lower()}")
            assert lower.json == replicate
        stranger = net.workers[5].address
        unknown = await ask(url, f"/tasks/{task_id}/replicates/{stranger}")
        assert (unknown.status, unknown.json["code"]) == (404, "REPLICATE_UNKNOWN")

        figures = (await ask(url, "/metrics")).json
        assert figures["aliveWorkers"] == 3
        assert (figures["aliveRegisteredCpu"], figures["aliveTotalCpu"]) == (3, 3)
        assert figures["aliveComputingCpu"] + figures["aliveAvailableCpu"] == 3
        assert figures["currentTaskStatusesCount"]["COMPLETED"] == 1
        assert sum(figures["currentTaskStatusesCount"].values()) == 1
        assert (figures["dealsCount"], figures["dealEventsCount"]) == (1, 1)
        newest = figures["latestBlockMetric"]
        assert 0 < figures["latestBlockNumberWithDeal"] < newest["blockNumber"]
        assert newest["blockHash"].startswith("0x")
        group.cancel_scope.cancel()

    # Another life of the scheduler counts on from what is stored.
    async with net.scheduler() as url:
        figures = (await ask(url, "/metrics")).json
        assert figures["currentTaskStatusesCount"]["COMPLETED"] == 1
        assert (figures["dealsCount"], figures["dealEventsCount"]) == (1, 0)
        assert figures["latestBlockNumberWithDeal"] > 0
        assert (await ask(url, f"/tasks/{task_id}")).json == done


async def test_a_failure_says_why_what_to_do_and_whether_it_may_go_away(net: Net) -> None:
    worker = net.workers[0]

    async def fail(assign: Assign) -> None:
        await worker.report(assign.task_id, S.STARTED)
        message = "the application exited with 3"
        await worker.report(assign.task_id, S.FAILED, cause="APP_EXITED_NON_ZERO", message=message, exit_code=3)

    worker.on_assign = fail
    async with net.scheduler(failures=1) as url, anyio.create_task_group() as group:
        # Nobody is there at first.
        deal = await net.buy()
        (task_id,) = await net.tasks_of(deal)
        stalled = await until_shown(url, f"/tasks/{task_id}", lambda task: task.get("cause"))
        assert stalled["currentStatus"] == "RUNNING"
        assert stalled["cause"]["code"] == "NO_WORKER"
        assert stalled["cause"]["retry"] is True
        assert stalled["awaited"]["code"] == "WORKER"
        assert stalled["awaited"]["until"] == stalled["contributionDeadline"]
        group.start_soon(worker.run, url)
        failed = await until_shown(url, f"/tasks/{task_id}", lambda task: task["currentStatus"] == "FAILED")
        assert failed["cause"].keys() == {"code", "what", "remedy", "retry"}
        assert failed["cause"]["code"] == "APP_EXITED_NON_ZERO"
        assert "exited with 3" in failed["cause"]["what"]
        assert failed["cause"]["remedy"]
        assert failed["cause"]["retry"] is False
        assert [change["status"] for change in failed["dateStatusList"]][-2:] == ["RUNNING_FAILED", "FAILED"]
        assert failed["dateStatusList"][-1]["reason"] == "APP_EXITED_NON_ZERO"
        assert (failed["awaited"]["code"], failed["awaited"]["until"]) == ("REFUND", failed["finalDeadline"])
        (replicate,) = failed["replicates"]
        assert replicate["appExitCode"] == 3
        last = replicate["statusUpdateList"][-1]
        assert (last["status"], last["cause"], last["code"]) == ("FAILED", "APP_COMPUTE_FAILED", "APP_EXITED_NON_ZERO")
        group.cancel_scope.cancel()


async def test_changes_are_pushed_until_the_task_is_over(net: Net) -> None:
    worker = net.workers[0]
    async with net.scheduler() as url, anyio.create_task_group() as group:
        deal = await net.buy()
        (task_id,) = await net.tasks_of(deal)
        await until_shown(url, f"/tasks/{task_id}", lambda task: task.get("currentStatus") == "RUNNING")
        told: list[dict[str, Any]] = []
        last_id = ""
        with anyio.fail_after(20):
            async with stream(url, f"/tasks/{task_id}/events") as events:
                group.start_soon(worker.run, url)
                async for event in events:
                    assert event.name == "task"
                    told.append(json.loads(event.data))
                    last_id = event.identifier
        assert told[0]["currentStatus"] == "RUNNING"
        assert told[-1]["currentStatus"] == "COMPLETED"
        assert len(told) > 2
        assert all(before != after for before, after in itertools.pairwise(told))
        # Who has seen the end is told that there is nothing more, which ends a browser's attempts.
        settled = await until_shown(
            url, f"/tasks/{task_id}", lambda task: task["replicates"][0]["currentStatus"] == "COMPLETED"
        )
        async with stream(url, f"/tasks/{task_id}/events", last_id=last_id) as events:
            rest = [json.loads(event.data) async for event in events]
        assert rest in ([], [settled])
        async with stream(url, f"/tasks/{task_id}/events") as events:
            (final,) = [event async for event in events]
        nothing = await ask(url, f"/tasks/{task_id}/events", **{"Last-Event-ID": final.identifier})
        assert (nothing.status, nothing.body) == (204, b"")
        group.cancel_scope.cancel()


async def test_a_scheduler_that_ends_lets_its_followers_go_at_once(net: Net) -> None:
    async with anyio.create_task_group() as group:
        ended = anyio.Event()

        async def follow(url: str, task_id: str, started: anyio.Event) -> None:
            async with stream(url, f"/tasks/{task_id}/events") as events:
                async for _ in events:
                    started.set()
            ended.set()

        async with net.scheduler() as url:
            deal = await net.buy()
            (task_id,) = await net.tasks_of(deal)
            await until_shown(url, f"/tasks/{task_id}", lambda task: task.get("currentStatus") == "RUNNING")
            started = anyio.Event()
            group.start_soon(follow, url, task_id, started)
            with anyio.fail_after(10):
                await started.wait()
        with anyio.fail_after(1):
            await ended.wait()


HOSTILE = ["' OR '1'='1", "<script>alert(1)</script>", "../../etc/passwd", "%00", "\u202e", "0x", "x" * 4_000]


async def test_whatever_is_asked_is_answered_in_json_with_a_reason(net: Net) -> None:
    nobody = roles.account(roles.REQUESTER).address
    unknown = bytes32(5)
    async with net.scheduler() as url:
        for path in (f"/tasks/{unknown}", f"/tasks/{unknown}/replicates/{nobody}", f"/tasks/{unknown}/events"):
            answer = await ask(url, path)
            assert (answer.status, answer.json["code"]) == (404, "TASK_UNKNOWN"), path
            assert answer.headers["x-content-type-options"] == "nosniff"
        for hostile in HOSTILE:
            quoted = hostile.replace("%", "%25").replace("/", "%2F").replace("<", "%3C").replace(" ", "%20")
            for path in (
                f"/tasks/{quoted}",
                f"/tasks/{unknown}/replicates/{quoted}",
                f"/tasks/{quoted}/events",
                f"/tasks/logs/challenge?address={quoted}",
                f"/tasks/logs/challenge?address={nobody}&chainId={quoted}",
            ):
                answer = await ask(url, path)
                assert answer.status in (400, 404), (path, answer)
                assert answer.json["ok"] is False
                assert answer.json["error"]
                assert len(answer.body) < 1_000
        assert (await ask(url, "/tasks/logs/challenge")).json["error"] == "address is a required parameter"
        assert (await ask(url, "/nowhere")).json["ok"] is False
        assert (await ask(url, "/tasks")).status == 404
        version = await ask(url, "/version")
        assert (version.kind, version.body.decode()) == ("text/plain", __version__)
        health = (await ask(url, "/health")).json
        assert health == {
            "ok": True,
            "workerpool": net.workerpool,
            "hub": net.hub.address,
            "chainId": net.manifest.chain_id,
            "workers": 0,
            "tasks": 0,
        }
        allowed = await ask(url, "/health", Origin="https://dapp.example")
        assert allowed.headers["access-control-allow-origin"] == "*"
