"""The worker channel: who gets in, and what survives lost connections."""

from __future__ import annotations

import asyncio

import anyio
import pytest
import sqlalchemy as sa
from tests.services.scheduler.conftest import Net, shown, until_shown
from tests.services.scheduler.scripted import S, ScriptedWorker
from websockets.asyncio.client import connect

from pyiexec.foundation.database import Database
from pyiexec.protocol.messages import (
    Assign,
    Challenge,
    Envelope,
    Refused,
    Welcome,
    decode_message,
    encode_message,
    login_hash,
)
from pyiexec.protocol.primitives import TaskId, bytes32, to_hex
from pyiexec.protocol.printed import Excerpt, Printed
from pyiexec.protocol.tasks import TaskStatus
from pyiexec.scheduler.channel import REPORTS_AHEAD, LiveSession

pytestmark = pytest.mark.anyio


async def test_a_worker_that_signs_for_another_is_refused(net: Net) -> None:
    worker, other, *_ = net.workers
    worker.address = other.address
    async with net.scheduler() as url:
        await worker.run(url)
        assert worker.refused is not None
        assert worker.refused.code == "BAD_SIGNATURE"


async def test_an_old_signature_opens_no_new_connection(net: Net) -> None:
    worker = net.workers[0]
    async with net.scheduler() as url:
        channel = url.replace("http", "ws") + "/v1/worker"
        async with connect(channel, proxy=None) as first, connect(channel, proxy=None) as second:
            challenge = decode_message(await first.recv())
            assert isinstance(challenge, Challenge)
            hello = worker.hello(to_hex(worker.signer.sign_message_hash(login_hash(challenge, worker.address))))
            await second.recv()
            await second.send(encode_message(hello), text=True)
            assert isinstance(decode_message(await second.recv()), Refused)
            await first.send(encode_message(hello), text=True)
            assert isinstance(decode_message(await first.recv()), Welcome)


async def test_only_listed_workers_get_in_when_there_is_a_list(net: Net) -> None:
    listed, stranger, *_ = net.workers
    async with net.scheduler(workers=(listed.address,)) as url, anyio.create_task_group() as group:
        await stranger.run(url)
        assert stranger.refused is not None
        assert stranger.refused.code == "WORKER_REFUSED"
        group.start_soon(listed.run, url)
        await listed.until(lambda: listed.welcome is not None)
        assert [w["walletAddress"] for w in await shown(url, "/workers") if w["connected"]] == [listed.address]
        group.cancel_scope.cancel()


async def test_garbage_ends_the_connection_and_nothing_else(net: Net) -> None:
    async with net.scheduler() as url:
        channel = url.replace("http", "ws") + "/v1/worker"
        for frame in ("", "{", '{"type":"Envelope","seq":1,"body":{"type":"Progress"}}', '{"type":"Ack","seq":7}'):
            async with connect(channel, proxy=None) as socket:
                await socket.recv()
                await socket.send(frame)
                assert isinstance(decode_message(await socket.recv()), Refused)
        assert (await shown(url, "/health"))["ok"]


async def test_the_newer_of_two_connections_of_a_worker_wins(net: Net) -> None:
    worker = net.workers[0]
    twin = ScriptedWorker(worker.signer, rpc=net.rpc, hub=net.hub.address, content=net.content)
    async with net.scheduler() as url, anyio.create_task_group() as group:
        await login_once(url, worker, group)
        group.start_soon(twin.run, url)
        await twin.until(lambda: twin.welcome is not None)
        deal = await net.buy()
        await twin.command(Assign)
        assert await net.settled(deal) == [TaskStatus.COMPLETED]
        group.cancel_scope.cancel()


async def login_once(url: str, worker: ScriptedWorker, group: anyio.abc.TaskGroup) -> None:
    """Connect without ever coming back."""

    async def run() -> None:
        async with connect(url.replace("http", "ws") + "/v1/worker", proxy=None) as socket:
            await worker._log_in(socket)
            worker._work = group
            await worker._converse(socket, True)

    group.start_soon(run)
    await worker.until(lambda: worker.welcome is not None)


async def test_commands_missed_while_away_are_delivered_on_return(net: Net) -> None:
    worker = net.workers[0]
    async with net.scheduler(heartbeat_seconds=5) as url:
        deal = await net.buy(trust=2)
        async with anyio.create_task_group() as group:
            # This connection hears the assignment and dies without having noted it.
            group.start_soon(lambda: worker.run(url, answer_commands=False))
            await worker.command(Assign)
            group.cancel_scope.cancel()
        worker.commands = []
        async with anyio.create_task_group() as group:
            group.start_soon(worker.run, url)
            assert await net.settled(deal) == [TaskStatus.COMPLETED]
            group.cancel_scope.cancel()


async def test_a_report_told_twice_counts_once_and_one_too_early_ends_the_connection(net: Net) -> None:
    worker = net.workers[0]

    async def nothing(_assign: Assign) -> None:
        pass

    worker.on_assign = nothing
    async with net.scheduler(heartbeat_seconds=30) as url, anyio.create_task_group() as group:
        group.start_soon(worker.run, url)
        await net.buy()
        assign = await worker.command(Assign)
        assert isinstance(assign, Assign)
        await worker.report(assign.task_id, S.STARTED)
        await worker.until(lambda: worker.acknowledged == 1)
        assert worker._socket is not None
        again = encode_message(Envelope(seq=1, body=worker.sent[0]))
        await worker._socket.send(again, text=True)
        await worker.report(assign.task_id, S.APP_DOWNLOADED)
        await worker.until(lambda: worker.acknowledged == 2)
        shown_task = await shown(url, f"/tasks/{assign.task_id}")
        statuses = [change["status"] for change in shown_task["replicates"][0]["statusUpdateList"]]
        assert statuses == ["CREATED", "STARTED", "APP_DOWNLOADED"]
        socket = worker._socket
        await socket.send(encode_message(Envelope(seq=9, body=worker.sent[0])), text=True)
        await worker.until(lambda: worker._socket is not None and worker._socket is not socket)
        assert worker.welcome is not None
        assert worker.welcome.received == 2
        group.cancel_scope.cancel()


async def test_reports_about_tasks_nobody_knows_are_acknowledged_and_ignored(net: Net) -> None:
    worker = net.workers[0]
    async with net.scheduler() as url, anyio.create_task_group() as group:
        group.start_soon(worker.run, url)
        await worker.until(lambda: worker._socket is not None)
        await worker.report(TaskId(bytes32(99)), S.COMPUTED)
        await worker.until(lambda: worker.acknowledged == 1)
        group.cancel_scope.cancel()


async def test_a_worker_that_floods_the_scheduler_is_read_no_faster_than_it_is_understood() -> None:
    session = LiveSession()
    for _ in range(REPORTS_AHEAD):
        await session.heard()
    waiting = asyncio.create_task(session.heard())
    await anyio.wait_all_tasks_blocked()
    assert not waiting.done()
    session.taken()
    with anyio.fail_after(5):
        await waiting


async def test_what_a_worker_prints_is_kept_for_tasks_it_was_given_alone(net: Net) -> None:
    worker = net.workers[0]
    async with net.scheduler() as url, anyio.create_task_group() as group:
        group.start_soon(worker.run, url)
        await worker.until(lambda: worker._socket is not None)
        await worker.report(TaskId(bytes32(99)), S.COMPUTED, printed=Printed(Excerpt("x" * 60_000)))
        await worker.until(lambda: worker.acknowledged == 1)
        group.cancel_scope.cancel()
    database = await Database.open(net.database_url)
    count = sa.text("SELECT count(*) FROM printouts")
    assert await database.read(lambda connection: connection.execute(count).scalar_one()) == 0
    await database.close()


@pytest.mark.parametrize("number", [2**53 - 1, 2**64, 10**40])
async def test_no_number_a_worker_can_send_stops_the_scheduler(net: Net, number: int) -> None:
    worker, other, *_ = net.workers

    async def nothing(_assign: Assign) -> None:
        pass

    worker.on_assign = other.on_assign = nothing
    async with net.scheduler() as url, anyio.create_task_group() as group:
        group.start_soon(lambda: worker.run(url, answer_commands=False))
        await worker.until(lambda: worker._socket is not None)
        await net.buy()
        await until_shown(url, "/workers", lambda members: any(member["tasks"] for member in members))
        assert worker._socket is not None
        await worker._socket.send(f'{{"type":"Ack","seq":{number}}}', text=True)
        await worker._socket.send(f'{{"type":"Envelope","seq":{number},"body":{{"type":"Complete"}}}}', text=True)
        worker.received = number
        group.start_soon(other.run, url)
        await net.buy()
        await other.command(Assign)
        assert (await shown(url, "/health"))["ok"]
        group.cancel_scope.cancel()


async def test_a_worker_without_its_memory_is_replaced_at_once(net: Net) -> None:
    worker, other, *_ = net.workers

    async def nothing(_assign: Assign) -> None:
        pass

    worker.on_assign = nothing
    async with net.scheduler(heartbeat_seconds=30) as url, anyio.create_task_group() as group:
        group.start_soon(worker.run, url)
        await net.buy()
        assign = await worker.command(Assign)
        assert isinstance(assign, Assign)
        # The acknowledgement of the assignment is known once a later report is.
        await worker.report(assign.task_id, S.STARTED)
        await worker.until(lambda: worker.acknowledged == 1)
        worker.stop()
        worker.received = 0
        group.start_soon(other.run, url)
        await other.until(lambda: other.welcome is not None)
        group.start_soon(worker.run, url)
        await other.command(Assign)
        task = await shown(url, f"/tasks/{assign.task_id}")
        assert task["replicates"][0]["cause"]["code"] == "WORKER_FORGOT"
        group.cancel_scope.cancel()


async def test_unknown_and_ill_formed_tasks_are_answered_with_an_explanation(net: Net) -> None:
    async with net.scheduler() as url:
        assert (await shown(url, f"/tasks/{bytes32(5)}"))["code"] == "TASK_UNKNOWN"
        assert (await shown(url, "/tasks/xyz"))["code"] == "BAD_BYTES32"
        assert (await shown(url, "/nowhere"))["ok"] is False
