"""A whole worker whose application prints: the scheduler hears it meanwhile, and its end in the last report."""

from __future__ import annotations

import pytest

from pyiexec.protocol import ids
from pyiexec.protocol.messages import Abort
from pyiexec.protocol.params import DealParams
from pyiexec.protocol.printed import KEPT_CHARACTERS, StreamTail
from pyiexec.protocol.replicates import ReplicateStatus as S

from .conftest import StartWorker
from .network import Network
from .scripted import ScriptedScheduler

pytestmark = pytest.mark.anyio


async def test_a_failed_application_s_last_words_are_in_the_report(
    network: Network, scheduler: ScriptedScheduler, start_worker: StartWorker
) -> None:
    me = network.workers[0].address
    deal = await network.deal(await network.app("faulty/exits_3.wasm"))
    await network.initialize(deal)
    async with start_worker(0):
        await scheduler.command(me, network.assign(deal, me))
        failed = await scheduler.report(ids.task_id(deal, 0), S.FAILED)
    assert (failed.cause, failed.exit_code) == ("APP_EXITED_NON_ZERO", 3)
    assert failed.printed is not None
    assert (failed.printed.stdout.text, failed.printed.stderr.text) == ("", "giving up\n")


async def test_a_flood_reaches_the_scheduler_cut_to_its_end_and_the_result_stays_the_same(
    network: Network, scheduler: ScriptedScheduler, start_worker: StartWorker
) -> None:
    me = network.workers[0].address
    deal = await network.deal(await network.app("faulty/floods_log.wasm"))
    await network.initialize(deal)
    task = ids.task_id(deal, 0)
    async with start_worker(0):
        await scheduler.command(me, network.assign(deal, me))
        computed = await scheduler.report(task, S.COMPUTED)
        await scheduler.report(task, S.CONTRIBUTED)
    assert computed.printed is not None
    end = computed.printed.stdout
    assert end.text == (("x" * 65_535 + "\n") * 2)[-KEPT_CHARACTERS:]
    assert end.end == len("first line\n") + 160 * 65_536
    live = StreamTail()
    for _, output in scheduler.outputs:
        assert output.task_id == task
        live.join(output.stdout)
    # It may have been over before a round of sending; what was seen is a part of it.
    assert live.end <= end.end


async def test_what_a_run_prints_before_it_hangs_is_heard_and_heard_again_after_a_break(
    network: Network, scheduler: ScriptedScheduler, start_worker: StartWorker
) -> None:
    me = network.workers[0].address
    deal = await network.deal(await network.app("faulty/prints_and_hangs.wasm"), params=DealParams(iexec_args="hello"))
    await network.initialize(deal)
    task = ids.task_id(deal, 0)
    async with start_worker(0):
        await scheduler.command(me, network.assign(deal, me))
        await scheduler.until(lambda: bool(scheduler.outputs))
        _, first = scheduler.outputs[0]
        assert (first.task_id, first.stdout.text, first.stdout.offset) == (task, "hello\n", 0)
        assert S.COMPUTED not in scheduler.statuses(task)
        await scheduler.drop(me)
        await scheduler.until(lambda: len(scheduler.outputs) > 1)
        assert scheduler.outputs[1][1].stdout == first.stdout
        await scheduler.command(me, Abort(task_id=task, reason="seen enough"))
        await scheduler.report(task, S.ABORTED)
