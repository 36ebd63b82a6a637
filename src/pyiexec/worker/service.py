"""A worker as a process: it opens connections to scheduler, chain and content store, and none is opened to it.

Crash-only: it may be killed at any instruction. Started again it reads its database, asks the chain what became of its
tasks, and goes on.
"""

from __future__ import annotations

import fcntl
import os
import random
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path

import aiohttp
import anyio
import anyio.to_thread

from pyiexec.chain.heads import HeadFeed
from pyiexec.chain.hub import Hub
from pyiexec.chain.keystore import read_key_file
from pyiexec.chain.rpc import JsonRpc
from pyiexec.chain.transactions import MIGRATIONS as TRANSACTION_MIGRATIONS
from pyiexec.chain.transactions import Totals, TransactionManager
from pyiexec.foundation.clock import Clock, SystemClock
from pyiexec.foundation.database import Database
from pyiexec.foundation.logs import get_logger
from pyiexec.protocol.errors import IexecError
from pyiexec.storage.bandwidth import Bandwidth
from pyiexec.storage.client import ContentClient
from pyiexec.worker import machine
from pyiexec.worker.behaviours import conduct_of
from pyiexec.worker.channel import Channel
from pyiexec.worker.claims import Claims
from pyiexec.worker.computation import Computation
from pyiexec.worker.content import ContentCache
from pyiexec.worker.disk import Disk, Keeper
from pyiexec.worker.facts import FactReader
from pyiexec.worker.governor import Governor
from pyiexec.worker.journal import MIGRATIONS, open_journal
from pyiexec.worker.offering import Offering, lent
from pyiexec.worker.printouts import Printouts
from pyiexec.worker.runtimes.base import Metered
from pyiexec.worker.runtimes.registry import load_runtimes
from pyiexec.worker.runtimes.suspension import Suspension
from pyiexec.worker.sensors import LinuxSensors, Sensors
from pyiexec.worker.settings import WorkerSettings
from pyiexec.worker.staging import Staging
from pyiexec.worker.stakes import StakeWatch
from pyiexec.worker.status import TaskLine, WorkerStatus, telling
from pyiexec.worker.tasks import Tasks
from pyiexec.worker.watch import Watch

log = get_logger(__name__)

#: Seconds between two attempts to reach the chain at start.
_START_PAUSE = 0.5


async def serve(
    settings: WorkerSettings,
    ready: Callable[[str], None],
    stop: anyio.Event,
    *,
    clock: Clock | None = None,
    randomness: random.Random | None = None,
    sensors: Sensors | None = None,
) -> None:
    """Work until `stop` is set.

    Args:
        ready: called with the worker's address once its scheduler has let it in for the first time.
        randomness: of the pauses between reconnections.
        sensors: what is seen of the machine's owner; this machine's when None.

    Raises:
        IexecError: ``BAD_SETTINGS``, ``BAD_KEY``, ``WALLET_MISSING``, ``DATABASE_UNAVAILABLE``; where containers
            are to be run ``ENGINE_UNAVAILABLE``, ``ENGINE_UNSAFE``.
    """
    clock = clock or SystemClock()
    signer = read_key_file(settings.key_file, settings.password_file)
    settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    if settings.behaviour != "honest":
        log.warning("this worker cheats, as its settings say", behaviour=settings.behaviour)
    async with AsyncExitStack() as stack:
        stack.enter_context(_alone_in(settings.data_dir))
        rpc = await stack.enter_async_context(JsonRpc(settings.rpc_url))
        chain_id = await _chain_id(rpc, clock, stop)
        if chain_id is None:
            return
        database = await Database.open(
            f"sqlite:///{settings.data_dir / 'worker.db'}", [MIGRATIONS, TRANSACTION_MIGRATIONS]
        )
        stack.push_async_callback(database.close)
        identity = f"{signer.address} of {settings.workerpool} on chain {chain_id} hub {settings.hub}"
        journal = await open_journal(database, clock, identity)
        stack.push_async_callback(journal.close)
        session = await stack.enter_async_context(aiohttp.ClientSession())
        download = Bandwidth(settings.download_bytes_per_second or None, clock)
        upload = Bandwidth(settings.upload_bytes_per_second or None, clock)
        content = await stack.enter_async_context(ContentClient(settings.gateway_url, download=download, upload=upload))
        cache = ContentCache(
            settings.data_dir / "content",
            content,
            capacity=settings.cache_bytes,
            max_bytes=settings.max_content_bytes,
        )
        cache.open()
        stack.push_async_callback(cache.close)
        runtimes = load_runtimes(settings.data_dir / "runtimes", settings.runtimes)
        for runtime in runtimes:
            stack.push_async_callback(runtime.close)
            await runtime.open()
        disk = Disk(
            settings.data_dir,
            settings.disk_bytes,
            [cache, *(runtime for runtime in runtimes if isinstance(runtime, Keeper))],
        )
        cache.fits = disk.fits
        suspension = Suspension()
        # Only a run that may have to stand still is put where it can.
        pauses = not settings.presence_policy().is_always and settings.owner_returns == "pause"
        governor = Governor(
            settings,
            sensors or LinuxSensors(),
            suspension,
            disk,
            clock,
            lambda: channel.offer_anew(),
            [runtime for runtime in runtimes if isinstance(runtime, Metered)],
        )
        await governor.begin()
        totals = Totals()
        feed = await stack.enter_async_context(HeadFeed(settings.rpc_url, clock=clock))
        transactions = await stack.enter_async_context(
            TransactionManager(
                rpc,
                signer,
                database,
                feed,
                chain_id=chain_id,
                clock=clock,
                max_gas_price=settings.max_gas_price,
                totals=totals,
            )
        )
        hub = Hub(rpc, settings.hub)
        watch = Watch(feed, settings.hub, lambda: tasks.open_tasks(), lambda news: tasks.news(news))
        conduct = conduct_of(settings.behaviour, hub, watch)
        staging = Staging(
            cache,
            session,
            allow_unhashed=settings.allow_unhashed_inputs,
            max_bytes=settings.max_content_bytes,
            bandwidth=download,
        )
        printouts = Printouts(clock)
        computation = Computation(staging, runtimes, conduct, printouts, disk, suspension if pauses else None)
        tasks = Tasks(
            settings=settings,
            signer=signer,
            hub=hub,
            journal=journal,
            facts=FactReader(hub, signer.address),
            watch=watch,
            computation=computation,
            conduct=conduct,
            content=content,
            transactions=transactions,
            clock=clock,
            admit=governor.admit,
        )
        offering = Offering(
            lent(settings, await anyio.to_thread.run_sync(machine.look), runtimes),
            disk,
            runtimes,
            lambda: governor.slots,
            lambda: computation.checksums,
        )
        channel = Channel(
            settings.scheduler_url,
            signer=signer,
            chain_id=chain_id,
            workerpool=settings.workerpool,
            journal=journal,
            printouts=printouts,
            capabilities=offering.say,
            clock=clock,
            randomness=randomness or random.Random(signer.address + str(clock.now())),  # noqa: S311 - only jitter
        )
        stakes = StakeWatch(hub, signer.address, journal, watch, clock)
        claims = Claims(hub, journal, transactions, clock, settings.claim_after_seconds)
        journal.on_reports = channel.push
        started_at = clock.now()

        async def tell() -> WorkerStatus:
            open_records = journal.open_records()
            return WorkerStatus(
                worker=signer.address,
                workerpool=settings.workerpool,
                chain_id=chain_id,
                pid=os.getpid(),
                started_at=started_at,
                connected=channel.connected.is_set(),
                mode=str(governor.presence.mode),
                because="the disk is full" if disk.full else governor.presence.explain(),
                slots=governor.slots,
                tasks=[
                    TaskLine(
                        task_id=record.task_id,
                        status=record.status,
                        contribution_deadline=record.contribution_deadline,
                    )
                    for record in open_records
                ],
                ended=journal.ended(),
                disk_used=await disk.used(),
                disk_bytes=disk.budget,
                stake=stakes.latest,
            )

        await stack.enter_async_context(telling(settings.data_dir, tell, clock))
        async with anyio.create_task_group() as group:

            async def announce() -> None:
                await channel.connected.wait()
                ready(signer.address)

            async def converse() -> None:
                await taken_up.wait()
                await channel.run(tasks.handle)

            if settings.metrics_port is not None:
                # Most workers tell nobody, and need not have what serves HTTP.
                from pyiexec.worker import observed

                observation = observed.observe_worker(
                    clock=clock,
                    database=database,
                    rpc=rpc,
                    feed=feed,
                    totals=totals,
                    transactions=transactions,
                    channel=channel,
                    gateway=(session, settings.gateway_url),
                    governor=governor,
                    tasks=tasks,
                    journal=journal,
                    disk=disk,
                    stakes=stakes,
                    download=download,
                    upload=upload,
                )
                await group.start(observed.serve, observation, settings.metrics_port, stop)
            taken_up = anyio.Event()
            group.start_soon(watch.run)
            group.start_soon(tasks.run, taken_up.set)
            group.start_soon(converse)
            group.start_soon(claims.run)
            group.start_soon(governor.run, tasks)
            group.start_soon(stakes.run)
            group.start_soon(offering.run, channel.offer_anew, clock)
            group.start_soon(announce)
            await stop.wait()
            group.cancel_scope.cancel()


async def _chain_id(rpc: JsonRpc, clock: Clock, stop: anyio.Event) -> int | None:
    """The chain's id, however long the chain is down; None when told to stop meanwhile."""
    while not stop.is_set():
        try:
            return await rpc.chain_id()
        except IexecError as error:
            if not error.retry:
                raise
            log.warning("the chain does not answer", error=str(error))
        with anyio.move_on_after(_START_PAUSE):
            await stop.wait()
    return None


@contextmanager
def _alone_in(data_dir: Path) -> Iterator[None]:
    """Refuse a folder in which another worker runs: two would vote and reveal past each other."""
    with (data_dir / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise IexecError("BAD_SETTINGS", f"another worker runs in {data_dir}") from None
        yield
