"""What goes wrong with workers, applications and results, and how the task ends all the same."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import anyio
import anyio.abc
import pytest
from tests.services.scheduler.conftest import HEARTBEAT, SHORT, Net, shown, until_shown
from tests.services.scheduler.scripted import S, ScriptedWorker, digest_of

from pyiexec.chain import calls
from pyiexec.chain.sending import Call, send_all
from pyiexec.devnet import roles
from pyiexec.protocol import ids
from pyiexec.protocol.messages import Abort, Assign, Reveal, Upload
from pyiexec.protocol.primitives import bytes32, to_bytes
from pyiexec.protocol.printed import Excerpt, Printed
from pyiexec.protocol.tasks import ContributionStatus, TaskStatus

pytestmark = pytest.mark.anyio


async def join(group: anyio.abc.TaskGroup, url: str, *workers: ScriptedWorker) -> None:
    for worker in workers:
        group.start_soon(worker.run, url)
    for worker in workers:
        await worker.until(lambda worker=worker: worker.welcome is not None)  # type: ignore[misc]


def blaming(code: str) -> Callable[[Any], bool]:
    """Whether a task is shown with this cause."""
    return lambda task: bool(task.get("cause")) and task["cause"]["code"] == code


async def test_a_worker_killed_before_it_votes_is_replaced_within_two_heartbeats(net: Net) -> None:
    first, second, *_ = net.workers
    async with net.scheduler() as url, anyio.create_task_group() as group:

        async def nothing(_assign: Assign) -> None:
            await first.report(_assign.task_id, S.STARTED)

        first.on_assign = nothing
        await join(group, url, first)
        deal = await net.buy()
        await first.command(Assign)
        await join(group, url, second)
        first.stop()
        with anyio.fail_after(2 * HEARTBEAT + 1):
            await second.command(Assign)
        assert await net.settled(deal) == [TaskStatus.COMPLETED]
        (task_id,) = await net.tasks_of(deal)
        task = await shown(url, f"/tasks/{task_id}")
        assert task["replicates"][0]["currentStatus"] == "WORKER_LOST"
        group.cancel_scope.cancel()


async def test_a_worker_that_is_connected_but_silent_is_lost_too(net: Net) -> None:
    first, second, *_ = net.workers
    async with net.scheduler() as url, anyio.create_task_group() as group:

        async def freeze(_assign: Assign) -> None:
            first.beats = False

        first.on_assign = freeze
        await join(group, url, first)
        await net.buy()
        await first.command(Assign)
        await join(group, url, second)
        await second.command(Assign, seconds=2 * HEARTBEAT + 1)
        group.cancel_scope.cancel()


async def test_a_worker_back_within_the_grace_keeps_its_task(net: Net) -> None:
    first, second, *_ = net.workers
    async with net.scheduler(heartbeat_seconds=1.0) as url, anyio.create_task_group() as group:
        await join(group, url, first)

        async def vanish(_assign: Assign) -> None:
            first.stop()

        first.on_assign = vanish
        deal = await net.buy()
        await first.command(Assign)
        await join(group, url, second)
        group.start_soon(first.run, url)
        assign = await first.command(Assign)
        assert isinstance(assign, Assign)
        await first.until(lambda: first._socket is not None)
        await first.vote(assign)
        assert await net.settled(deal) == [TaskStatus.COMPLETED]
        assert not [command for command in second.commands if isinstance(command, Assign)]
        group.cancel_scope.cancel()


async def test_an_application_that_fails_alike_on_two_workers_fails_the_task_at_once(net: Net) -> None:
    async with net.scheduler() as url, anyio.create_task_group() as group:
        for worker in net.workers[:4]:

            async def fail(assign: Assign, worker: ScriptedWorker = worker) -> None:
                await worker.report(
                    assign.task_id,
                    S.FAILED,
                    cause="APP_EXITED_NON_ZERO",
                    message="the application exited with 3",
                    exit_code=3,
                    printed=Printed(stderr=Excerpt("boom")),
                )

            worker.on_assign = fail
        await join(group, url, *net.workers[:4])
        deal = await net.buy(trust=2)
        (task_id,) = await net.tasks_of(deal)
        task = await until_shown(url, f"/tasks/{task_id}", lambda t: t.get("currentStatus") == "FAILED")
        assert task["cause"]["code"] == "APP_EXITED_NON_ZERO"
        assert "exited with 3" in task["cause"]["what"]
        assert task["cause"]["remedy"]
        assert [replicate["appExitCode"] for replicate in task["replicates"]] == [3, 3]
        group.cancel_scope.cancel()


async def test_two_camps_end_in_an_honest_no_consensus_and_a_refund(net: Net) -> None:
    async with net.scheduler() as url, anyio.create_task_group() as group:
        for worker in net.workers[:2]:
            worker.answer = b"wrong"
        await join(group, url, *net.workers[:4])
        before = await net.hub.account(net.workers[0].address)
        deal = await net.buy(trust=10, category=SHORT)
        (task_id,) = await net.tasks_of(deal)
        task = await until_shown(url, f"/tasks/{task_id}", blaming("NO_CONSENSUS"))
        assert task["currentStatus"] == "RUNNING"
        task = await until_shown(url, f"/tasks/{task_id}", lambda t: t["currentStatus"] == "FAILED", 30)
        assert task["cause"]["code"] == "NO_CONSENSUS"
        assert await net.settled(deal, 30) == [TaskStatus.FAILED]
        assert await net.hub.account(net.workers[0].address) == before
        task = await until_shown(url, f"/tasks/{task_id}", blaming("NO_CONSENSUS"))
        group.cancel_scope.cancel()


async def test_without_any_worker_the_task_says_so_and_goes_on_when_one_joins(net: Net) -> None:
    async with net.scheduler() as url, anyio.create_task_group() as group:
        deal = await net.buy()
        (task_id,) = await net.tasks_of(deal)
        await until_shown(url, f"/tasks/{task_id}", blaming("NO_WORKER"))
        await join(group, url, net.workers[0])
        assert await net.settled(deal) == [TaskStatus.COMPLETED]
        group.cancel_scope.cancel()


async def test_a_wrong_upload_is_never_finalized_and_the_next_winner_is_asked(net: Net) -> None:
    cheat, honest, *_ = net.workers
    async with net.scheduler() as url, anyio.create_task_group() as group:

        async def early(reveal: Reveal) -> None:
            await cheat.report(reveal.task_id, S.CONTRIBUTED, location=await cheat.store(b"something else"))
            await ScriptedWorker.reveal(cheat, reveal)

        cheat.on_reveal = early
        await join(group, url, cheat, honest)
        deal = await net.buy(trust=3)
        assert await net.settled(deal) == [TaskStatus.COMPLETED]
        (task_id,) = await net.tasks_of(deal)
        task = await shown(url, f"/tasks/{task_id}")
        assert json.loads(task["resultLink"])["location"] == await honest.store()
        culprit = next(r for r in task["replicates"] if r["walletAddress"] == cheat.address)
        assert culprit["cause"]["code"] == "RESULT_WRONG"
        group.cancel_scope.cancel()


async def test_silent_winners_lead_to_a_reopening_and_other_workers(net: Net) -> None:
    silent, honest = net.workers[:2], net.workers[2:4]
    before = [(await net.hub.account(worker.address)).stake for worker in silent]

    async def nothing(_reveal: Reveal) -> None:
        pass

    for worker in silent:
        worker.on_reveal = nothing
    async with anyio.create_task_group() as group:
        async with net.scheduler() as url, anyio.create_task_group() as winners:
            await join(winners, url, *silent)
            deal = await net.buy(trust=3, category=SHORT)
            for worker in silent:
                await worker.command(Reveal)
            winners.cancel_scope.cancel()
        # What is to be thrown away, a scheduler learns that was not there when it was agreed on.
        async with net.scheduler() as url:
            await join(group, url, *honest)
            assert await net.settled(deal, 40) == [TaskStatus.COMPLETED]
            (task_id,) = await net.tasks_of(deal)
            task = await until_shown(url, f"/tasks/{task_id}", lambda shown: shown["phase"] == "COMPLETED")
        group.cancel_scope.cancel()
    reasons = [change["reason"] for change in task["dateStatusList"]]
    assert reasons.index("VOTES_SUFFICED") < reasons.index("REOPENED")
    assert "VOTES_SUFFICED" in reasons[reasons.index("REOPENED") :], "the second round has a consensus of its own"
    assert set((await net.hub.task(task_id)).contributors) == {worker.address for worker in [*silent, *honest]}
    for worker in silent:
        assert (await net.hub.contribution(task_id, worker.address)).status is ContributionStatus.REJECTED
    for worker in honest:
        assert (await net.hub.contribution(task_id, worker.address)).status is ContributionStatus.PROVED
    # Who voted and kept silent has lost the stake it put on its vote.
    for worker, stake in zip(silent, before, strict=True):
        account = await net.hub.account(worker.address)
        assert account.locked == 0
        assert account.stake < stake


async def test_a_copycat_that_cannot_reveal_only_delays_until_the_reveal_deadline(net: Net) -> None:
    copycat, honest, *_ = net.workers
    async with net.scheduler() as url, anyio.create_task_group() as group:

        async def copy(assign: Assign) -> None:
            digest = digest_of(b"right")
            await copycat.wait_active(assign.task_id)
            result, seal = ids.result_hash(assign.task_id, digest), bytes32(7)
            signature = to_bytes(assign.authorization.signature)
            assert await copycat.transact(calls.contribute(assign.task_id, result, seal, signature))  # type: ignore[arg-type]

        async def nothing(_reveal: Reveal) -> None:
            pass

        copycat.on_assign, copycat.on_reveal = copy, nothing
        await join(group, url, copycat, honest)
        deal = await net.buy(trust=3, category=SHORT)
        assert await net.settled(deal, 40) == [TaskStatus.COMPLETED]
        (task_id,) = await net.tasks_of(deal)
        task = await net.hub.task(task_id)
        assert (task.winner_counter, task.reveal_counter) == (2, 1)
        group.cancel_scope.cancel()


async def test_an_uploader_that_never_uploads_gives_way(net: Net) -> None:
    first, second, *_ = net.workers
    async with net.scheduler() as url, anyio.create_task_group() as group:
        asked: list[ScriptedWorker] = []
        for worker in (first, second):

            async def lazy(upload: Upload, worker: ScriptedWorker = worker) -> None:
                asked.append(worker)
                if len(asked) > 1:
                    await ScriptedWorker.upload(worker, upload)

            worker.on_upload = lazy
        await join(group, url, first, second)
        deal = await net.buy(trust=3)
        assert await net.settled(deal) == [TaskStatus.COMPLETED]
        assert len({worker.address for worker in asked}) == 2
        group.cancel_scope.cancel()


async def test_a_task_somebody_else_opened_is_served_like_any_other(net: Net) -> None:
    deal = await net.buy(volume=3, trust=2)
    stranger = roles.account(roles.DATASET_PROVIDER)
    await send_all(net.rpc, stranger, [Call(net.hub.address, calls.initialize(deal, 1))])
    async with net.scheduler() as url, anyio.create_task_group() as group:
        await join(group, url, *net.workers[:2])
        assert await net.settled(deal) == [TaskStatus.COMPLETED] * 3
        assert not [command for command in net.workers[0].commands if isinstance(command, Abort)]
        group.cancel_scope.cancel()
