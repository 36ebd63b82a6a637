"""The scheduler as a process: listens to the chain, to its workers and to the clock, and decides.

Crash-only: it may be killed at any instruction. Started again it reads its database, compares it with the chain, and
goes on.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable
from functools import partial

import anyio

from pyiexec.chain.authentication import signed_by
from pyiexec.chain.follower import MIGRATIONS as FOLLOWER_MIGRATIONS
from pyiexec.chain.follower import LogFollower, load_cursor
from pyiexec.chain.heads import HeadFeed
from pyiexec.chain.hub import Hub
from pyiexec.chain.keystore import read_key_file
from pyiexec.chain.observed import observe_chain, observe_follower, observe_transactions
from pyiexec.chain.orderbook import OrderBook
from pyiexec.chain.rpc import JsonRpc
from pyiexec.chain.transactions import MIGRATIONS as TRANSACTION_MIGRATIONS
from pyiexec.chain.transactions import Totals, TransactionManager
from pyiexec.foundation.clients import unreachable
from pyiexec.foundation.clock import Clock, SystemClock
from pyiexec.foundation.database import Database
from pyiexec.foundation.http import Ready, http_session
from pyiexec.foundation.http import serve as serve_http
from pyiexec.foundation.logs import get_logger
from pyiexec.foundation.observation import Observation
from pyiexec.protocol.eip712 import Domain
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import Address
from pyiexec.scheduler.admission import objection
from pyiexec.scheduler.app import make_app
from pyiexec.scheduler.chain_logs import TOPICS
from pyiexec.scheduler.chain_work import ChainWork
from pyiexec.scheduler.channel import WorkerChannel
from pyiexec.scheduler.enclaves import EnclaveDesk
from pyiexec.scheduler.engine import Engine
from pyiexec.scheduler.followers import Followers
from pyiexec.scheduler.inbox import TimePassed
from pyiexec.scheduler.log_access import LogAccess
from pyiexec.scheduler.observed import observe_scheduler
from pyiexec.scheduler.outlook import Outlook
from pyiexec.scheduler.pool_policy import Admission, terms_of
from pyiexec.scheduler.printouts import Printouts
from pyiexec.scheduler.progress import CURSOR, ChainProgress
from pyiexec.scheduler.registry import TaskRegistry
from pyiexec.scheduler.sales_desk import SalesDesk
from pyiexec.scheduler.settings import SchedulerSettings
from pyiexec.scheduler.stakes import Stakes
from pyiexec.scheduler.store import MIGRATIONS, load
from pyiexec.scheduler.timers import ChainTime
from pyiexec.storage.client import ContentClient

log = get_logger(__name__)


async def serve(
    settings: SchedulerSettings,
    *,
    ready: Ready,
    stop: anyio.Event,
    clock: Clock | None = None,
    chance: random.Random | None = None,
    entropy: Callable[[int], bytes] = secrets.token_bytes,
) -> None:
    """Run until `stop` is set; `ready` is told the base URL once workers may connect.

    Raises:
        IexecError: ``BAD_KEY``, ``BAD_SETTINGS`` when what is sold would not be admitted, ``DATABASE_UNAVAILABLE``,
            ``NOT_OWNER`` when the key is not that of the pool's owner, ``PORT_TAKEN``, ``WORKERPOOL_UNKNOWN``.
    """
    clock = clock or SystemClock()
    admission = settings.admission or Admission()
    terms = terms_of(settings.sales, admission) if settings.sales else []
    signer = read_key_file(settings.key_file, settings.password_file)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    database_url = settings.database_url or f"sqlite:///{settings.data_dir / 'scheduler.db'}"
    database = await Database.open(database_url, [MIGRATIONS, TRANSACTION_MIGRATIONS, FOLLOWER_MIGRATIONS])
    session = http_session()
    try:
        async with JsonRpc(settings.rpc_url) as rpc, HeadFeed(settings.heads_url or settings.rpc_url) as feed:
            hub = Hub(rpc, settings.hub)
            chain_id = await _reach_chain(hub, signer.address, settings.workerpool, clock)
            chain_time = ChainTime(clock)
            if feed.newest is not None:
                chain_time.observe(feed.newest.timestamp)
            followers = Followers()
            printouts = Printouts(
                database, followers, clock=clock, now=chain_time.now, keep_seconds=settings.keep_logs_seconds
            )
            engine = Engine(
                stored=await database.read(load),
                database=database,
                signer=signer,
                workerpool=settings.workerpool,
                chain_time=chain_time,
                policy=settings.policy,
                heartbeat_seconds=settings.heartbeat_seconds,
                followers=followers,
                printouts=printouts,
                chance=chance or random.SystemRandom(),
                object_to=partial(objection, admission=admission),
            )
            follower = LogFollower(
                rpc,
                feed,
                addresses=[settings.hub],
                topics=[TOPICS],
                cursor=await database.read(lambda connection: load_cursor(connection, CURSOR)),
                start_block=settings.start_block,
            )
            channel = WorkerChannel(
                chain_id=chain_id,
                workerpool=settings.workerpool,
                allowed=settings.workers,
                crew=engine.crew,
                score=hub.score,
                post=engine.post,
                on_output=lambda worker, output: printouts.take(engine.find(output.task_id), worker, output),
                clock=clock,
                heartbeat_seconds=settings.heartbeat_seconds,
            )
            progress = ChainProgress(follower, engine)
            outlook = Outlook(engine=engine, policy=settings.policy, chain_time=chain_time, clock=clock)
            await outlook.remember(database)
            stakes = Stakes(hub=hub, owner=signer.address, engine=engine, database=database, feed=feed, clock=clock)
            observation, totals = Observation("scheduler", clock), Totals()
            async with (
                TransactionManager(
                    rpc,
                    signer,
                    database,
                    feed,
                    chain_id=chain_id,
                    clock=clock,
                    max_gas_price=settings.max_gas_price,
                    totals=totals,
                ) as transactions,
                anyio.create_task_group() as group,
            ):
                work = ChainWork(
                    hub=hub,
                    transactions=transactions,
                    content=ContentClient(settings.gateway_url, session=session),
                    enclaves=EnclaveDesk(settings.sms_url, signer, session),
                    group=group,
                    post=engine.post,
                    clock=clock,
                    chain_time=chain_time,
                    max_result_bytes=settings.max_result_bytes,
                )
                desk = None
                if settings.sales is not None:
                    desk = SalesDesk(
                        sales=settings.sales,
                        admission=admission,
                        terms=terms,
                        engine=engine,
                        policy=settings.policy,
                        hub=hub,
                        domain=Domain(chain_id, settings.hub),
                        signer=signer,
                        workerpool=settings.workerpool,
                        book=OrderBook(settings.sales.market_url, chain_id, session),
                        database=database,
                        transactions=transactions,
                        followed=progress,
                        feed=feed,
                        chain_time=chain_time,
                        clock=clock,
                        entropy=entropy,
                    )
                observation.database(database)
                observe_chain(observation, rpc, feed, clock)
                observe_follower(observation, feed, lambda: follower.cursor.number)
                observe_transactions(observation, totals, lambda: transactions)
                observe_scheduler(observation, engine, followers, stakes)
                observation.health.needs("gateway", partial(unreachable, session, settings.gateway_url))
                if settings.sms_url:
                    observation.health.needs("sms", partial(unreachable, session, settings.sms_url))
                app = make_app(
                    engine=engine,
                    observation=observation,
                    channel=channel,
                    registry=TaskRegistry(engine, database, outlook),
                    printouts=printouts,
                    access=LogAccess(chain_id, partial(signed_by, hub), clock, entropy),
                    followers=followers,
                    feed=feed,
                    clock=clock,
                    stakes=stakes,
                    desk=desk,
                    workerpool=settings.workerpool,
                    hub=settings.hub,
                    chain_id=chain_id,
                )
                group.start_soon(engine.run, work)
                group.start_soon(_tell_time, feed, chain_time, engine)
                group.start_soon(_keep_hours, chain_time, engine)
                group.start_soon(progress.run)
                if desk is not None:
                    group.start_soon(desk.run)
                group.start_soon(channel.watch)
                group.start_soon(stakes.run)
                group.start_soon(printouts.run)
                group.start_soon(_let_go, followers, stop)
                await serve_http(observation.around(app), settings.host, settings.port, ready=ready, stop=stop)
                group.cancel_scope.cancel()
            await printouts.write()
    finally:
        with anyio.CancelScope(shield=True):
            await session.close()
            await database.close()


async def _reach_chain(hub: Hub, owner: Address, workerpool: Address, clock: Clock) -> int:
    """The chain's id, once it answers and shows that the pool is ours."""
    pause = 0.1
    while True:
        try:
            pool = await hub.workerpool(workerpool)
            if pool.owner != owner:
                raise IexecError("NOT_OWNER", f"the workerpool {workerpool} belongs to {pool.owner}, not to {owner}")
            return await hub.rpc.chain_id()
        except IexecError as error:
            if error.code != "CHAIN_UNREACHABLE":
                raise
            log.warning("waiting for the chain", reason=error.what)
            await clock.sleep(pause)
            pause = min(2 * pause, 5.0)


async def _let_go(followers: Followers, stop: anyio.Event) -> None:
    """End the streams before the service ends, or it would wait for their readers."""
    await stop.wait()
    followers.close()


async def _tell_time(feed: HeadFeed, chain_time: ChainTime, engine: Engine) -> None:
    """Let every head set the clock."""
    async with feed.subscribe() as heads:
        while True:
            head = await heads.newest()
            chain_time.observe(head.timestamp)
            hour = engine.timers.earliest()
            if hour is not None and head.timestamp >= hour:
                engine.timers_changed.set()


async def _keep_hours(chain_time: ChainTime, engine: Engine) -> None:
    """Wake tasks at their hour."""
    while True:
        engine.timers_changed = anyio.Event()
        due = engine.timers.take_due(chain_time.now())
        if due:
            engine.post(TimePassed(due))
        hour = engine.timers.earliest()
        with anyio.move_on_after(max(hour - chain_time.precise(), 0.0) if hour is not None else None):
            await engine.timers_changed.wait()
