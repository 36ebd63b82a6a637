"""A worker runs a container image from its assignment to the end of its task, with a real chain and a real engine."""

from __future__ import annotations

import shlex

import pytest
from tests.services.worker.conftest import StartWorker
from tests.services.worker.network import Network
from tests.services.worker.scripted import ScriptedScheduler

from pyiexec.protocol import ids
from pyiexec.protocol.params import DealParams
from pyiexec.protocol.primitives import Address, Bytes32
from pyiexec.protocol.replicates import ReplicateStatus as S
from pyiexec.protocol.results import result_digest, unpack
from pyiexec.protocol.tasks import TaskStatus
from pyiexec.storage.cid import parse_cid
from pyiexec.worker.runtimes.base import Image

from .conftest import RESULT
from .engine import DockerEngine

pytestmark = pytest.mark.anyio


async def register(network: Network, image: Image, checksum: Bytes32 | None = None) -> Address:
    return await network.app("noop/noop.wasm", multiaddr=image.name, checksum_=checksum or image.checksum)


async def test_a_container_earns_what_a_module_does(
    network: Network, scheduler: ScriptedScheduler, start_worker: StartWorker, engine: DockerEngine, shell: Image
) -> None:
    me = network.workers[0].address
    cid = await network.content.add(b"an input")
    script = "cat $IEXEC_IN/$IEXEC_INPUT_FILE_NAME_1 $IEXEC_IN/$IEXEC_DATASET_FILENAME > $IEXEC_OUT/result; echo seen"
    deal = await network.deal(
        await register(network, shell),
        params=DealParams(
            iexec_args=shlex.quote(script + RESULT), iexec_input_files=(f"{network.gateway}/ipfs/{cid}",)
        ),
        dataset=await network.dataset(b" and some data"),
    )
    await network.initialize(deal)
    task = ids.task_id(deal, 0)
    async with start_worker(0, runtimes={"docker": {"engine": engine.url}}):
        await scheduler.command(me, network.assign(deal, me, mode="contribute_and_finalize"))
        done = await scheduler.report(task, S.CONTRIBUTE_AND_FINALIZE_DONE)
        await scheduler.report(task, S.COMPLETED)
    state = await network.hub.task(task)
    assert state.status is TaskStatus.COMPLETED
    assert done.location is not None
    files = unpack(await network.content.fetch(parse_cid(done.location.removeprefix("/ipfs/")), 1 << 20), 1 << 20, 10)
    assert files["result"] == b"an input and some data"
    assert files["stdout.txt"] == b"seen\n"
    assert result_digest(files) == state.result_digest
    assert engine.containers() == []


async def test_what_cannot_be_run_as_a_container_is_explained(
    network: Network, scheduler: ScriptedScheduler, start_worker: StartWorker, engine: DockerEngine, shell: Image
) -> None:
    me = network.workers[1].address
    digest = shell.checksum.removeprefix("0x")
    mismatch = Image(f"{shell.name}@sha256:{digest}", Bytes32("0x" + "1" * 64))
    failing = await network.deal(await register(network, shell), params=DealParams(iexec_args="'echo why; exit 3'"))
    wrong = await network.deal(await register(network, mismatch))
    async with start_worker(1, runtimes={"docker": {"engine": engine.url}}):
        for deal, cause in ((failing, "APP_EXITED_NON_ZERO"), (wrong, "APP_CHECKSUM_MISMATCH")):
            await network.initialize(deal)
            await scheduler.command(me, network.assign(deal, me))
            failure = await scheduler.report(ids.task_id(deal, 0), S.FAILED)
            assert failure.cause == cause
    other = network.workers[2].address
    elsewhere = await network.deal(await register(network, shell))
    await network.initialize(elsewhere)
    async with start_worker(2):
        await scheduler.command(other, network.assign(elsewhere, other))
        failure = await scheduler.report(ids.task_id(elsewhere, 0), S.FAILED)
        assert failure.cause == "APP_UNSUPPORTED"
