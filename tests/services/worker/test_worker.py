"""A whole worker between a real chain, a real content store and a scheduler that does as it is told."""

from __future__ import annotations

import pytest

from pyiexec.protocol import ids
from pyiexec.protocol.messages import Complete, Reveal
from pyiexec.protocol.params import DealParams
from pyiexec.protocol.replicates import ReplicateStatus as S
from pyiexec.protocol.results import ResultLink, format_link, result_digest, unpack
from pyiexec.protocol.tasks import TaskStatus
from pyiexec.storage.cid import parse_cid

from .conftest import StartWorker
from .network import Network
from .scripted import ScriptedScheduler

pytestmark = pytest.mark.anyio

ALL = [
    S.STARTED,
    S.APP_DOWNLOADED,
    S.DATA_DOWNLOADED,
    S.COMPUTED,
    S.CONTRIBUTED,
    S.REVEALED,
    S.RESULT_UPLOADED,
    S.COMPLETED,
]


def link_to(location: str | None) -> bytes:
    assert location is not None
    return format_link(ResultLink("ipfs", location))


async def result_of(network: Network, location: str | None) -> dict[str, bytes]:
    assert location is not None
    data = await network.content.fetch(parse_cid(location.removeprefix("/ipfs/")), 1 << 26)
    return unpack(data, 1 << 26, 100)


async def test_a_task_goes_from_assignment_to_completion(
    network: Network, scheduler: ScriptedScheduler, start_worker: StartWorker
) -> None:
    me = network.workers[0].address
    deal = await network.deal(await network.app("noop/noop.wasm"), params=DealParams(iexec_args="hello 'big world'"))
    await network.initialize(deal)
    task = ids.task_id(deal, 0)
    async with start_worker(0) as settings:
        await scheduler.command(me, network.assign(deal, me))
        await scheduler.report(task, S.CONTRIBUTED)
        consensus = (await network.hub.task(task)).consensus_value
        await scheduler.command(me, Reveal(task_id=task, consensus=consensus))
        uploaded = await scheduler.report(task, S.RESULT_UPLOADED)
        files = await result_of(network, uploaded.location)
        assert b"big world" in files["result.txt"]
        assert result_digest(files) == (await network.hub.task(task)).result_digest
        await network.finalize(task, link_to(uploaded.location))
        await scheduler.command(me, Complete(task_id=task))
        await scheduler.report(task, S.COMPLETED)
        assert scheduler.statuses(task) == ALL
        assert (await network.hub.task(task)).status is TaskStatus.COMPLETED
        assert not list((settings.data_dir / "tasks").iterdir())
