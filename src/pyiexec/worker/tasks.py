"""The worker's shell around `rules`: takes events to decisions, decisions to the journal, and actions to the world.

An event changes memory at once and is queued to the database in the same breath, so that the order of events is the
order on disk. Actions start without waiting for the disk: every one of them writes through the same queue before it
does anything that cannot be repeated, and only reports and acknowledgements wait for the commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import anyio
import anyio.to_thread

from pyiexec.chain import calls
from pyiexec.chain.hub import Hub
from pyiexec.chain.signer import Signer, recover
from pyiexec.chain.transactions import TransactionManager, TransactionStatus
from pyiexec.foundation.clock import Clock
from pyiexec.foundation.logs import get_logger, traced
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.messages import Assign, Command, Reveal
from pyiexec.protocol.primitives import TaskId, bytes32, to_bytes
from pyiexec.protocol.replicates import PENDING, ReplicateStatus
from pyiexec.protocol.results import ResultLink, format_link
from pyiexec.protocol.tasks import Contribution, ContributionStatus, Task, TaskStatus
from pyiexec.storage.client import ContentClient
from pyiexec.worker import rules
from pyiexec.worker.computation import Computation, read_callback
from pyiexec.worker.conduct import Conduct
from pyiexec.worker.facts import FactReader, Facts
from pyiexec.worker.journal import Journal
from pyiexec.worker.observer import PAUSES, Observer
from pyiexec.worker.record import TaskRecord
from pyiexec.worker.rules import Action
from pyiexec.worker.runs import Runs
from pyiexec.worker.settings import WorkerSettings
from pyiexec.worker.staging import TaskFolder
from pyiexec.worker.watch import Watch

log = get_logger(__name__)

#: Gas limits, several times what the calls were measured to use; what is not used costs nothing.
CONTRIBUTE_GAS, GAS_PER_CONTRIBUTOR, FINALIZE_GAS = 600_000, 20_000, 1_000_000
REVEAL_GAS: int | None = 200_000
#: Seconds for which facts read before a run are still good when it ends; later they are read again.
FACTS_GOOD_FOR = 1.0
_RACES = {"TRANSACTION_REVERTED", "CONTRACT_REVERTED"}


class _Running(NamedTuple):
    """An action under way."""

    task: asyncio.Task[None]
    scope: anyio.CancelScope


class Tasks:
    """All tasks of one worker; `admit` raises when none is to be begun."""

    def __init__(
        self,
        *,
        settings: WorkerSettings,
        signer: Signer,
        hub: Hub,
        journal: Journal,
        facts: FactReader,
        watch: Watch,
        computation: Computation,
        conduct: Conduct,
        content: ContentClient,
        transactions: TransactionManager,
        clock: Clock,
        admit: Callable[[], None] = lambda: None,
    ) -> None:
        self._admit, self.runs = admit, Runs(clock)
        self._settings = settings
        self._signer = signer
        self._hub = hub
        self._journal = journal
        self._facts = facts
        self._watch = watch
        self._computation = computation
        self._conduct = conduct
        self._content = content
        self._transactions = transactions
        self._clock = clock
        self._slots = asyncio.Semaphore(settings.slots)
        self._known: dict[TaskId, tuple[float, Facts]] = {}
        self._running: dict[tuple[TaskId, Action], _Running] = {}
        self._unstoppable: set[TaskId] = set()
        self._observer = Observer(facts, clock, self._see)
        self._failed: asyncio.Future[None] | None = None
        self._closing = False
        self._perform: Mapping[Action, Callable[[TaskId], Awaitable[None]]] = {
            Action.COMPUTE: self._compute,
            Action.CONTRIBUTE: self._contribute,
            Action.FINALIZE: self._finalize,
            Action.REVEAL: self._reveal,
            Action.UPLOAD: self._upload,
        }

    # --- events -----------------------------------------------------------------------------------------------------

    async def run(self, started: Callable[[], None]) -> None:
        """Take up what was left, call `started`, and work until cancelled.

        Raises:
            Exception: whatever an action or a write failed with that is nobody's but this program's fault.
        """
        self._failed = asyncio.get_running_loop().create_future()
        self._journal.on_failure = self._fail
        try:
            await self._take_up()
            started()
            observer = asyncio.create_task(self._observer.run())
            try:
                await asyncio.wait({observer, self._failed}, return_when=asyncio.FIRST_COMPLETED)
                for ended in (observer, self._failed):
                    if ended.done():
                        ended.result()
            finally:
                observer.cancel()
        finally:
            # What ends now may still decide something, which the next life takes up from the journal.
            self._closing = True
            running = list(self._running.values())
            for action in running:
                action.scope.cancel()
            with anyio.CancelScope(shield=True):
                await asyncio.gather(*(action.task for action in running), return_exceptions=True)
            self._failed = None

    async def handle(self, commands: Sequence[tuple[int, Command]]) -> None:
        """Carry out commands in order; returns when their effects are durable."""
        for _, command in commands:
            if isinstance(command, Reveal):
                self._observer.expect_consensus(command.task_id)
        written = [
            self.apply(command.authorization.task_id if isinstance(command, Assign) else command.task_id, command, seq)
            for seq, command in commands
        ]
        await asyncio.gather(*(write for write in written if write is not None))

    def apply(self, task_id: TaskId, event: rules.Event, received: int | None = None) -> asyncio.Task[None] | None:
        """Let `event` happen; the task returned ends when that is durable. None when nothing changed."""
        before = self._journal.get(task_id)
        decision = rules.decide(before, event)
        written = None
        if decision.record is not before or decision.reports or received is not None:
            changed = decision.record if decision.record is not before else None
            # Steps on the way to a result are news, not promises: lost, they are taken again.
            written = self._journal.change(
                changed, decision.reports, received=received, may_wait=isinstance(event, rules.Advanced)
            )
        after = decision.record
        if after is not None and (before is None or after.status is not before.status):
            log.info("task", **after.told)
        for action in decision.actions:
            self._act(task_id, action)
        return written

    def news(self, tasks: Mapping[TaskId, frozenset[str] | None]) -> None:
        """Blocks concern these tasks; see `watch.OnNews`."""
        for task_id, events in tasks.items():
            record = self._journal.get(task_id)
            if record is None or (events is not None and not rules.is_news(record, events)):
                continue
            if events is not None and "TaskConsensus" in events:
                self._observer.expect_consensus(task_id)
            self._observer.soon(task_id)

    def open_tasks(self) -> list[TaskId]:
        """The tasks of which blocks may bring news."""
        return [record.task_id for record in (*self._journal.open_records(), *self._journal.lately_closed())]

    def computing(self) -> list[tuple[TaskRecord, float]]:
        """The tasks being computed, and for how long each of their applications may run, as far as is known."""
        seconds = {task_id: facts.category_seconds for task_id, (_, facts) in self._known.items()}
        computing = [task_id for task_id, action in self._running if action is Action.COMPUTE]
        return [(self._record(task_id), float(seconds.get(task_id, 0))) for task_id in computing]

    def give_back(self, task_id: TaskId, cause: str, message: str) -> None:
        """Compute a task no further, and tell the scheduler why; nothing happens when it has been computed."""
        running = self._running.get((task_id, Action.COMPUTE))
        if running is not None and self._record(task_id).status is not ReplicateStatus.COMPUTED:
            running.scope.cancel()
            self.apply(task_id, rules.Broke(cause, message))

    # --- actions ----------------------------------------------------------------------------------------------------

    def _act(self, task_id: TaskId, action: Action) -> None:
        if self._closing:
            return
        match action:
            case Action.STOP:
                self._stop(task_id)
            case Action.PURGE:
                self._purge(task_id)
            case Action.OBSERVE:
                self._observer.soon(task_id)
            case _ if (task_id, action) not in self._running:
                self._start(task_id, action, lambda: self._guarded(task_id, action))

    def _start(self, task_id: TaskId, action: Action, perform: Callable[[], Awaitable[None]]) -> None:
        # A scope, not the task's own cancellation: it waits for the threads of a sandbox.
        scope, trace = anyio.CancelScope(), self._record(task_id).trace

        async def run() -> None:
            with scope, traced(trace):
                await perform()

        task = asyncio.create_task(run(), name=f"{action} {task_id}")
        self._running[task_id, action] = _Running(task, scope)
        task.add_done_callback(lambda _: self._running.pop((task_id, action), None))

    async def _guarded(self, task_id: TaskId, action: Action) -> None:
        attempt = 0
        while True:
            try:
                return await self._perform[action](task_id)
            except IexecError as error:
                log.warning("an action failed", task=task_id, action=str(action), error=str(error))
                # Whatever keeps a vote from being revealed may pass; giving up costs the stake.
                later = error.retry or action is Action.REVEAL
                if later and not (action is Action.COMPUTE and attempt >= len(PAUSES)):
                    await self._clock.sleep(PAUSES[min(attempt, len(PAUSES) - 1)])
                    attempt += 1
                    continue
                if self._may_break(task_id, action):
                    self.apply(task_id, rules.Broke(error.code, error.what))
            except Exception as error:
                log.error("an action failed unexpectedly", task=task_id, action=str(action), exc_info=error)
                if action is Action.COMPUTE:
                    self.apply(task_id, rules.Broke("INTERNAL", f"the worker failed: {type(error).__name__}"))
                else:
                    # Started again, the worker looks at the chain first.
                    self._fail(error)
            return None

    def _may_break(self, task_id: TaskId, action: Action) -> bool:
        """Whether a task may be given up for the failure of an action: not once a vote of it is cast or on its way."""
        pending = self._record(task_id).status in PENDING
        return action is not Action.REVEAL and pending and task_id not in self._unstoppable

    def _fail(self, error: BaseException) -> None:
        if self._failed is None:
            log.error("the worker's memory was not written", error=str(error))
        elif not self._failed.done():
            self._failed.set_exception(error)

    def _stop(self, task_id: TaskId) -> None:
        """Give the task up, unless its vote is on the way."""
        if task_id in self._unstoppable:
            return
        for action in (Action.COMPUTE, Action.CONTRIBUTE, Action.FINALIZE, Action.UPLOAD):
            running = self._running.get((task_id, action))
            if running is not None:
                running.scope.cancel()
        self.apply(task_id, rules.Stopped())

    def _purge(self, task_id: TaskId) -> None:
        self._known.pop(task_id, None)
        this = asyncio.current_task()
        doomed = [act for (owner, _), act in self._running.items() if owner == task_id and act.task is not this]
        for running in doomed:
            running.scope.cancel()

        async def remove() -> None:
            # A sandbox being killed may still write for a moment.
            await asyncio.gather(*(running.task for running in doomed), return_exceptions=True)
            if (record := self._journal.get(task_id)) is None or record.closed:
                await anyio.to_thread.run_sync(self._folder(task_id).remove)

        self._start(task_id, Action.PURGE, remove)

    async def _compute(self, task_id: TaskId) -> None:
        if removal := self._running.get((task_id, Action.PURGE)):
            await removal.task
        async with self._slots:
            self.apply(task_id, rules.Advanced(ReplicateStatus.STARTED))
            with self.runs.measured() as run:
                produced = await self._produce(self._record(task_id))
                run.outcome = "computed" if isinstance(produced, rules.Computed) else "failed"
            self.apply(task_id, produced)

    async def _produce(self, record: TaskRecord) -> rules.Computed | rules.Broke:
        self._admit()
        facts = await self._read_facts(record)
        assert facts.deal is not None
        signer = recover(rules.authorized_digest(record), to_bytes(record.authorization.signature))
        rules.check_assignment(
            record, facts.deal, worker=self._signer.address, workerpool=self._settings.workerpool, signer=signer
        )
        self._check_gate(record, facts)
        rules.check_category(facts.category_seconds, self._settings.max_category_seconds)
        self._known[record.task_id] = (self._clock.monotonic(), facts)
        if record.mode == "contribute" and (vote := await self._conduct.shortcut(record.task_id)) is not None:
            for status in (ReplicateStatus.APP_DOWNLOADED, ReplicateStatus.DATA_DOWNLOADED):
                self.apply(record.task_id, rules.Advanced(status))
            return rules.Computed(None, vote)
        return await self._computation.produce(
            record, facts, self._folder(record.task_id), lambda step: self.apply(record.task_id, step)
        )

    async def _read_facts(self, record: TaskRecord) -> Facts:
        """The facts, once the node knows the deal."""
        until = self._clock.monotonic() + self._settings.deal_patience_seconds
        while (facts := await self._facts.read(record.authorization)).deal is None:
            left = until - self._clock.monotonic()
            try:
                await asyncio.wait_for(self._watch.next_head(), max(left, 0))
            except TimeoutError:
                deal_id = record.authorization.deal_id
                raise IexecError("DEAL_UNKNOWN", f"the chain knows no deal {deal_id}") from None
        return facts

    def _check_gate(self, record: TaskRecord, facts: Facts) -> None:
        assert facts.deal is not None
        stake, now = facts.account.stake, self._watch.chain_time
        rules.check_gate(record, facts.deal, facts.task, facts.contribution, stake=stake, now=now)

    async def _facts_to_vote(self, record: TaskRecord) -> Facts:
        """Fresh enough facts about a task that takes contributions, or has this worker's."""
        task_id = record.task_id
        read_at, facts = self._known.pop(task_id, (0.0, None))
        if facts is None or self._clock.monotonic() - read_at > FACTS_GOOD_FOR:
            facts = await self._read_facts(record)
        if facts.task.status is TaskStatus.UNSET:
            async with self._watch.changes(task_id) as changed:
                while True:
                    changed.clear()
                    facts = await self._read_facts(record)
                    if facts.task.status is not TaskStatus.UNSET:
                        break
                    self._check_gate(record, facts)
                    left = record.contribution_deadline - self._clock.now()
                    try:
                        await asyncio.wait_for(changed.wait(), max(left, 1.0))
                    except TimeoutError:
                        raise IexecError("CONTRIBUTION_TIMEOUT", "the task was never initialized") from None
        return facts

    async def _contribute(self, task_id: TaskId) -> None:
        record = self._record(task_id)
        try:
            facts = await self._facts_to_vote(record)
            if facts.contribution.status is ContributionStatus.UNSET:
                self._check_gate(record, facts)
        except IexecError:
            if await self._is_vote_under_way(task_id):
                return None
            raise
        if facts.contribution.status is not ContributionStatus.UNSET:
            return self._found_vote(record, facts)
        assert record.result_hash is not None
        seal = self._conduct.seal(self._signer.address, task_id, record.digest)
        data = calls.contribute(task_id, record.result_hash, seal, to_bytes(record.authorization.signature))
        gas = CONTRIBUTE_GAS + GAS_PER_CONTRIBUTOR * len(facts.task.contributors)
        await self._vote(facts, task_id, "contribute", data, gas, ReplicateStatus.CONTRIBUTED)
        return None

    async def _finalize(self, task_id: TaskId) -> None:
        """Contribute, reveal and finalize in one transaction; the result is uploaded."""
        record = self._record(task_id)
        facts = await self._facts_to_vote(record)
        if facts.contribution.status is not ContributionStatus.UNSET:
            return self._found_vote(record, facts)
        self._check_gate(record, facts)
        assert facts.deal is not None
        assert record.digest is not None
        assert record.location is not None
        link = format_link(ResultLink("ipfs", record.location))
        payload = b""
        if facts.deal.has_callback:
            seconds = facts.category_seconds
            payload = await anyio.to_thread.run_sync(read_callback, self._folder(task_id).archive, seconds)
        signature = to_bytes(record.authorization.signature)
        data = calls.contribute_and_finalize(task_id, record.digest, link, signature, payload)
        # A callback takes what gas it likes: estimated, not guessed.
        gas = None if facts.deal.has_callback else FINALIZE_GAS
        await self._vote(facts, task_id, "finalize", data, gas, ReplicateStatus.CONTRIBUTE_AND_FINALIZE_DONE)
        return None

    async def _is_vote_under_way(self, task_id: TaskId) -> bool:
        """Whether a vote sent by an earlier life was cast after all, though none could be sent now."""
        sent = await self._transactions.find(task_id, "contribute")
        if sent is None or sent.status is TransactionStatus.REFUSED:
            return False
        with suppress(IexecError):
            await self._transactions.wait(sent)
        [(task, contribution)] = await self._facts.state([task_id])
        if contribution.status is ContributionStatus.UNSET:
            return False
        self.apply(task_id, rules.Seen(task, contribution))
        return True

    def _found_vote(self, record: TaskRecord, facts: Facts) -> None:
        """A vote of this worker is there already, cast by an earlier life."""
        if facts.contribution.result_hash != record.result_hash:
            raise IexecError("CONTRIBUTION_ALREADY_SET", "this worker has voted for another result, which it lost")
        self.apply(record.task_id, rules.Seen(facts.task, facts.contribution))

    async def _vote(
        self, facts: Facts, task_id: TaskId, action: str, data: bytes, gas: int | None, status: ReplicateStatus
    ) -> None:
        self._unstoppable.add(task_id)
        try:
            receipt = await self._transactions.execute(task_id, action, self._hub.address, data, gas=gas, retry=True)
        except IexecError as error:
            if error.retry:
                raise
            # Whatever became of the transaction, the chain knows whether there is a vote.
            [(task, contribution)] = await self._facts.state([task_id])
            if contribution.status is ContributionStatus.UNSET:
                why = rules.explain_refused_vote(task) if error.code in _RACES else (error.code, error.what)
                self.apply(task_id, rules.Broke(*why))
            else:
                self.apply(task_id, rules.Seen(task, contribution))
        else:
            self.apply(task_id, rules.Confirmed(status, receipt.transaction_hash, facts.task.final_deadline))
        finally:
            self._unstoppable.discard(task_id)

    async def _reveal(self, task_id: TaskId) -> None:
        """Reveal; after a refusal again with every block, as long as the chain waits for it."""
        hub, gas = self._hub.address, REVEAL_GAS
        while self._conduct.reveals and (record := self._record(task_id)).must_reveal and not record.closed:
            assert record.digest is not None, "an honest vote has been computed"
            data = calls.reveal(task_id, record.digest)
            try:
                receipt = await self._transactions.execute(task_id, "reveal", hub, data, gas=gas, retry=True)
            except IexecError as error:
                if error.code not in _RACES:
                    raise
                log.warning("a reveal was refused", task=task_id, error=str(error))
                # From now on the node is asked first, whether it would pass and with how much gas.
                gas = None
                await self._watch.next_head()
                await self._observer.look([task_id])
            else:
                self.apply(task_id, rules.Confirmed(ReplicateStatus.REVEALED, receipt.transaction_hash))
                return

    async def _upload(self, task_id: TaskId) -> None:
        record = self._record(task_id)
        if record.location is not None:
            self.apply(task_id, rules.Uploaded(record.location))
            return
        if not self._conduct.reveals and record.mode == "contribute":
            return
        try:
            archive = await anyio.to_thread.run_sync(self._folder(task_id).archive.read_bytes)
        except FileNotFoundError:
            raise IexecError("RESULT_LOST", "the archive of the result is gone from the disk") from None
        self.apply(task_id, rules.Uploaded(f"/ipfs/{await self._content.add(archive)}"))

    # --- the chain --------------------------------------------------------------------------------------------------

    async def _take_up(self) -> None:
        """Bring the records of an earlier life to what the chain says, then go on with them."""
        open_tasks = self.open_tasks()
        await self._observer.look(open_tasks)
        for task_id in open_tasks:
            record = self._record(task_id)
            for action in () if record.closed else rules.resume(record):
                if action is Action.STOP and await self._transactions.find(task_id, "contribute"):
                    # Its vote may be in the next block: only the chain can stop the task now.
                    action = Action.CONTRIBUTE
                self._act(task_id, action)
        for leftover in self._tasks_dir.iterdir() if self._tasks_dir.exists() else ():
            task_id = TaskId(bytes32(leftover.name))
            held = self._journal.get(task_id)
            if held is None or held.closed:
                await anyio.to_thread.run_sync(self._folder(task_id).remove)

    def _see(self, task_id: TaskId, task: Task, contribution: Contribution) -> bool:
        """Let the rules see what the chain says; whether the task is still open."""
        if self._journal.get(task_id) is None:
            return False
        self.apply(task_id, rules.Seen(task, contribution))
        return not self._record(task_id).closed

    # --- places -----------------------------------------------------------------------------------------------------

    @property
    def _tasks_dir(self) -> Path:
        return self._settings.data_dir / "tasks"

    def _folder(self, task_id: TaskId) -> TaskFolder:
        return TaskFolder(self._tasks_dir, task_id)

    def _record(self, task_id: TaskId) -> TaskRecord:
        record = self._journal.get(task_id)
        assert record is not None, "actions are taken for recorded tasks only"
        return record
