"""What the engine has done for it outside: reading the chain, sending transactions, verifying uploads.

Each job runs on its own, repeats what only failed because something was out of reach, and ends by putting news into the
engine's inbox. A transaction that the hub refused is followed by a reading of the chain: whether the action is still
wanted is decided anew from what is found.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import nullcontext
from typing import Any, Protocol, TypeVar

import anyio
import anyio.abc

from pyiexec.chain import calls
from pyiexec.chain.hub import Category, Hub
from pyiexec.chain.reading import Reading, read_all, read_each
from pyiexec.chain.registries import AppAsset
from pyiexec.foundation.clock import Clock
from pyiexec.foundation.logs import get_logger, traced
from pyiexec.protocol.deals import Deal
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.multiaddr import decode_multiaddr
from pyiexec.protocol.primitives import Address, Bytes32, DealId, ResultHash, TaskId, to_hex
from pyiexec.protocol.results import ResultLink, format_link
from pyiexec.protocol.tasks import Task
from pyiexec.protocol.traces import trace_of
from pyiexec.protocol.trust import worker_weight
from pyiexec.scheduler.enclaves import EnclaveDesk
from pyiexec.scheduler.events import (
    ChainRead,
    EnclaveNamed,
    EnclaveRefused,
    InitializeSent,
    UploadRefused,
    UploadVerified,
)
from pyiexec.scheduler.inbox import ChainSeen, DealSeen, Item, JobKey, TaskNews, TransactionFailed
from pyiexec.scheduler.state import TaskState
from pyiexec.scheduler.store import DealFacts
from pyiexec.scheduler.timers import ChainTime
from pyiexec.scheduler.verification import STORAGE, verify_upload
from pyiexec.storage.client import ContentClient

T = TypeVar("T")

log = get_logger(__name__)

#: Tasks opened or claimed by one transaction.
BATCH = 32
#: Gas limits for what the hub does; what is not used is not paid. Estimating would cost a round trip each.
_GAS_BASE = 150_000
_GAS_INITIALIZE = 150_000
_GAS_PER_CONTRIBUTOR = 130_000
_GAS_FINALIZE = 500_000
#: Tries to reach the store before an upload counts as refused.
_STORE_ATTEMPTS = 5
#: Uploads fetched at a time: each may take its largest size in memory.
_FETCHES = 8
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 30.0


class Transactions(Protocol):
    """The part of the transaction manager that is used here."""

    async def submit(
        self,
        object_id: str,
        action: str,
        to: Address | None,
        data: bytes,
        *,
        gas: int | None = None,
        retry: bool = False,
    ) -> Any:
        """Send once for each object and action."""

    async def wait(self, record: Any) -> Any:
        """Until it is mined."""


class ChainWork:
    """Starts jobs in `group` and reports to `post`."""

    def __init__(
        self,
        *,
        hub: Hub,
        transactions: Transactions,
        content: ContentClient,
        enclaves: EnclaveDesk,
        group: anyio.abc.TaskGroup,
        post: Callable[[Item], None],
        clock: Clock,
        chain_time: ChainTime,
        max_result_bytes: int,
    ) -> None:
        self._hub = hub
        self._transactions = transactions
        self._content = content
        self._enclaves = enclaves
        self._group = group
        self._post = post
        self._clock = clock
        self._chain_time = chain_time
        self._max_result_bytes = max_result_bytes
        self._timerefs: dict[int, int] = {}
        self._apps: dict[Address, AppAsset] = {}
        self._datasets: dict[Address, Bytes32] = {}
        self._callback_gas: int | None = None
        self._fetches = anyio.CapacityLimiter(_FETCHES)

    # --- reading ------------------------------------------------------------------------------------------------------

    def read_deal(self, deal_id: DealId, *, with_tasks: bool) -> None:
        """Read a deal, and what the chain already knows of its tasks if it may be an old one."""

        async def job() -> None:
            async def read() -> DealSeen:
                deal = await self._hub.find_deal(deal_id)
                if not deal.exists:
                    return DealSeen(deal_id, None)
                facts = await self._facts(deal)
                found = await self.read_tasks(deal.task_ids(deal_id)) if with_tasks else {}
                return DealSeen(deal_id, facts, found)

            with traced(trace_of(deal_id)):
                self._post(await self._reachable(read, "read deal", deal_id=deal_id))

        self._group.start_soon(job)

    def read_chain(self, versions: Mapping[TaskId, int], job: JobKey | None = None) -> None:
        """Read the chain's record of tasks, whose logs were followed up to these versions."""

        async def run() -> None:
            found = await self._reachable(lambda: self.read_tasks(list(versions)), "read tasks")
            self._post(ChainSeen(found, versions, job))

        self._group.start_soon(run)

    async def read_tasks(self, task_ids: Sequence[TaskId]) -> dict[TaskId, ChainRead]:
        """The chain's record of tasks and their contributions, in two round trips however many they are."""
        at = self._chain_time.now()
        tasks = await self._hub.tasks(task_ids)
        voters = [(t, w) for t, task in zip(task_ids, tasks, strict=True) for w in task.contributors]
        readings: list[Reading[Any]] = [self._hub.contribution(task_id, worker) for task_id, worker in voters]
        readings += [self._hub.score(worker) for _, worker in voters]
        answers = await read_each(readings)
        contributions, scores = answers[: len(voters)], answers[len(voters) :]

        def seen(task_id: TaskId, task: Task) -> ChainRead:
            mine = [index for index, voter in enumerate(voters) if voter[0] == task_id]
            return ChainRead(
                task,
                {voters[index][1]: contributions[index] for index in mine},
                {voters[index][1]: worker_weight(scores[index]) for index in mine},
                at,
            )

        return {task_id: seen(task_id, task) for task_id, task in zip(task_ids, tasks, strict=True)}

    async def _facts(self, deal: Deal) -> DealFacts:
        app, dataset = deal.app.pointer, deal.dataset.pointer
        new_dataset = deal.has_dataset and dataset not in self._datasets
        if deal.category not in self._timerefs or app not in self._apps or new_dataset:
            readings: list[Reading[Any]] = [self._hub.category(deal.category), self._hub.app(app)]
            if new_dataset:
                readings.append(self._hub.dataset(dataset))
            category: Category
            category, self._apps[app], *datasets = await read_all(*readings)
            self._timerefs[deal.category] = category.work_clock_time_ref
            self._datasets.update((dataset, found.checksum) for found in datasets)
        asset = self._apps[app]
        return DealFacts(
            deal=deal,
            timeref=self._timerefs[deal.category],
            app_checksum=asset.checksum,
            app_type=asset.type,
            app_location=_location(asset.multiaddr),
            dataset_checksum=self._datasets[dataset] if deal.has_dataset else "",
        )

    # --- transactions -------------------------------------------------------------------------------------------------

    def initialize(self, states: Sequence[TaskState], job: JobKey, attempt: int) -> None:
        """Open tasks; together at first, each alone once that was refused."""
        for batch in _batches(states, attempt):
            first, last = batch[0], batch[-1]
            if len(batch) == 1:
                data = calls.initialize(first.deal_id, first.index)
            else:
                data = calls.initialize_array([s.deal_id for s in batch], [s.index for s in batch])
            name = first.task_id if len(batch) == 1 else f"{first.task_id}..{last.task_id}"
            gas = _GAS_BASE + _GAS_INITIALIZE * len(batch)
            opened = {state.task_id: [InitializeSent()] for state in batch}
            self._send(batch, job, attempt, name, "initialize", data, gas, sent=TaskNews(opened))

    def finalize(self, state: TaskState, location: str, callback_data: bytes, job: JobKey, attempt: int) -> None:
        """Settle a task."""

        async def run() -> None:
            gas = _GAS_BASE + _GAS_FINALIZE + _GAS_PER_CONTRIBUTOR * len(state.chain.contributors)
            # The hub stores link and callback data, a word for each 32 bytes in the worst case.
            gas += 22_100 * (8 + len(callback_data) // 32)
            if state.callback:
                if self._callback_gas is None:
                    self._callback_gas = await self._reachable(self._read_callback_gas, "read the callback's gas")
                gas += self._callback_gas * 64 // 63 + 50_000
            link = format_link(ResultLink(STORAGE, location))
            data = calls.finalize(state.task_id, link, callback_data)
            self._send([state], job, attempt, f"{state.task_id} {location}", "finalize", data, gas)

        self._group.start_soon(run)

    def reopen(self, state: TaskState, consensus: ResultHash, job: JobKey, attempt: int) -> None:
        """Throw a consensus away."""
        gas = _GAS_BASE + 60_000 * len(state.chain.contributors)
        name = f"{state.task_id} {consensus} {state.chain.reveal_deadline}"
        self._send([state], job, attempt, name, "reopen", calls.reopen(state.task_id), gas)

    def claim(self, states: Sequence[TaskState], job: JobKey, attempt: int, *, initialize: bool) -> None:
        """Refund tasks; together at first, each alone once that was refused."""
        for batch in _batches(states, attempt):
            ids = [state.task_id for state in batch]
            name = ids[0] if len(batch) == 1 else f"{ids[0]}..{ids[-1]}"
            gas = _GAS_BASE + 2 * _GAS_INITIALIZE * len(batch)
            gas += 60_000 * sum(len(state.chain.contributors) for state in batch)
            if initialize:
                data = calls.initialize_and_claim_array([s.deal_id for s in batch], [s.index for s in batch])
            else:
                data = calls.claim(ids[0]) if len(batch) == 1 else calls.claim_array(ids)
            self._send(batch, job, attempt, name, "claim", data, gas)

    def _send(
        self,
        states: Sequence[TaskState],
        job: JobKey,
        attempt: int,
        name: str,
        action: str,
        data: bytes,
        gas: int,
        sent: TaskNews | None = None,
    ) -> None:
        ids = [state.task_id for state in states]

        async def run() -> None:
            # A task already tried is left alone for a while, the longer the more often.
            if attempt > 1:
                await self._clock.sleep(_pause(attempt - 1))
            # After a failure the node is asked for the gas, should our own idea of it have been the reason.
            limit = gas if attempt == 0 else None
            try:
                record = await self._transactions.submit(
                    name, action, self._hub.address, data, gas=limit, retry=attempt > 0
                )
                if sent is not None:
                    self._post(sent)
                await self._transactions.wait(record)
            except IexecError as error:
                log.warning("transaction failed", action=action, tasks=ids, attempt=attempt, error=str(error))
                self._post(TransactionFailed(ids, job))

        self._start(states, run)

    def _start(self, states: Sequence[TaskState], job: Callable[[], Awaitable[None]]) -> None:
        """Start a job, under the trace of its tasks' deal; claims may be of several deals, and have none."""

        async def run() -> None:
            with traced(states[0].trace) if len({s.deal_id for s in states}) == 1 else nullcontext():
                await job()

        self._group.start_soon(run)

    async def _read_callback_gas(self) -> int:
        return await self._hub.callback_gas()

    # --- uploads ------------------------------------------------------------------------------------------------------

    def verify(self, state: TaskState, worker: Address, location: str, consensus: ResultHash, job: JobKey) -> None:
        """Fetch and check what a worker uploaded."""

        async def run() -> None:
            attempt = 0
            while True:
                try:
                    async with self._fetches:
                        data = await verify_upload(
                            self._content,
                            location,
                            task_id=state.task_id,
                            consensus=consensus,
                            callback=state.callback,
                            max_bytes=self._max_result_bytes,
                        )
                except IexecError as error:
                    attempt += 1
                    if error.retry and attempt < _STORE_ATTEMPTS:
                        await self._clock.sleep(_pause(attempt))
                        continue
                    log.warning("upload refused", task=state.task_id, worker=worker, error=str(error))
                    news: UploadVerified | UploadRefused = UploadRefused(worker, location, error.code, error.what)
                else:
                    news = UploadVerified(worker, location, data)
                self._post(TaskNews({state.task_id: [news]}, job))
                return

        self._start([state], run)

    # --- enclaves -----------------------------------------------------------------------------------------------------

    def ask_enclave(self, state: TaskState, job: JobKey) -> None:
        """Have the SMS name the account of the task's enclaves, however long that takes until contributions end."""

        async def run() -> None:
            attempt = 0
            while self._chain_time.now() < state.chain.contribution_deadline:
                try:
                    challenge = await self._enclaves.challenge(state.task_id)
                except IexecError as error:
                    log.warning("no enclave", task=state.task_id, attempt=attempt, error=str(error))
                    news = EnclaveRefused(error.code, error.what, final=not error.retry)
                    self._post(TaskNews({state.task_id: [news]}, job if news.final else None))
                    if news.final:
                        return
                    attempt += 1
                    await self._clock.sleep(_pause(attempt))
                else:
                    self._post(TaskNews({state.task_id: [EnclaveNamed(challenge)]}, job))
                    return

        self._start([state], run)

    async def _reachable(self, work: Callable[[], Coroutine[Any, Any, T]], what: str, **about: Any) -> T:
        """The outcome of `work`, repeated while the chain is out of reach."""
        attempt = 0
        while True:
            try:
                return await work()
            except IexecError as error:
                attempt += 1
                log.warning(f"could not {what}", attempt=attempt, error=str(error), **about)
                await self._clock.sleep(_pause(attempt))


def _location(multiaddr: bytes) -> str:
    """Where an app lies, to be shown; anybody may register anything."""
    try:
        return decode_multiaddr(multiaddr)
    except IexecError:
        return to_hex(multiaddr)


def _batches(states: Sequence[TaskState], attempt: int) -> list[Sequence[TaskState]]:
    size = BATCH if attempt == 0 else 1
    return [states[start : start + size] for start in range(0, len(states), size)]


def _pause(attempt: int) -> float:
    return min(_FIRST_PAUSE * 2.0**attempt, _LONGEST_PAUSE)
