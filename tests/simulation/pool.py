"""A workerpool's scheduler: the real `Engine` with its real store, fed by a simulated chain, wire and clock.

What stands in for the outside are the jobs that `ChainWork` does: reading the chain, sending transactions, fetching
uploads. Its database is SQLite in memory, written within the step, so that a process may be killed before or after any
commit.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import sqlalchemy as sa

from pyiexec.chain.signer import Signer
from pyiexec.protocol import ids
from pyiexec.protocol.messages import Ack, Envelope, Hello, Progress, decode_message
from pyiexec.protocol.poco import Outcome, Refusal
from pyiexec.protocol.primitives import Address, DealId, ResultDigest, ResultHash, TaskId
from pyiexec.protocol.trust import worker_weight
from pyiexec.scheduler import tables
from pyiexec.scheduler.chain_work import _batches, _pause
from pyiexec.scheduler.engine import STEP_LIMIT, Engine
from pyiexec.scheduler.events import ChainRead, InitializeSent, UploadRefused, UploadVerified
from pyiexec.scheduler.followers import Followers
from pyiexec.scheduler.inbox import (
    ChainSeen,
    CommandsAcknowledged,
    DealSeen,
    Item,
    JobKey,
    LogsSeen,
    ReportReceived,
    TaskNews,
    TimePassed,
    TransactionFailed,
    WorkerJoined,
    WorkerLeft,
    WorkerSilent,
)
from pyiexec.scheduler.printouts import Printouts
from pyiexec.scheduler.rules import Policy
from pyiexec.scheduler.state import TaskState
from pyiexec.scheduler.store import DealFacts, find_tasks, load
from pyiexec.scheduler.timers import ChainTime
from tests.simulation.agenda import GENESIS, Agenda
from tests.simulation.chain import Block, Transaction
from tests.simulation.wire import FASTEST, SLOWEST, Connection

if TYPE_CHECKING:
    from tests.simulation.machine import Machine
    from tests.simulation.network import Network

HEARTBEAT = 2.5
#: Seconds after which a worker that says nothing is lost.
SILENCE = 2 * HEARTBEAT
#: Seconds in which what arrives is dealt with together.
TOGETHER = 0.03
#: Blocks whose place in the chain a scheduler remembers.
_REMEMBERED = 16


class Killed(Exception):  # noqa: N818 - a fate, not an error
    """The process died at this instruction."""


class AgendaClock:
    """The agenda's time as a clock."""

    def __init__(self, agenda: Agenda) -> None:
        self._agenda = agenda

    def now(self) -> float:
        """Seconds since the Unix epoch."""
        return GENESIS + self._agenda.now

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return self._agenda.now

    async def sleep(self, seconds: float) -> None:
        """Nothing that runs here sleeps."""
        raise AssertionError(f"a sleep of {seconds} s in a step")


class InstantDatabase:
    """A database whose writes take no time, and around whose commits one may be killed."""

    def __init__(self) -> None:
        engine = sa.create_engine("sqlite://", poolclass=sa.pool.StaticPool)
        self._connection = engine.connect()
        with self._connection.begin():
            tables.metadata.create_all(self._connection)
        #: ``before`` or ``after``: what becomes of the next write's process.
        self.kill: str | None = None

    async def read(self, function: Callable[[sa.Connection], Any]) -> Any:
        """As the database's own `read`."""
        return self.look(function)

    def look(self, function: Callable[[sa.Connection], Any]) -> Any:
        """Run `function` in a transaction."""
        with self._connection.begin():
            return function(self._connection)

    async def insist(self, function: Callable[[sa.Connection], Any]) -> Any:
        """As the database's own `insist`."""
        kill, self.kill = self.kill, None
        if kill == "before":
            raise Killed
        result = self.look(function)
        if kill == "after":
            raise Killed
        return result


class Pool:
    """One scheduler.

    Attributes:
        up: whether the process runs.
        cut: whether its node is on the far side of a partition.
    """

    def __init__(self, network: Network, signer: Signer, workerpool: Address, policy: Policy) -> None:
        self.network = network
        self.agenda = network.agenda
        self.signer = signer
        self.workerpool = workerpool
        self.database = InstantDatabase()
        self.up = self.cut = False
        self.on_step: Callable[[], None] = lambda: None
        self._policy = policy
        self._chance = self.agenda.chance("pool")
        self._life = 0
        self._inbox: list[Item] = []
        self._stepping = self._delivering = False
        self._wake: float | None = None
        self._connections: dict[Address, Connection] = {}
        self._transactions: dict[tuple[str, str], Transaction] = {}
        self._followed: list[Block] = [network.chain.blocks[-1]]

    # --- life ---------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin, or go on where a crash left it."""
        clock = AgendaClock(self.agenda)
        self.chain_time = ChainTime(clock)
        self.chain_time.observe(self.network.chain.blocks[-1].timestamp)
        database = cast("Any", self.database)
        followers = Followers()
        self.engine = Engine(
            stored=self.database.look(load),
            database=database,
            signer=self.signer,
            workerpool=self.workerpool,
            chain_time=self.chain_time,
            policy=self._policy,
            heartbeat_seconds=HEARTBEAT,
            followers=followers,
            printouts=Printouts(database, followers, clock=clock, now=self.chain_time.now, keep_seconds=0),
            chance=self.agenda.chance(f"matching {self._life}"),
        )
        self.up = True
        self.agenda.note("scheduler starts", len(self.engine.tasks))
        self.engine.take_up(cast("Any", SimulatedWork(self)))
        for member in self.engine.crew.in_reach():
            self._await_word(member.worker)
        self._set_alarm()
        self._deliver_blocks()

    def crash(self, where: str | None = None) -> None:
        """Die, at once or ``before`` or ``after`` the next commit."""
        if where is not None:
            self.database.kill = where
            return
        self.agenda.note("scheduler dies")
        self.up = self._stepping = self._delivering = False
        self._life += 1
        self._inbox.clear()
        self._wake = None
        connections, self._connections = self._connections, {}
        for connection in connections.values():
            connection.close("crash")
        self.network.scheduler_died()

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Have something happen, unless the process dies before."""
        life = self._life

        def happen() -> None:
            if self.up and life == self._life:
                action()

        self.agenda.after(seconds, happen)

    def when_reachable(self, action: Callable[[], None]) -> None:
        """Have something happen that takes an answer of the node."""

        def attempt() -> None:
            if self.cut:
                self.later(1.0, attempt)
            else:
                action()

        self.later(self._chance.uniform(FASTEST, SLOWEST), attempt)

    # --- steps --------------------------------------------------------------------------------------------------------

    def post(self, item: Item) -> None:
        """Put something before the engine."""
        self._inbox.append(item)
        if not self._stepping:
            self._stepping = True
            self.later(TOGETHER, self._step)

    def _step(self) -> None:
        items, self._inbox = self._inbox[:STEP_LIMIT], self._inbox[STEP_LIMIT:]
        self._stepping = False
        self.network.before_step(self.engine)
        step = self.engine.step(items)
        try:
            step.send(None)
        except StopIteration:
            pass
        except Killed:
            self.crash()
            return
        else:
            raise AssertionError("a step waits for something")
        if self._inbox:
            self.post(self._inbox.pop())
        self.network.after_step(self.engine)
        self._set_alarm()

    def _set_alarm(self) -> None:
        hour = self.engine.timers.earliest()
        if hour is None or self._wake == hour:
            return
        self._wake = hour

        def ring() -> None:
            if self._wake == hour:
                self._wake = None
                due = self.engine.timers.take_due(self.chain_time.now())
                if due:
                    self.post(TimePassed(due))
                else:
                    self._set_alarm()

        self.later(max(hour - self.chain_time.precise(), 0.001), ring)

    # --- the chain's logs ---------------------------------------------------------------------------------------------

    def hear_block(self) -> None:
        """There is a new head."""
        if self.up and not self.cut:
            self.later(self._chance.uniform(FASTEST, SLOWEST), self._head_arrives)

    def _head_arrives(self) -> None:
        if not self.cut:
            self.chain_time.observe(self.network.chain.blocks[-1].timestamp)
            self._set_alarm()
            self._deliver_blocks()

    def _deliver_blocks(self) -> None:
        """Put the logs before the engine, a batch at a time, from where the database says that they were read to."""
        if self._delivering or self.cut:
            return
        canonical = self.network.chain.canonical
        followed = list(self._followed)
        undone = []
        while followed[-1].number >= len(canonical) or canonical[followed[-1].number] is not followed[-1]:
            undone.append(followed.pop())
        fresh = canonical[followed[-1].number + 1 :]
        if not fresh and not undone:
            return
        place = (followed + fresh)[-_REMEMBERED:]

        def save(_connection: sa.Connection) -> None:
            self._followed = place
            self._delivering = False

        self._delivering = True
        removed = [log for block in undone for log in reversed(block.logs)]
        logs = [log for block in fresh for log in block.logs]
        self.post(LogsSeen(logs, removed, bool(undone), save))

    # --- workers ------------------------------------------------------------------------------------------------------

    def accept(self, machine: Machine, connection: Connection) -> None:
        """A worker opened a connection."""
        worker = machine.address

        def hear(frame: bytes) -> None:
            match decode_message(frame):
                case Hello() as hello:
                    self._connections[worker] = connection
                    score = self.network.hub.score(worker)
                    self.post(WorkerJoined(connection, hello, score))
                case Envelope(seq=seq, body=Progress() as progress):
                    self.post(ReportReceived(worker, connection, seq, progress))
                case Ack(seq=seq):
                    self.post(CommandsAcknowledged(worker, seq))

        life = self._life

        def closed() -> None:
            machine.channel.disconnected(connection)
            if self.up and life == self._life:
                if self._connections.get(worker) is connection:
                    del self._connections[worker]
                self.post(WorkerLeft(worker, connection))
                self._await_word(worker)

        connection.to_scheduler = hear
        connection.on_close = closed

    def _await_word(self, worker: Address) -> None:
        """Call a worker lost unless it is heard of within two heartbeats."""

        def give_up() -> None:
            if worker not in self._connections:
                self.post(WorkerSilent(worker))

        self.later(SILENCE, give_up)

    # --- what remains -------------------------------------------------------------------------------------------------

    def states(self) -> list[TaskState]:
        """All tasks ever, as the database has them."""
        rows = self.database.look(lambda c: list(c.scalars(sa.select(tables.tasks.c.task_id))))
        found: list[TaskState] = []
        for start in range(0, len(rows), 500):
            part = rows[start : start + 500]
            found += self.database.look(lambda c, part=part: find_tasks(c, part))
        return found

    def execute(
        self,
        name: str,
        action: str,
        call: Callable[[int], Outcome[Any]],
        refused: Callable[[], None],
        *,
        retry: bool,
    ) -> None:
        """Send once for each object and action; again, if asked to, what was refused."""
        life = self._life

        def done(refusal: Refusal | None) -> None:
            if refusal is not None and self.up and life == self._life:
                self.when_reachable(refused)

        given = self._transactions.get((name, action))
        if given is None or (given.status == "refused" and retry):
            given = Transaction(f"{action} {name}", self.signer.address, call, done)
            self._transactions[name, action] = given
            self.network.chain.send(given)
        elif given.status == "refused":
            self.when_reachable(refused)
        else:
            given.done = done


class SimulatedWork:
    """What `ChainWork` does, in virtual time and against the model."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._network = pool.network
        self._owner = pool.signer.address
        self.asked: Counter[str] = Counter()

    def read_deal(self, deal_id: DealId, *, with_tasks: bool) -> None:
        """Read a deal, and what the chain already knows of its tasks if it may be an old one."""

        def answer() -> None:
            deal = self._network.hub.deals.get(deal_id)
            if deal is None:
                self._pool.post(DealSeen(deal_id, None))
                return
            timeref = self._network.hub.category(deal.category).work_clock_time_ref
            facts = DealFacts(deal=deal, timeref=timeref, app_checksum="0xapp")
            self._pool.post(DealSeen(deal_id, facts, self._read(deal.task_ids(deal_id)) if with_tasks else {}))

        self._pool.when_reachable(answer)

    def read_chain(self, versions: Mapping[TaskId, int], job: JobKey | None = None) -> None:
        """Read the chain's record of tasks."""
        self._pool.when_reachable(lambda: self._pool.post(ChainSeen(self._read(list(versions)), dict(versions), job)))

    def _read(self, task_ids: Sequence[TaskId]) -> dict[TaskId, ChainRead]:
        hub, found = self._network.hub, {}
        for task_id in task_ids:
            task = hub.task(task_id)
            found[task_id] = ChainRead(
                task,
                {worker: hub.contribution(task_id, worker) for worker in task.contributors},
                {worker: worker_weight(hub.score(worker)) for worker in task.contributors},
                self._network.chain.blocks[-1].timestamp,
            )
        return found

    # --- transactions -------------------------------------------------------------------------------------------------

    def initialize(self, states: Sequence[TaskState], job: JobKey, attempt: int) -> None:
        """Open tasks."""
        hub = self._network.hub
        for batch in _batches(states, attempt):
            deals, indexes = [s.deal_id for s in batch], [s.index for s in batch]
            self._send(batch, job, attempt, "initialize", lambda _now, d=deals, i=indexes: hub.initialize_array(d, i))
            self._pool.post(TaskNews({state.task_id: [InitializeSent()] for state in batch}))

    def finalize(self, state: TaskState, location: str, callback_data: bytes, job: JobKey, attempt: int) -> None:
        """Settle a task."""
        hub, owner = self._network.hub, self._owner
        self._send(
            [state],
            job,
            attempt,
            f"finalize {location}",
            lambda now: hub.finalize(state.task_id, location.encode(), callback_data, sender=owner, now=now),
        )

    def reopen(self, state: TaskState, consensus: ResultHash, job: JobKey, attempt: int) -> None:
        """Throw a consensus away."""
        hub, owner = self._network.hub, self._owner
        action = f"reopen {consensus} {state.chain.reveal_deadline}"
        self._send([state], job, attempt, action, lambda now: hub.reopen(state.task_id, sender=owner, now=now))

    def claim(self, states: Sequence[TaskState], job: JobKey, attempt: int, *, initialize: bool) -> None:
        """Refund tasks."""
        hub = self._network.hub
        for batch in _batches(states, attempt):
            task_ids = [state.task_id for state in batch]
            deals, indexes = [s.deal_id for s in batch], [s.index for s in batch]

            def call(now: int, t: Any = task_ids, d: Any = deals, i: Any = indexes) -> Outcome[Any]:
                if initialize:
                    return hub.initialize_and_claim_array(d, i, now=now)
                return hub.claim_array(t, now=now)

            self._send(batch, job, attempt, "claim", call)

    def _send(
        self,
        states: Sequence[TaskState],
        job: JobKey,
        attempt: int,
        action: str,
        call: Callable[[int], Outcome[Any]],
    ) -> None:
        task_ids = [state.task_id for state in states]
        name = f"{task_ids[0]}..{task_ids[-1]}"
        self.asked[action.partition(" ")[0]] += 1

        def refused() -> None:
            self._pool.post(TransactionFailed(task_ids, job))

        def submit() -> None:
            self._pool.execute(name, action, call, refused, retry=attempt > 0)

        self._pool.later(_pause(attempt - 1) if attempt > 1 else 0.0, lambda: self._pool.when_reachable(submit))

    # --- uploads ------------------------------------------------------------------------------------------------------

    def verify(self, state: TaskState, worker: Address, location: str, consensus: ResultHash, job: JobKey) -> None:
        """Fetch and check what a worker uploaded."""

        def answer() -> None:
            digest: ResultDigest | None = self._network.content.get(location)
            news: UploadVerified | UploadRefused = UploadVerified(worker, location)
            if digest is None or ids.result_hash(state.task_id, digest) != consensus:
                news = UploadRefused(worker, location, "RESULT_WRONG", "it is another result")
            self._pool.post(TaskNews({state.task_id: [news]}, job))

        self._pool.later(self._pool._chance.uniform(0.02, 0.3), answer)

    def ask_enclave(self, state: TaskState, job: JobKey) -> None:
        """No deal of the simulation asks for enclaves."""
        raise AssertionError(f"{state.task_id} asks for an enclave: {job}")
