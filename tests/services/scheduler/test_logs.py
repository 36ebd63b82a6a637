"""What applications print: seen live by the requester alone, and whole once the run has ended."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import anyio
import anyio.abc
import pytest
from tests.services.scheduler.asking import ask, stream
from tests.services.scheduler.conftest import Net, until_shown
from tests.services.scheduler.scripted import S
from tests.services.scheduler.stage import Stage, stage

from pyiexec.foundation.server_events import Event
from pyiexec.protocol.messages import Assign
from pyiexec.protocol.primitives import TaskId, bytes32
from pyiexec.protocol.printed import KEPT_CHARACTERS, Excerpt, Printed

pytestmark = pytest.mark.anyio

#: What no page, terminal or database should take for its own.
NASTY = "\x00\x1b]0;owned\x07<script>alert(1)</script>\r\n\u202e€😀'; DROP TABLE printouts; --"


async def heard(events: AsyncIterator[Event], characters: int) -> tuple[str, str]:
    """What a stream tells of stdout until that many characters of it are there, and the last id."""
    text, last_id = "", ""
    with anyio.fail_after(10):
        async for event in events:
            line = json.loads(event.data)
            text += line["text"] if line["stream"] == "stdout" else ""
            last_id = event.identifier
            if len(text) >= characters:
                break
    return text, last_id


async def test_what_is_printed_is_followed_live_and_taken_up_after_a_break(net: Net) -> None:
    async with stage(net) as task:
        path, token = f"/tasks/{task.task_id}/logs/stream", await task.token()
        async with stream(task.url, path, token) as events:
            await task.worker.print_out(task.task_id, stdout="one\n")
            assert await heard(events, 4) == ("one\n", "4.0")
            await task.worker.print_out(task.task_id, stdout="two\n", at=(4, 0))
            text, last_id = await heard(events, 4)
            assert text == "two\n"
        # Printed while nobody looks; some of it told twice.
        await task.worker.print_out(task.task_id, stdout="two\nthree\n", stderr=NASTY, at=(4, 0))
        async with stream(task.url, path, token, last_id) as events:
            assert (await heard(events, 6))[0] == "three\n"
        async with stream(task.url, path, token) as events:
            assert (await heard(events, 14))[0] == "one\ntwo\nthree\n"
        assert await task.logs() == {
            "chainTaskId": task.task_id,
            "computeLogsList": [
                {"walletAddress": task.worker.address, "stdout": "one\ntwo\nthree\n", "stderr": NASTY},
            ],
        }
        async with stream(task.url, path, token, "14.0") as events:
            last = Printed(Excerpt("one\ntwo\nthree\nend"), Excerpt(NASTY))
            await task.end(last, S.FAILED, cause="APP_TRAPPED")
            await until_shown(
                task.url, f"/tasks/{task.task_id}", lambda view: view["replicates"][0]["currentStatus"] == "FAILED"
            )
            lines = [json.loads((await anext(events)).data) for _ in range(2)]
            assert {line["stream"]: line["text"] for line in lines} == {"stdout": "end", "stderr": NASTY}
            assert lines[0]["walletAddress"] == task.worker.address


async def test_the_stream_ends_with_the_task(net: Net) -> None:
    async with stage(net, failures=1) as task:
        async with stream(task.url, f"/tasks/{task.task_id}/logs/stream", await task.token()) as events:
            await task.worker.print_out(task.task_id, stdout="before it broke")
            await task.end(Printed(Excerpt("before it broke: x")), S.FAILED, cause="APP_TRAPPED", message="trap")
            with anyio.fail_after(10):
                told = [event async for event in events]
        assert told[-1].name == "end"
        assert json.loads(told[-1].data)["phase"] == "FAILED"
        assert "".join(json.loads(event.data)["text"] for event in told[:-1]) == "before it broke: x"


async def test_the_last_report_counts_and_what_comes_after_it_does_not(net: Net) -> None:
    async with stage(net) as task:
        await task.worker.print_out(task.task_id, stdout="garbled", at=(3, 0))
        await task.until_logged("garbled")
        long = "é" * KEPT_CHARACTERS
        await task.end(Printed(Excerpt(long, 77), Excerpt("warning\n")))
        await task.worker.print_out(task.task_id, stdout="too late", at=(10**9, 0))
        await task.worker.report(task.task_id, S.COMPUTED)
        await task.worker.until(lambda: task.worker.acknowledged == len(task.worker.sent))
        (logs,) = (await task.logs())["computeLogsList"]
        assert (logs["stdout"], logs["stderr"]) == (long, "warning\n")
        replicate = f"/tasks/{task.task_id}/replicates/{task.worker.address}"
        alone = await ask(task.url, f"{replicate}/logs", await task.token())
        assert alone.json == logs
        assert (await ask(task.url, replicate)).json["appLogs"] == f"{replicate}/logs"
        other = await ask(
            task.url, f"/tasks/{task.task_id}/replicates/{net.workers[3].address}/logs", await task.token()
        )
        assert (other.status, other.json["code"]) == (404, "LOGS_UNKNOWN")


async def test_what_is_printed_survives_the_scheduler(net: Net) -> None:
    async with stage(net) as task:
        await task.worker.print_out(task.task_id, stdout="live")
        await task.until_logged("live")
    async with net.scheduler() as url:
        again = Stage(net, url, net.workers[0], task.task_id)
        (logs,) = (await again.logs())["computeLogsList"]
        assert logs["stdout"] == "live"


async def test_an_application_that_printed_nothing_has_empty_logs_and_one_that_never_ran_has_none(net: Net) -> None:
    async with stage(net) as task:
        none = await ask(task.url, f"/tasks/{task.task_id}/logs", await task.token())
        assert (none.status, none.json["code"]) == (404, "LOGS_UNKNOWN")
        await task.end(None)
        assert (await task.logs())["computeLogsList"] == [
            {"walletAddress": task.worker.address, "stdout": "", "stderr": ""}
        ]


async def test_a_worker_speaks_for_its_own_runs_alone(net: Net) -> None:
    intruder = net.workers[1]

    async def nothing(_assign: Assign) -> None:
        pass

    intruder.on_assign = nothing
    async with stage(net) as task, anyio.create_task_group() as group:
        group.start_soon(intruder.run, task.url)
        await intruder.until(lambda: intruder._socket is not None)
        await task.worker.print_out(task.task_id, stdout="mine")
        await intruder.print_out(task.task_id, stdout="forged")
        await intruder.print_out(TaskId(bytes32(99)), stdout="of a task nobody knows")
        # Frames are read in order: once this report is acknowledged, they were dealt with.
        await intruder.report(TaskId(bytes32(99)), S.COMPUTED)
        await intruder.until(lambda: intruder.acknowledged == 1)
        (logs,) = (await task.logs())["computeLogsList"]
        assert (logs["walletAddress"], logs["stdout"]) == (task.worker.address, "mine")
        group.cancel_scope.cancel()


async def test_a_worker_that_floods_is_heard_within_bounds_and_harms_nobody(net: Net) -> None:
    async with stage(net) as task:
        block = "x" * 90_000
        for number in range(150):
            await task.worker.print_out(task.task_id, stdout=block, stderr=block, at=(number * 90_000,) * 2)
        await task.end(Printed(Excerpt("the end", 13_500_000)))
        (logs,) = (await task.logs())["computeLogsList"]
        assert logs == {"walletAddress": task.worker.address, "stdout": "the end", "stderr": ""}
        assert (await ask(task.url, "/health")).status == 200


ILL_FORMED = [
    '{"type":"Output","task_id":"0x1"}',
    '{"type":"Output","task_id":"%s","stdout":{"text":"x","offset":-1}}',
    '{"type":"Output","task_id":"%s","stdout":{"text":"x","offset":1e400}}',
    '{"type":"Output","task_id":"%s","stdin":{}}',
    '{"type":"Envelope","seq":2,"body":{"type":"Output","task_id":"%s"}}',
]


async def test_ill_formed_output_ends_the_connection_alone(net: Net) -> None:
    async with stage(net) as task:
        for frame in ILL_FORMED:
            socket = task.worker._socket
            assert socket is not None
            await socket.send(frame.replace("%s", task.task_id), text=True)
            await task.worker.until(lambda socket=socket: task.worker._socket not in (None, socket))  # type: ignore[misc]
        await task.worker.print_out(task.task_id, stdout="still here")
        await task.until_logged("still here")


async def test_logs_are_forgotten_when_their_time_is_over(net: Net) -> None:
    async with stage(net, keep_logs_seconds=100_000) as task:
        await task.end(Printed(Excerpt("old")))
        assert (await task.logs())["computeLogsList"][0]["stdout"] == "old"
    final = (await net.hub.task(task.task_id)).final_deadline
    # Within the time they are kept, they outlive the deadline.
    for after, status in ((1_000, 200), (100_001, 404)):
        await net.rpc.call("evm_setNextBlockTimestamp", hex(final + after))
        await net.rpc.call("evm_mine")
        async with net.scheduler(keep_logs_seconds=100_000, auto_claim=False) as url:
            later = Stage(net, url, net.workers[0], task.task_id)
            answer = await ask(
                url, f"/tasks/{task.task_id}/replicates/{net.workers[0].address}/logs", await later.token()
            )
            assert answer.status == 200
            assert answer.json["stdout"] == ("old" if status == 200 else "")
