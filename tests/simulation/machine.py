"""A worker: the real `pyiexec.worker.rules` and conduct, on a machine that computes in virtual time and may crash.

What the records and reports say outlives a crash, what is under way does not. Transactions once sent are the chain's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING, Any

from pyiexec.chain.signer import Signer, recover
from pyiexec.protocol import ids
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.messages import Assign, Command, Reveal
from pyiexec.protocol.poco import Outcome, Refusal
from pyiexec.protocol.primitives import NULL_ADDRESS, Address, ResultDigest, TaskId, bytes32, keccak256, to_bytes
from pyiexec.protocol.replicates import PENDING, ReplicateStatus
from pyiexec.protocol.tasks import ContributionStatus, TaskStatus
from pyiexec.worker import rules
from pyiexec.worker.journal import LATELY_CLOSED
from pyiexec.worker.observer import LOOK_AGAIN_SECONDS, LOOKS
from pyiexec.worker.record import TaskRecord
from pyiexec.worker.rules import Action
from tests.simulation.chain import Transaction
from tests.simulation.characters import Character
from tests.simulation.wire import FASTEST, SLOWEST
from tests.simulation.worker_end import WorkerEnd

if TYPE_CHECKING:
    from tests.simulation.network import Network

SLOTS = 2
#: Seconds of an honest computation.
QUICKEST, LONGEST = 1.0, 8.0
#: Seconds for which a deal may be unknown to the worker's node.
DEAL_PATIENCE = 10.0


class Machine:
    """One worker.

    Attributes:
        records: what it remembers, by task.
        up: whether the process runs.
        cut: whether the machine is on the far side of a partition.
        departed: its owner switched it off for good.
    """

    def __init__(self, network: Network, signer: Signer, character: Character, workerpool: Address) -> None:
        self.network = network
        self.agenda = network.agenda
        self.signer = signer
        self.character = character
        self.conduct = character.conduct
        self.workerpool = workerpool
        self.chance = self.agenda.chance(f"worker {signer.address}")
        self.records: dict[TaskId, TaskRecord] = {}
        self.up = self.cut = self.departed = False
        self.channel = WorkerEnd(self, SLOTS)
        self._transactions: dict[tuple[TaskId, str], Transaction] = {}
        self._life = 0
        self._token = 0
        self._running: dict[tuple[TaskId, Action], int] = {}
        self._computing: set[TaskId] = set()
        self._queue: deque[TaskId] = deque()
        self._unstoppable: set[TaskId] = set()
        self._expected: dict[TaskId, int] = {}

    @property
    def address(self) -> Address:
        """Its account."""
        return self.signer.address

    # --- life ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin, or go on where a crash left it: what the chain says comes first."""
        self.up = True
        self.agenda.note("start", self.address)
        for task_id in self._watched():
            self._look(task_id)
        for task_id in self._open():
            for action in rules.resume(self.records[task_id]):
                given = self._transactions.get((task_id, "contribute"))
                # Its vote may be in the next block: only the chain can stop the task now.
                self._act(task_id, Action.CONTRIBUTE if action is Action.STOP and given else action)
        self.channel.connect()

    def crash(self) -> None:
        """Die without a word."""
        self.agenda.note("crash", self.address)
        self.up = False
        self._life += 1
        self._running.clear()
        self._computing.clear()
        self._queue.clear()
        self._unstoppable.clear()
        self._expected.clear()
        self.channel.hang_up()

    def heal(self) -> None:
        """The partition is over: blocks were missed."""
        self.cut = False
        if self.up:
            self.look_at_all()

    def look_at_all(self) -> None:
        """The chain may have changed in any way."""
        for task_id in self._watched():
            self._soon(task_id)

    def hear_block(self, task_id: TaskId, events: frozenset[str]) -> None:
        """A block concerns a task."""
        record = self.records.get(task_id)
        if not self.up or self.cut or record is None or record.closed or not rules.is_news(record, events):
            return
        if "TaskConsensus" in events:
            self._expected[task_id] = LOOKS
        self._soon(task_id)

    def _open(self) -> list[TaskId]:
        return [task_id for task_id, record in self.records.items() if not record.closed]

    def _watched(self) -> list[TaskId]:
        """As the worker's shell has it: the open ones, and those closed last."""
        closed = (task_id for task_id, record in reversed(self.records.items()) if record.closed)
        return self._open() + list(islice(closed, LATELY_CLOSED))

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Have something happen, unless the process dies before."""
        life = self._life

        def happen() -> None:
            if self.up and life == self._life:
                action()

        self.agenda.after(seconds, happen)

    def obey(self, command: Command) -> None:
        """A command of the scheduler arrived."""
        task_id = command.authorization.task_id if isinstance(command, Assign) else command.task_id
        if isinstance(command, Reveal):
            self._expected[task_id] = LOOKS
        self.apply(task_id, command)

    # --- events and actions -------------------------------------------------------------------------------------------

    def apply(self, task_id: TaskId, event: rules.Event) -> None:
        """Let something happen, as the worker's shell does."""
        before = self.records.get(task_id)
        decision = rules.decide(before, event)
        after = decision.record
        if after is not None and after is not before:
            # The one changed last is the last, as in the journal.
            self.records.pop(task_id, None)
            self.records[task_id] = after
            self.network.hold(task_id, self, held=not after.closed)
            self.network.invariants.worker_moved(self, before, after)
        for report in decision.reports:
            self.channel.owe(report)
        if after is not None and (before is None or before.status is not after.status):
            self.agenda.note(self.address, task_id, after.status, after.cause)
        for action in decision.actions:
            self._act(task_id, action)

    def _act(self, task_id: TaskId, action: Action) -> None:
        match action:
            case Action.STOP:
                self._stop(task_id)
            case Action.PURGE:
                self._drop(task_id, *Action)
            case Action.OBSERVE:
                self._soon(task_id)
            case _ if (task_id, action) not in self._running:
                self._token += 1
                token = self._running[task_id, action] = self._token
                self._perform(task_id, action, token)

    def _perform(self, task_id: TaskId, action: Action, token: int) -> None:
        """Carry an action on; once the chain is in reach, and unless it was dropped meanwhile."""
        if self._running.get((task_id, action)) != token:
            return
        if self.cut:
            self._again(task_id, action, token)
            return
        perform = {
            Action.COMPUTE: self._compute,
            Action.CONTRIBUTE: self._contribute,
            Action.FINALIZE: self._finalize,
            Action.REVEAL: self._reveal,
            Action.UPLOAD: self._upload,
        }[action]
        try:
            perform(task_id, token)
        except IexecError as error:
            self._over(task_id, action)
            if self.records[task_id].status in PENDING and task_id not in self._unstoppable:
                self.apply(task_id, rules.Broke(error.code, error.what))

    def _again(self, task_id: TaskId, action: Action, token: int, seconds: float = 1.0) -> None:
        self.later(seconds, lambda: self._perform(task_id, action, token))

    def _over(self, task_id: TaskId, action: Action) -> None:
        self._running.pop((task_id, action), None)
        if action is Action.COMPUTE:
            self._computing.discard(task_id)
            self._start_queued()

    def _drop(self, task_id: TaskId, *actions: Action) -> None:
        for action in actions:
            self._over(task_id, action)

    def _stop(self, task_id: TaskId) -> None:
        if task_id not in self._unstoppable:
            self._drop(task_id, Action.COMPUTE, Action.CONTRIBUTE, Action.FINALIZE, Action.UPLOAD)
            self.apply(task_id, rules.Stopped())

    # --- looking ------------------------------------------------------------------------------------------------------

    def _soon(self, task_id: TaskId) -> None:
        self.later(self.chance.uniform(FASTEST, SLOWEST), lambda: self._look(task_id))

    def _look(self, task_id: TaskId) -> None:
        if self.cut:
            # Healing looks at everything.
            return
        task = self.network.hub.task(task_id)
        looks = self._expected.pop(task_id, 0)
        self.apply(task_id, rules.Seen(task, self.network.hub.contribution(task_id, self.address)))
        if looks and not self.records[task_id].closed and task.status is TaskStatus.ACTIVE:
            self._expected[task_id] = looks - 1
            self.later(LOOK_AGAIN_SECONDS, lambda: self._look(task_id))

    # --- computing ----------------------------------------------------------------------------------------------------

    def _start_queued(self) -> None:
        while self._queue and len(self._computing) < SLOTS:
            task_id = self._queue.popleft()
            token = self._running.get((task_id, Action.COMPUTE))
            if token is not None:
                self._perform(task_id, Action.COMPUTE, token)

    def _compute(self, task_id: TaskId, token: int) -> None:
        if len(self._computing) >= SLOTS:
            self._queue.append(task_id)
            return
        self._computing.add(task_id)
        self.apply(task_id, rules.Advanced(ReplicateStatus.STARTED))
        self._prepare(task_id, token, self.agenda.now + DEAL_PATIENCE)

    def _prepare(self, task_id: TaskId, token: int, patience: float) -> None:
        """Read what was sold and refuse what cannot be right; then compute, or pretend to."""
        if self._running.get((task_id, Action.COMPUTE)) != token:
            return
        record = self.records[task_id]
        deal = self.network.hub.deals.get(record.authorization.deal_id)
        if self.cut or (deal is None and self.agenda.now < patience):
            self.later(1.0, lambda: self._prepare(task_id, token, patience))
            return
        try:
            if deal is None:
                raise IexecError("DEAL_UNKNOWN", f"the chain knows no deal {record.authorization.deal_id}")
            signer = recover(rules.authorized_digest(record), to_bytes(record.authorization.signature))
            rules.check_assignment(record, deal, worker=self.address, workerpool=self.workerpool, signer=signer)
            self._check_gate(record)
        except IexecError as error:
            self._over(task_id, Action.COMPUTE)
            self.apply(task_id, rules.Broke(error.code, error.what))
            return
        if self.character.copies and record.mode == "contribute":
            self._copy(task_id, token)
            return
        self.later(self.chance.uniform(FASTEST, SLOWEST), lambda: self._fetched(task_id, token))

    def _fetched(self, task_id: TaskId, token: int) -> None:
        if self._running.get((task_id, Action.COMPUTE)) != token:
            return
        for step in (ReplicateStatus.APP_DOWNLOADED, ReplicateStatus.DATA_DOWNLOADED):
            self.apply(task_id, rules.Advanced(step))
        seconds = self.chance.uniform(QUICKEST, LONGEST) * self.character.slowness
        self.later(seconds, lambda: self._computed(task_id, token))

    def _computed(self, task_id: TaskId, token: int) -> None:
        if self._running.get((task_id, Action.COMPUTE)) != token:
            return
        digest = self.character.answer(self.address, task_id)
        self._over(task_id, Action.COMPUTE)
        self.apply(task_id, rules.Computed(digest, ids.result_hash(task_id, digest)))

    def _copy(self, task_id: TaskId, token: int) -> None:
        """Wait for the vote of somebody else."""
        if self._running.get((task_id, Action.COMPUTE)) != token:
            return
        others = [w for w in self.network.hub.task(task_id).contributors if w != self.address]
        if not others or self.cut:
            self.later(1.0, lambda: self._copy(task_id, token))
            return
        vote = self.network.hub.contribution(task_id, others[0]).result_hash
        self._over(task_id, Action.COMPUTE)
        self.apply(task_id, rules.Computed(None, vote))

    # --- the chain ----------------------------------------------------------------------------------------------------

    def _check_gate(self, record: TaskRecord) -> None:
        hub, task_id = self.network.hub, record.task_id
        rules.check_gate(
            record,
            hub.deal(record.authorization.deal_id),
            hub.task(task_id),
            hub.contribution(task_id, self.address),
            stake=hub.balance_of(self.address),
            now=self.network.chain.blocks[-1].timestamp,
        )

    def _may_vote(self, task_id: TaskId, action: Action, token: int) -> bool:
        """Whether the vote is to be sent now: neither too early nor cast before."""
        hub, record = self.network.hub, self.records[task_id]
        contribution = hub.contribution(task_id, self.address)
        given = self._transactions.get((task_id, action.value))
        if contribution.status is ContributionStatus.UNSET and not (given and given.status == "pending"):
            self._check_gate(record)
        if hub.task(task_id).status is TaskStatus.UNSET:
            if self.agenda.chain_now >= record.contribution_deadline:
                raise IexecError("CONTRIBUTION_TIMEOUT", "the task was never initialized")
            self._again(task_id, action, token)
            return False
        if contribution.status is ContributionStatus.UNSET:
            return True
        if contribution.result_hash != record.result_hash:
            raise IexecError("CONTRIBUTION_ALREADY_SET", "this worker has voted for another result, which it lost")
        self._over(task_id, action)
        self.apply(task_id, rules.Seen(hub.task(task_id), contribution))
        return False

    def _contribute(self, task_id: TaskId, token: int) -> None:
        if not self._may_vote(task_id, Action.CONTRIBUTE, token):
            return
        record = self.records[task_id]
        assert record.result_hash is not None, "a vote follows a result"
        result, sign = record.result_hash, to_bytes(record.authorization.signature)
        seal = self.conduct.seal(self.address, task_id, record.digest)
        self._vote(
            task_id,
            Action.CONTRIBUTE,
            lambda now: self.network.hub.contribute(
                task_id, result, seal, NULL_ADDRESS, b"", sign, sender=self.address, now=now
            ),
            ReplicateStatus.CONTRIBUTED,
        )

    def _finalize(self, task_id: TaskId, token: int) -> None:
        if not self._may_vote(task_id, Action.FINALIZE, token):
            return
        record = self.records[task_id]
        assert record.digest is not None, "a vote follows a result"
        assert record.location is not None, "it is uploaded first"
        digest, link, sign = record.digest, record.location.encode(), to_bytes(record.authorization.signature)
        self._vote(
            task_id,
            Action.FINALIZE,
            lambda now: self.network.hub.contribute_and_finalize(
                task_id, digest, link, b"", NULL_ADDRESS, b"", sign, sender=self.address, now=now
            ),
            ReplicateStatus.CONTRIBUTE_AND_FINALIZE_DONE,
        )

    def _vote(
        self, task_id: TaskId, action: Action, call: Callable[[int], Outcome[Any]], status: ReplicateStatus
    ) -> None:
        self._unstoppable.add(task_id)

        def done(refusal: Refusal | None) -> None:
            self._unstoppable.discard(task_id)
            self._over(task_id, action)
            hub = self.network.hub
            task, contribution = hub.task(task_id), hub.contribution(task_id, self.address)
            if refusal is None:
                receipt = bytes32(keccak256(f"{action} {task_id} {self.address}".encode()))
                self.apply(task_id, rules.Confirmed(status, receipt, task.final_deadline))
            elif contribution.status is ContributionStatus.UNSET:
                self.apply(task_id, rules.Broke(*rules.explain_refused_vote(task)))
            else:
                self.apply(task_id, rules.Seen(task, contribution))

        self._execute(task_id, action.value, call, done)

    def _reveal(self, task_id: TaskId, token: int) -> None:
        """Reveal; after a refusal again with the next block, as long as the chain waits for it."""
        record = self.records[task_id]
        if not self.conduct.reveals or not record.must_reveal or record.closed:
            self._over(task_id, Action.REVEAL)
            return
        assert record.digest is not None, "an honest vote has been computed"
        digest: ResultDigest = record.digest

        def done(refusal: Refusal | None) -> None:
            if refusal is None:
                self._over(task_id, Action.REVEAL)
                receipt = bytes32(keccak256(f"reveal {task_id} {self.address}".encode()))
                self.apply(task_id, rules.Confirmed(ReplicateStatus.REVEALED, receipt))
            else:
                self._soon(task_id)
                self._again(task_id, Action.REVEAL, token)

        hub = self.network.hub
        self._execute(task_id, "reveal", lambda now: hub.reveal(task_id, digest, sender=self.address, now=now), done)

    def _execute(
        self,
        task_id: TaskId,
        action: str,
        call: Callable[[int], Outcome[Any]],
        done: Callable[[Refusal | None], None],
    ) -> None:
        """Send once for each task and action, again only what was refused; `done` unless the process dies before."""

        def tell(refusal: Refusal | None) -> None:
            self._later_told(refusal, done, life)

        life = self._life
        given = self._transactions.get((task_id, action))
        if given is None or given.status == "refused":
            given = Transaction(f"{action} {task_id} {self.address}", self.address, call, tell)
            self._transactions[task_id, action] = given
            self.network.chain.send(given)
        elif given.told:
            self.later(SLOWEST, lambda: done(None))
        else:
            given.done = tell

    def _later_told(self, refusal: Refusal | None, done: Callable[[Refusal | None], None], life: int) -> None:
        """A receipt is seen once the node can be asked for it."""
        if not self.up or life != self._life:
            return
        if self.cut:
            self.later(1.0, lambda: self._later_told(refusal, done, life))
        else:
            self.later(self.chance.uniform(FASTEST, SLOWEST), lambda: done(refusal))

    def _upload(self, task_id: TaskId, _token: int) -> None:
        record = self.records[task_id]
        if record.location is not None:
            self._over(task_id, Action.UPLOAD)
            self.apply(task_id, rules.Uploaded(record.location))
            return
        if (not self.conduct.reveals and record.mode == "contribute") or record.digest is None:
            self._over(task_id, Action.UPLOAD)
            return
        location, digest = f"/ipfs/{record.digest}", record.digest

        def stored() -> None:
            self.network.content[location] = digest
            self._over(task_id, Action.UPLOAD)
            self.apply(task_id, rules.Uploaded(location))

        self.later(self.chance.uniform(FASTEST, SLOWEST), stored)
