"""What a worker shows of itself, to its own machine alone and only if it is told to."""

from __future__ import annotations

from functools import partial

import aiohttp
import anyio
import anyio.abc
from litestar import Litestar

from pyiexec.chain.heads import HeadFeed
from pyiexec.chain.observed import STAKE, observe_chain, observe_transactions
from pyiexec.chain.rpc import JsonRpc
from pyiexec.chain.transactions import Totals, TransactionManager
from pyiexec.foundation import http
from pyiexec.foundation.clients import unreachable
from pyiexec.foundation.clock import Clock
from pyiexec.foundation.database import Database
from pyiexec.foundation.logs import get_logger
from pyiexec.foundation.metrics import MINUTES, counter, gauge, histogram
from pyiexec.foundation.observation import Observation
from pyiexec.foundation.openapi import documented
from pyiexec.storage.bandwidth import Bandwidth
from pyiexec.worker.channel import Channel
from pyiexec.worker.disk import Disk
from pyiexec.worker.governor import Governor
from pyiexec.worker.journal import Journal
from pyiexec.worker.stakes import StakeWatch
from pyiexec.worker.tasks import Tasks

log = get_logger(__name__)

#: Nobody else's business: what a machine lends and when its owner uses it.
LOOPBACK = "127.0.0.1"

CONNECTED = gauge("worker_connected", "1 while the scheduler has let the worker in")
SLOTS = gauge("worker_slots", "tasks at a time: offered now, and being computed", "state")
RUN_SECONDS = histogram(
    "worker_run_duration_seconds", "time from a task's start to its result, by how it ended", "outcome", buckets=MINUTES
)
OPEN_TASKS = gauge("worker_tasks_open", "tasks that the worker takes part in")
ENDED_TASKS = gauge("worker_tasks_ended", "tasks of which the worker remembers the end, by status", "status")
FETCHED = counter("worker_fetched_bytes_total", "content and input files fetched")
SENT = counter("worker_sent_bytes_total", "results uploaded")
DISK_USED = gauge("worker_disk_used_bytes", "what the worker's folder takes of the disk")
DISK_BUDGET = gauge("worker_disk_budget_bytes", "what it may take; absent where that is not limited")


def observe_worker(
    *,
    clock: Clock,
    database: Database,
    rpc: JsonRpc,
    feed: HeadFeed,
    totals: Totals,
    transactions: TransactionManager,
    channel: Channel,
    gateway: tuple[aiohttp.ClientSession, str],
    governor: Governor,
    tasks: Tasks,
    journal: Journal,
    disk: Disk,
    stakes: StakeWatch,
    download: Bandwidth,
    upload: Bandwidth,
) -> Observation:
    """Show a worker's work, and that it needs its chain, database, scheduler and gateway."""
    observation = Observation("worker", clock)
    observation.database(database)
    observe_chain(observation, rpc, feed, clock)
    observe_transactions(observation, totals, lambda: transactions)
    metrics, health = observation.metrics, observation.health

    async def disconnected() -> str:
        return "" if channel.connected.is_set() else "the scheduler has not let the worker in"

    health.needs("scheduler", disconnected)
    health.needs("gateway", partial(unreachable, *gateway))
    metrics.watch(CONNECTED, channel.connected.is_set)
    metrics.watch(SLOTS, lambda: {"offered": governor.slots, "busy": len(tasks.computing())})
    metrics.watch(OPEN_TASKS, lambda: len(journal.open_records()))
    metrics.watch(ENDED_TASKS, journal.ended)
    metrics.watch(FETCHED, lambda: download.moved)
    metrics.watch(SENT, lambda: upload.moved)
    metrics.ask(DISK_USED, disk.used)
    metrics.watch(DISK_BUDGET, lambda: disk.budget)
    metrics.watch(STAKE, lambda: _stake(stakes))
    seconds = metrics.histogram(RUN_SECONDS)
    tasks.runs.on_end = lambda outcome, spent: seconds.labels(outcome).observe(spent)
    return observation


async def serve(
    observation: Observation,
    port: int,
    stop: anyio.Event,
    *,
    task_status: anyio.abc.TaskStatus[None] = anyio.TASK_STATUS_IGNORED,
) -> None:
    """Answer on the loopback interface until `stop` is set.

    Raises:
        IexecError: ``PORT_TAKEN``.
    """

    def ready(url: str) -> None:
        log.info("metrics", url=f"{url}/metrics")
        task_status.started()

    app = Litestar(
        documented("pyiexec worker", observation.routes()),
        exception_handlers=http.EXCEPTION_HANDLERS,
        openapi_config=None,
        # The process that hosts the service decides about logs.
        logging_config=None,
    )
    await http.serve(observation.around(app), LOOPBACK, port, ready=ready, stop=stop)


def _stake(stakes: StakeWatch) -> dict[str, int] | None:
    cover = stakes.latest
    return None if cover is None else {"free": cover.free, "needed": cover.needed, "short": cover.short}
