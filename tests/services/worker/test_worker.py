"""A whole worker between a real chain, a real content store and a scheduler that does as it is told."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from msgspec.structs import replace

from pyiexec.chain import calls
from pyiexec.chain.heads import HeadFeed
from pyiexec.chain.rpc import JsonRpc
from pyiexec.foundation.database import Database
from pyiexec.protocol import ids
from pyiexec.protocol.messages import Abort, Complete, Reveal, Upload
from pyiexec.protocol.params import DealParams
from pyiexec.protocol.primitives import DealId, bytes32
from pyiexec.protocol.replicates import ReplicateStatus as S
from pyiexec.protocol.results import ResultLink, format_link, result_digest, unpack
from pyiexec.protocol.tasks import ContributionStatus, TaskStatus
from pyiexec.storage.cid import parse_cid
from pyiexec.storage.unixfs import file_cid

from .conftest import StartWorker
from .network import BRIEF, Network
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
        await scheduler.report(task, S.REVEALED)
        uploaded = await scheduler.report(task, S.RESULT_UPLOADED)
        files = await result_of(network, uploaded.location)
        assert b"big world" in files["result.txt"]
        assert result_digest(files) == (await network.hub.task(task)).result_digest
        await network.finalize(task, link_to(uploaded.location))
        await scheduler.command(me, Complete(task_id=task))
        await scheduler.report(task, S.COMPLETED)
        # The upload goes with the reveal: either may be through first, and be told again when asked for.
        assert sorted(set(scheduler.statuses(task)), key=ALL.index) == ALL
        assert (await network.hub.task(task)).status is TaskStatus.COMPLETED
        assert not list((settings.data_dir / "tasks").iterdir())


async def test_a_single_worker_may_contribute_and_finalize_at_once(
    network: Network, scheduler: ScriptedScheduler, start_worker: StartWorker
) -> None:
    me = network.workers[0].address
    before = await network.hub.account(me)
    deal = await network.deal(await network.app("noop/noop.wasm"))
    await network.initialize(deal)
    task = ids.task_id(deal, 0)
    async with start_worker(0):
        await scheduler.command(me, network.assign(deal, me, mode="contribute_and_finalize"))
        done = await scheduler.report(task, S.CONTRIBUTE_AND_FINALIZE_DONE)
        await scheduler.report(task, S.COMPLETED)
    state = await network.hub.task(task)
    assert state.status is TaskStatus.COMPLETED
    assert state.results == link_to(done.location)
    assert result_digest(await result_of(network, done.location)) == state.result_digest
    assert (await network.hub.account(me)).stake > before.stake


async def test_the_worker_reveals_on_its_own_when_the_chain_waits_for_it(
    network: Network, scheduler: ScriptedScheduler, start_worker: StartWorker
) -> None:
    me = network.workers[0].address
    deal = await network.deal(await network.app("noop/noop.wasm"))
    await network.initialize(deal)
    task = ids.task_id(deal, 0)
    async with start_worker(0):
        await scheduler.command(me, network.assign(deal, me))
        await scheduler.report(task, S.REVEALED)
        uploaded = await scheduler.report(task, S.RESULT_UPLOADED)
        await network.finalize(task, link_to(uploaded.location))
        await scheduler.report(task, S.COMPLETED)
        # The upload goes with the reveal: either may be through first, and be told again when asked for.
        assert sorted(set(scheduler.statuses(task)), key=ALL.index) == ALL


async def test_an_assignment_may_come_before_the_task_is_initialized(
    network: Network, scheduler: ScriptedScheduler, start_worker: StartWorker
) -> None:
    me = network.workers[0].address
    deal = await network.deal(await network.app("noop/noop.wasm"))
    task = ids.task_id(deal, 0)
    async with start_worker(0):
        await scheduler.command(me, network.assign(deal, me))
        await scheduler.report(task, S.COMPUTED)
        await network.initialize(deal)
        await scheduler.report(task, S.CONTRIBUTED)


async def test_inputs_and_datasets_are_found_by_hash(
    network: Network, scheduler: ScriptedScheduler, start_worker: StartWorker
) -> None:
    me = network.workers[0].address
    cid = await network.content.add(b"input one")
    urls = (f"{network.gateway}/ipfs/{cid}", f"https://elsewhere.example/ipfs/{cid}")
    dataset = await network.dataset(b"some data")
    app = await network.app("faulty/determinism_probe.wasm")
    deal = await network.deal(app, params=DealParams(iexec_input_files=urls), dataset=dataset)
    await network.initialize(deal)
    task = ids.task_id(deal, 0)
    async with start_worker(0):
        await scheduler.command(me, network.assign(deal, me, mode="contribute_and_finalize"))
        done = await scheduler.report(task, S.CONTRIBUTE_AND_FINALIZE_DONE)
    report = b"".join((await result_of(network, done.location)).values()).decode(errors="replace")
    assert dataset in report
    for url in urls:
        assert hashlib.sha256(url.encode()).hexdigest() in report


@pytest.mark.parametrize(
    ("app", "cause"),
    [
        ("faulty/exits_3.wasm", "APP_EXITED_NON_ZERO"),
        ("faulty/endless_loop.wasm", "APP_OUT_OF_FUEL or APP_TIMEOUT"),
        ("faulty/eats_memory.wasm", "APP_OUT_OF_MEMORY"),
        ("faulty/traps.wasm", "APP_TRAPPED"),
        ("faulty/no_result.wasm", "APP_NO_RESULT"),
        ("faulty/writes_too_much.wasm", "APP_OUTPUT_TOO_LARGE"),
    ],
)
async def test_an_app_that_fails_is_explained_and_costs_no_stake(
    network: Network, scheduler: ScriptedScheduler, start_worker: StartWorker, app: str, cause: str
) -> None:
    me = network.workers[0].address
    # Time is what only the endless one runs out of, however busy the machine is.
    deal = await network.deal(await network.app(app), category=BRIEF if "APP_TIMEOUT" in cause else 0)
    await network.initialize(deal)
    task = ids.task_id(deal, 0)
    locked = (await network.hub.account(me)).locked
    async with start_worker(0) as settings:
        await scheduler.command(me, network.assign(deal, me))
        failure = await scheduler.report(task, S.FAILED)
        assert failure.cause in cause.split(" or ")
        assert failure.message
        if cause == "APP_EXITED_NON_ZERO":
            assert failure.exit_code == 3
    assert (await network.hub.account(me)).locked == locked
    assert (await network.hub.contribution(task, me)).status is ContributionStatus.UNSET
    assert not list((settings.data_dir / "tasks").iterdir())


async def test_what_is_not_what_the_chain_says_is_not_run(
    network: Network, scheduler: ScriptedScheduler, start_worker: StartWorker
) -> None:
    me = network.workers[0].address
    noop = await network.app("noop/noop.wasm")
    missing = file_cid(b"nobody has this")
    cases = {
        "APP_CHECKSUM_MISMATCH": await network.deal(await network.app("noop/noop.wasm", checksum_=bytes32(1))),
        "APP_NOT_HASHED": await network.deal(await network.app("noop/noop.wasm", multiaddr="https://example.com/app")),
        "APP_UNSUPPORTED": await network.deal(await network.app("raytracer/scene.txt")),
        "CONTENT_NOT_FOUND": await network.deal(await network.app("noop/noop.wasm", multiaddr=f"/ipfs/{missing}")),
        "DATASET_CHECKSUM_MISMATCH": await network.deal(
            noop, dataset=await network.dataset(b"data", checksum_=bytes32(2))
        ),
        "INPUT_NOT_HASHED": await network.deal(
            noop, params=DealParams(iexec_input_files=("https://example.com/picture.png",))
        ),
        "BAD_PARAMS": await network.deal(noop, params=DealParams(iexec_args="an open 'quotation")),
        "DEAL_UNKNOWN": DealId(bytes32(12345)),
    }
    async with start_worker(0, slots=8, deal_patience_seconds=0.5):
        for cause, deal in cases.items():
            if cause != "DEAL_UNKNOWN":
                await network.initialize(deal)
            await scheduler.command(me, network.assign(deal, me))
        for cause, deal in cases.items():
            failure = await scheduler.report(ids.task_id(deal, 0), S.FAILED)
            assert failure.cause == cause, failure.message


async def test_an_authorization_by_anybody_but_the_pools_owner_is_refused(
    network: Network, scheduler: ScriptedScheduler, start_worker: StartWorker
) -> None:
    me = network.workers[0].address
    deal = await network.deal(await network.app("noop/noop.wasm"))
    await network.initialize(deal)
    good = network.assign(deal, me)
    forged = network.requester.sign_message_hash(ids.authorization_hash(me, good.task_id))
    async with start_worker(0):
        await scheduler.command(
            me, replace(good, authorization=replace(good.authorization, signature="0x" + forged.hex()))
        )
        assert (await scheduler.report(good.task_id, S.FAILED)).cause == "AUTHORIZATION_INVALID"
        await scheduler.command(me, good)
        await scheduler.report(good.task_id, S.CONTRIBUTED)


async def test_a_worker_without_stake_says_so_before_it_computes(
    network: Network, scheduler: ScriptedScheduler, start_worker: StartWorker
) -> None:
    poor = network.workers[1]
    await network.send(poor, network.hub.address, calls.withdraw((await network.hub.account(poor.address)).stake))
    app = await network.app("noop/noop.wasm")
    await network.change_policy(30)
    try:
        deal = await network.deal(app)
        await network.initialize(deal)
        async with start_worker(1):
            await scheduler.command(poor.address, network.assign(deal, poor.address))
            assert (await scheduler.report(ids.task_id(deal, 0), S.FAILED)).cause == "STAKE_TOO_LOW"
    finally:
        await network.change_policy(0)


async def test_abort_kills_a_running_sandbox_at_once(
    network: Network, scheduler: ScriptedScheduler, start_worker: StartWorker
) -> None:
    me = network.workers[0].address
    deal = await network.deal(await network.app("faulty/endless_loop.wasm"), category=0)
    await network.initialize(deal)
    task = ids.task_id(deal, 0)
    async with start_worker(0) as settings:
        await scheduler.command(me, network.assign(deal, me))
        await scheduler.report(task, S.DATA_DOWNLOADED)
        began = time.monotonic()
        await scheduler.command(me, Abort(task_id=task, reason="not needed"))
        assert (await scheduler.report(task, S.ABORTED)).message == "not needed"
        assert time.monotonic() - began < 1
        # The slot is free again.
        other = await network.deal(await network.app("noop/noop.wasm"))
        await network.initialize(other)
        await scheduler.command(me, network.assign(other, me))
        await scheduler.report(ids.task_id(other, 0), S.CONTRIBUTED, timeout=5)
        assert [path.name for path in (settings.data_dir / "tasks").iterdir()] == [ids.task_id(other, 0)]


async def test_a_cast_vote_is_kept_whatever_the_scheduler_wants(
    network: Network, scheduler: ScriptedScheduler, start_worker: StartWorker
) -> None:
    me = network.workers[0].address
    deal = await network.deal(await network.app("noop/noop.wasm"), trust=5)
    await network.initialize(deal)
    task = ids.task_id(deal, 0)
    async with start_worker(0) as settings:
        await scheduler.command(me, network.assign(deal, me))
        await scheduler.report(task, S.CONTRIBUTED)
        await scheduler.command(me, Abort(task_id=task, reason="forget it"))
        await scheduler.command(me, Complete(task_id=task))
        await scheduler.until(lambda: not scheduler.outbox[me])
        assert (settings.data_dir / "tasks" / task / "result.zip").exists()
        assert S.ABORTED not in scheduler.statuses(task)


async def test_a_scheduler_that_lies_about_a_consensus_gets_no_reveal_and_costs_no_stake(
    network: Network, scheduler: ScriptedScheduler, start_worker: StartWorker
) -> None:
    me, *others = (worker.address for worker in network.workers[:3])
    deal = await network.deal(await network.app("noop/noop.wasm"), trust=5)
    await network.initialize(deal)
    task = ids.task_id(deal, 0)

    async def sent() -> int:
        return int(await network.rpc.call("eth_getTransactionCount", me, "latest"), 16)

    async with start_worker(0), start_worker(1), start_worker(2):
        await scheduler.command(me, network.assign(deal, me))
        await scheduler.report(task, S.CONTRIBUTED, me)
        voted = await sent()
        vote = (await network.hub.contribution(task, me)).result_hash
        await scheduler.command(me, Reveal(task_id=task, consensus=vote))
        await scheduler.command(me, Upload(task_id=task))
        await scheduler.until(lambda: not scheduler.outbox[me])
        for other in others:
            await scheduler.command(other, network.assign(deal, other))
        for worker in (me, *others):
            await scheduler.report(task, S.RESULT_UPLOADED, worker)
        assert await sent() == voted + 1
    assert (await network.hub.task(task)).reveal_counter == 3


async def test_a_result_that_the_store_lost_is_stored_again_when_asked_for(
    network: Network, scheduler: ScriptedScheduler, start_worker: StartWorker
) -> None:
    me = network.workers[0].address
    deal = await network.deal(await network.app("noop/noop.wasm"), params=DealParams(iexec_args="soon lost"))
    await network.initialize(deal)
    task = ids.task_id(deal, 0)
    async with start_worker(0):
        await scheduler.command(me, network.assign(deal, me))
        location = (await scheduler.report(task, S.RESULT_UPLOADED)).location
        assert location is not None
        (network.store / "files" / parse_cid(location.removeprefix("/ipfs/")).digest.hex()).unlink()
        told = len(scheduler.reports)
        await scheduler.command(me, Upload(task_id=task))
        await scheduler.until(lambda: scheduler.statuses(task)[told:].count(S.RESULT_UPLOADED) == 2)
        assert b"lost" in (await result_of(network, location))["result.txt"]


async def test_a_bag_is_worked_through_slot_by_slot(
    network: Network, scheduler: ScriptedScheduler, start_worker: StartWorker
) -> None:
    me = network.workers[0].address
    deal = await network.deal(await network.app("noop/noop.wasm"), volume=20)
    await network.initialize(deal, range(20))
    async with start_worker(0, slots=2):
        for index in range(20):
            await scheduler.command(me, network.assign(deal, me, index, mode="contribute_and_finalize"))
        for index in range(20):
            await scheduler.report(ids.task_id(deal, index), S.COMPLETED)


async def test_a_result_waits_for_a_store_that_is_down(
    network: Network, scheduler: ScriptedScheduler, start_worker: StartWorker
) -> None:
    me = network.workers[0].address
    deal = await network.deal(await network.app("noop/noop.wasm"))
    await network.initialize(deal)
    task = ids.task_id(deal, 0)
    async with flaky_store(network.gateway) as store, start_worker(0, gateway_url=store.url):
        store.down_for_uploads = True
        await scheduler.command(me, network.assign(deal, me))
        await scheduler.report(task, S.REVEALED)
        async with asyncio.timeout(20):
            await store.refused.wait()
        store.down_for_uploads = False
        uploaded = await scheduler.report(task, S.RESULT_UPLOADED)
        await network.finalize(task, link_to(uploaded.location))
        await scheduler.report(task, S.COMPLETED)


async def test_a_worker_claims_its_stake_back_when_everybody_else_is_gone(
    network: Network, scheduler: ScriptedScheduler, start_worker: StartWorker
) -> None:
    me = network.workers[10].address
    await network.change_policy(30)
    deal = await network.deal(await network.app("noop/noop.wasm"), trust=5, category=BRIEF)
    await network.change_policy(0)
    await network.initialize(deal)
    task = ids.task_id(deal, 0)
    before = await network.hub.account(me)
    async with start_worker(10, claim_after_seconds=0.5):
        await scheduler.command(me, network.assign(deal, me))
        await scheduler.report(task, S.CONTRIBUTED)
        assert (await network.hub.account(me)).locked == before.locked + 300
        assert (await scheduler.report(task, S.ABORTED)).cause == "TASK_CLAIMED"
    assert await network.hub.account(me) == before
    assert (await network.hub.task(task)).status is TaskStatus.FAILED


async def test_an_idle_worker_asks_the_chain_nothing_and_writes_nothing(
    network: Network, scheduler: ScriptedScheduler, start_worker: StartWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    me = network.workers[11].address
    deal = await network.deal(await network.app("noop/noop.wasm"), trust=5)
    await network.initialize(deal)
    counted: list[str] = []
    batch, call, write = JsonRpc.batch_outcomes, JsonRpc.call, Database.write

    async def count_batch(self: JsonRpc, requests: Any) -> Any:
        counted.append("batch")
        return await batch(self, requests)

    async def count_call(self: JsonRpc, method: str, *params: Any) -> Any:
        counted.append(method)
        return await call(self, method, *params)

    async def count_write(self: Database, function: Any) -> Any:
        counted.append("write")
        return await write(self, function)

    async with start_worker(11):
        await scheduler.command(me, network.assign(deal, me))
        await scheduler.report(ids.task_id(deal, 0), S.CONTRIBUTED)
        other = await network.deal(await network.app("noop/noop.wasm"))
        await until_heads(network, 2)
        monkeypatch.setattr(JsonRpc, "batch_outcomes", count_batch)
        monkeypatch.setattr(JsonRpc, "call", count_call)
        monkeypatch.setattr(Database, "write", count_write)
        await until_heads(network, 3)
        assert counted == []
        monkeypatch.undo()
        # Other people's business goes by unnoticed too.
        await network.initialize(other)


async def until_heads(network: Network, count: int) -> None:
    async with HeadFeed(network.anvil.url) as feed, feed.subscribe() as heads:
        for _ in range(count + 1):
            await asyncio.wait_for(anext(heads), 10)


class FlakyStore:
    """In front of the content store: refuses uploads on demand."""

    def __init__(self, gateway: str) -> None:
        self.gateway = gateway
        self.url = ""
        self.down_for_uploads = False
        self.refused = asyncio.Event()

    async def handle(self, request: web.Request) -> web.Response:
        if request.method == "POST" and self.down_for_uploads:
            self.refused.set()
            return web.Response(status=503)
        headers = {"content-type": request.headers["content-type"]} if request.method == "POST" else {}
        async with (
            aiohttp.ClientSession() as session,
            session.request(
                request.method, self.gateway + request.path, data=await request.read() or None, headers=headers
            ) as answer,
        ):
            return web.Response(status=answer.status, body=await answer.read())


@asynccontextmanager
async def flaky_store(gateway: str) -> AsyncIterator[FlakyStore]:
    store = FlakyStore(gateway)
    app = web.Application(client_max_size=1 << 26)
    app.router.add_route("*", "/{tail:.*}", store.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    store.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield store
    finally:
        await runner.cleanup()
