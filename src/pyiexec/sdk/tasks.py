"""Tasks: their state, their results checked against the chain, and refunds."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any

import msgspec

from pyiexec.chain import calls
from pyiexec.foundation.logs import get_logger, traced
from pyiexec.protocol.deadlines import deadlines
from pyiexec.protocol.deals import Deal
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.primitives import DealId, ResultDigest, TaskId, keccak256
from pyiexec.protocol.results import parse_link, result_digest, unpack
from pyiexec.protocol.tasks import Task, TaskStatus
from pyiexec.protocol.traces import trace_of
from pyiexec.sdk.compass import Compass
from pyiexec.sdk.connection import Connection
from pyiexec.sdk.explanations import TASK_EVENTS, Explanation, told_by_chain, told_by_scheduler
from pyiexec.sdk.outlook import SchedulerVoice
from pyiexec.sdk.task_logs import LogPiece, ReplicateLogs, TaskLogs

log = get_logger(__name__)

#: Results larger than this are refused, packed and unpacked (bytes, files).
MAX_RESULT_BYTES = 256 << 20
MAX_RESULT_FILES = 10_000
_REVERTED = ("CONTRACT_REVERTED", "TRANSACTION_REVERTED")


class TaskResult(msgspec.Struct, frozen=True):
    """A result that is what the workers proved.

    Attributes:
        files: content by path within the output folder.
        archive: the zip as stored.
        digest: SHA-256 or keccak that the chain recorded and this content has.
    """

    task_id: TaskId
    location: str
    digest: ResultDigest
    files: dict[str, bytes]
    archive: bytes


class Tasks:
    """Tasks of any deal."""

    def __init__(self, connection: Connection) -> None:
        self._at = connection

    async def show(self, task_id: TaskId) -> Task:
        """The task on chain.

        Raises:
            IexecError: ``TASK_UNKNOWN`` until it is initialised.
        """
        task = await self._at.hub.task(task_id)
        if task.status is TaskStatus.UNSET:
            raise IexecError("TASK_UNKNOWN", f"no task {task_id} is initialised on chain {self._at.profile.chain_id}")
        return task

    async def explain(self, task_id: TaskId) -> dict[str, Any] | None:
        """What the pool's scheduler says of the task: its phase, replicas and causes; None when it is not known there.

        Raises:
            IexecError: ``SCHEDULER_UNREACHABLE``, ``COMPASS_UNREACHABLE``.
        """
        return await SchedulerVoice(await self._scheduler_of(task_id)).task(task_id)

    async def why(self, task_id: TaskId) -> Explanation:
        """Why the task is where it is: every change of state with its reason, what is awaited, and what follows.

        The pool's scheduler is asked first; while it is silent or does not know the task, the chain tells what it can.

        Raises:
            IexecError: ``TASK_UNKNOWN`` when neither knows the task; ``CHAIN_UNREACHABLE``.
        """
        silence: IexecError | None = None
        try:
            told = await self.explain(task_id)
        except IexecError as error:
            if error.code not in ("SCHEDULER_UNREACHABLE", "COMPASS_UNREACHABLE"):
                raise
            told, silence = None, error
        if told is not None:
            try:
                return told_by_scheduler(task_id, told)
            except IexecError as error:
                silence = error
        try:
            task = await self.show(task_id)
        except IexecError as error:
            if error.code != "TASK_UNKNOWN" or silence is None:
                raise
            # It may have been bought and not be opened yet: only the scheduler could tell.
            raise IexecError("TASK_UNKNOWN", f"{error.what}, and {silence.what}", retry=True) from None
        logs = await self._at.hub.logs(*TASK_EVENTS, from_block=self._at.profile.start_block, topics=[task_id])
        return told_by_chain(task_id, task, await self._dated(logs), await self._chain_time(), silence)

    async def _dated(self, logs: Sequence[Mapping[str, Any]]) -> list[tuple[Mapping[str, Any], int]]:
        """Logs with the chain time of their blocks, which not every node tells with them."""
        numbers = sorted({str(log["blockNumber"]) for log in logs if not log.get("blockTimestamp")})
        blocks = await self._at.rpc.batch([("eth_getBlockByNumber", [number, False]) for number in numbers])
        times = {number: block["timestamp"] for number, block in zip(numbers, blocks, strict=True)}
        return [(log, int(log.get("blockTimestamp") or times[str(log["blockNumber"])], 16)) for log in logs]

    async def logs(self, task_id: TaskId) -> list[ReplicateLogs]:
        """What the application has printed so far on each worker that was given the task, which the user ordered.

        Raises:
            IexecError: ``LOGS_UNKNOWN``, ``LOG_ACCESS_REFUSED`` when somebody else ordered the task, ``TASK_UNKNOWN``,
                ``SCHEDULER_UNREACHABLE``, ``COMPASS_UNREACHABLE``, ``WALLET_MISSING``.
        """
        return await (await self._logs_of(task_id)).read()

    async def follow_logs(self, task_id: TaskId) -> AsyncGenerator[LogPiece, None]:
        """What the application has printed, and what it prints until the task is over.

        Raises:
            IexecError: as of `logs`; what is not there yet is waited for.
        """
        async with aclosing((await self._logs_of(task_id)).follow()) as pieces:
            async for piece in pieces:
                yield piece

    async def _logs_of(self, task_id: TaskId) -> TaskLogs:
        url = await self._scheduler_of(task_id)
        if url is None:
            raise IexecError(
                "SCHEDULER_UNREACHABLE", "the network names no scheduler of the task's workerpool", retry=False
            )
        return TaskLogs(self._at, url, task_id)

    async def _scheduler_of(self, task_id: TaskId) -> str | None:
        """Origin of the scheduler of the task's pool; None where the network has no way to tell."""
        profile = self._at.profile
        if profile.scheduler_url is not None or profile.compass_url is None:
            return profile.scheduler_url
        deal = await self._at.hub.deal((await self.show(task_id)).deal_id)
        async with Compass(profile.compass_url, self._at.domain, self._at.clock) as compass:
            try:
                return await compass.url_of(deal.workerpool.pointer)
            except IexecError as error:
                if error.code != "WORKERPOOL_URL_UNKNOWN":
                    raise
                return None

    async def result(self, task_id: TaskId) -> TaskResult:
        """Download a completed task's result and check it against the digest on chain.

        Raises:
            IexecError: ``TASK_NOT_COMPLETED``; ``RESULT_WRONG`` when the stored content is not what was proved; errors
                of the content store.
        """
        task = await self.show(task_id)
        if task.status is not TaskStatus.COMPLETED:
            raise IexecError("TASK_NOT_COMPLETED", f"task {task_id} is {task.status.name}")
        deal = await self._at.hub.deal(task.deal_id)
        link = parse_link(task.results)
        if link.storage != "ipfs":
            raise IexecError("RESULT_WRONG", f"the result is stored on {link.storage!r}, which cannot be fetched")
        with traced(trace_of(task.deal_id)):
            archive = await self._at.content.fetch(link.location.removeprefix("/ipfs/"), max_bytes=MAX_RESULT_BYTES)
            log.info("result", task=task_id, location=link.location, bytes=len(archive))
        try:
            files = unpack(archive, MAX_RESULT_BYTES, MAX_RESULT_FILES)
            digest = result_digest(files, callback=deal.has_callback)
        except IexecError as error:
            raise IexecError("RESULT_WRONG", f"the archive of task {task_id} is unusable: {error.what}") from error
        if digest != task.result_digest:
            raise IexecError(
                "RESULT_WRONG",
                f"task {task_id}: the stored result has digest {digest}, proved was {task.result_digest}",
            )
        return TaskResult(task_id, link.location, digest, files, archive)

    async def claim(self, task_id: TaskId) -> str:
        """Take back the price of a task that was not completed in time. Returns the transaction's hash.

        Raises:
            IexecError: ``TASK_NOT_CLAIMABLE``.
        """
        task = await self.show(task_id)
        now = await self._chain_time()
        if not task.may_claim(now):
            if task.status in (TaskStatus.COMPLETED, TaskStatus.FAILED):
                raise IexecError("TASK_NOT_CLAIMABLE", f"task {task_id} is {task.status.name}")
            wait = task.final_deadline - now
            raise IexecError("TASK_NOT_CLAIMABLE", f"task {task_id} can be claimed in {wait} s", retry=True)
        receipt = await self._at.send(task_id, "claim", self._at.hub.address, calls.claim(task_id))
        return receipt.transaction_hash

    async def claim_deal(self, deal_id: DealId) -> list[str]:
        """Take back every unfinished task of a deal past its final deadline, also those never initialised.

        Returns:
            Hashes of the transactions.

        Raises:
            IexecError: ``DEAL_UNKNOWN``; ``TASK_NOT_CLAIMABLE``.
        """
        deal: Deal = await self._at.hub.deal(deal_id)
        timeref = (await self._at.hub.category(deal.category)).work_clock_time_ref
        wait = deadlines(deal.start_time, timeref).final - await self._chain_time()
        if wait > 0:
            raise IexecError("TASK_NOT_CLAIMABLE", f"deal {deal_id} can be claimed in {wait} s", retry=True)
        sent: list[str] = []
        while call := await self._next_claim(deal_id, deal):
            try:
                receipt = await self._at.send(f"{deal_id}/{keccak256(call).hex()}", "claim", self._at.hub.address, call)
            except IexecError as error:
                # Anybody may claim, and a scheduler does it for its own pool: then there is less left to do.
                if error.code not in _REVERTED or call == await self._next_claim(deal_id, deal):
                    raise
            else:
                sent.append(receipt.transaction_hash)
        return sent

    async def _next_claim(self, deal_id: DealId, deal: Deal) -> bytes | None:
        """Call data that claims what is unfinished of a deal past its final deadline; None when nothing is."""
        task_ids = deal.task_ids(deal_id)
        tasks = await self._at.hub.tasks(task_ids)
        running = (TaskStatus.ACTIVE, TaskStatus.REVEALING)
        ready = [task_id for task_id, task in zip(task_ids, tasks, strict=True) if task.status in running]
        if ready:
            return calls.claim_array(ready)
        unset = [i for i, task in zip(deal.indexes, tasks, strict=True) if task.status is TaskStatus.UNSET]
        return calls.initialize_and_claim_array([deal_id] * len(unset), unset) if unset else None

    async def _chain_time(self) -> int:
        # A claim is judged by the block it is mined in, which is not older than the newest one, and on a live chain
        # not older than the clock either.
        block = await self._at.rpc.call("eth_getBlockByNumber", "latest", False)
        return max(int(block["timestamp"], 16), int(self._at.clock.now()))
