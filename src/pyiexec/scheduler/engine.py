"""The scheduler's one thread of decisions.

Everything that happens comes through the inbox and is dealt with in order: states follow, rules decide, free workers
are matched with waiting tasks. What arrived together is written in one transaction with its effects - states, commands
to workers, the last report processed, the place reached in the chain's log - and only then sent and acknowledged. So
the process may be killed anywhere: what was not committed is delivered again, what was is not repeated.
"""

from __future__ import annotations

import random
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import anyio
from msgspec.structs import replace

from pyiexec.chain.signer import Signer
from pyiexec.foundation.database import Database
from pyiexec.foundation.logs import get_logger
from pyiexec.protocol.deals import Deal
from pyiexec.protocol.messages import Abort, Complete, Reveal, Upload
from pyiexec.protocol.messages import Command as WorkerMessage
from pyiexec.protocol.primitives import Address, DealId, TaskId
from pyiexec.protocol.replicates import ReplicateStatus
from pyiexec.protocol.traces import trace_of
from pyiexec.protocol.trust import NEWCOMER_WEIGHT
from pyiexec.scheduler import commands as c
from pyiexec.scheduler import events as e
from pyiexec.scheduler.admission import turned_away
from pyiexec.scheduler.assigning import assignment
from pyiexec.scheduler.chain_logs import (
    SETTLING,
    DealNoticed,
    ScoreChanged,
    TaskLog,
    event_of,
    interpret,
    tasks_of,
)
from pyiexec.scheduler.chain_work import ChainWork
from pyiexec.scheduler.crew import Crew
from pyiexec.scheduler.demands import Demands
from pyiexec.scheduler.followers import Bell, Followers
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
    WorkerOffers,
    WorkerSilent,
)
from pyiexec.scheduler.jobs import Tracked
from pyiexec.scheduler.mailbox import Mailbox
from pyiexec.scheduler.printouts import Printouts
from pyiexec.scheduler.rules import Policy, decide, is_workers_own, wake_at
from pyiexec.scheduler.state import TaskState
from pyiexec.scheduler.step import Step
from pyiexec.scheduler.store import DealFacts, Stored, find_tasks
from pyiexec.scheduler.tally import Tally
from pyiexec.scheduler.timers import ChainTime, Timers

log = get_logger(__name__)

#: Items dealt with in one step at most: bounds how long the first of them waits for its commit.
STEP_LIMIT = 512
#: Settled tasks kept at hand for late reports and reorganisations.
RECENT = 2_048
#: A deal noticed later than this many seconds after its match may have a history already.
FRESH_SECONDS = 10
#: Tasks whose record is read in one go.
_READ_TOGETHER = 256


class Engine:
    """The decisions of one scheduler; `post` from anywhere in the event loop, `run` once.

    Attributes:
        tasks: unsettled tasks, by id.
        recent: tasks settled lately.
        crew: the workers.
        timers: hours at which tasks are to be looked at again.
        timers_changed: set when the earliest hour may be another.
        tally: what has come about so far.
        stepped: rung after every step.
    """

    def __init__(
        self,
        *,
        stored: Stored,
        database: Database,
        signer: Signer,
        workerpool: Address,
        chain_time: ChainTime,
        policy: Policy,
        heartbeat_seconds: float,
        followers: Followers,
        printouts: Printouts,
        chance: random.Random,
        object_to: Callable[[Deal], str | None] = lambda _deal: None,
    ) -> None:
        self._database = database
        self._signer = signer
        self._workerpool = workerpool
        self._chain_time = chain_time
        self._policy = policy
        self._heartbeat_seconds = heartbeat_seconds
        self._followers = followers
        self._printouts = printouts
        self._object_to = object_to
        self._inbox: Mailbox[Item] = Mailbox()
        self._deals = dict(stored.deals)
        self._unread = set(stored.unread)
        self._unknown: set[TaskId] = set()
        self._acknowledged: dict[Address, int] = {}
        self._demands = Demands(policy, chance)
        self._work: ChainWork | None = None
        self.tasks: dict[TaskId, Tracked] = {state.task_id: Tracked(state) for state in stored.tasks}
        self.recent: OrderedDict[TaskId, Tracked] = OrderedDict()
        self.crew = Crew()
        self.crew.members = {member.worker: member for member in stored.members}
        self.timers = Timers()
        self.timers_changed = anyio.Event()
        self.tally = Tally(stored)
        self.stepped = Bell()
        for state in stored.tasks:
            self.crew.follow(state)
        for member in self.crew.members.values():
            # Whoever has work under way gets two heartbeats to come back.
            if member.involved:
                self.crew.count_with(member)

    @property
    def knows_all_deals(self) -> bool:
        """Whether every deal noticed has been read."""
        return not self._unread

    def post(self, item: Item) -> None:
        """Put something before the engine; never waits."""
        self._inbox.put(item)

    @property
    def waiting(self) -> int:
        """How many tasks need more workers than are free."""
        return len(self._demands)

    def find(self, task_id: TaskId) -> TaskState | None:
        """A task, if it is at hand."""
        tracked = self.tasks.get(task_id) or self.recent.get(task_id)
        return tracked.state if tracked else None

    async def run(self, work: ChainWork) -> None:
        """Take up what a former process left, then deal with the inbox until cancelled."""
        self.take_up(work)
        while True:
            await self.step(await self._inbox.take(STEP_LIMIT))

    def take_up(self, work: ChainWork) -> None:
        """Ask what became of all that a former process left; `work` does what the steps to come want done."""
        self._work = work
        for deal_id in sorted(self._unread):
            work.read_deal(deal_id, with_tasks=True)
        # Our memory is compared with the chain before anything is done about it.
        ids = list(self.tasks)
        for start in range(0, len(ids), _READ_TOGETHER):
            self._read_chain(ids[start : start + _READ_TOGETHER])

    async def step(self, items: Iterable[Item]) -> None:
        """Deal with `items` together; it waits for nothing but the database."""
        step, items = Step(self.crew.headcount()), list(items)
        await self._recall(tasks_of(raw for item in items if isinstance(item, LogsSeen) for raw in item.removed))
        for item in items:
            self._take(item, step)
        if step.crew_changed:
            self._reconsider(step)
        for task_id, events in step.events.items():
            tracked = self.tasks.get(task_id) or self.recent.get(task_id)
            if tracked is not None:
                self._follow(tracked, events, step)
        self._match(step)
        # What the chain is asked to do follows from what it said: it need not wait for our own memory of that.
        step.jobs.start(self._run_work, self._read_chain)
        await self._commit(step)
        step.send(self.crew, self._heartbeat_seconds)
        for task_id in step.changes.tasks.keys() | {task_id for task_id, _ in step.changes.printouts}:
            self._followers.tell(task_id)
        self.stepped.ring()

    async def _recall(self, undone: set[TaskId]) -> None:
        """Have the tasks at hand that a reorganisation may unsettle, those settled before a restart included."""
        if absent := sorted(undone - self.tasks.keys() - self.recent.keys()):
            found = await self._database.read(lambda connection: find_tasks(connection, absent))
            self.recent.update((state.task_id, Tracked(state)) for state in found)

    async def _commit(self, step: Step) -> None:
        saves = [item.save for item in step.followed if item.save is not None]
        if step.changes or saves:
            # Acknowledgements wait for a write that happens anyway: a command told twice does no harm.
            step.changes.acknowledged, self._acknowledged = self._acknowledged, {}
            for worker in step.changes.acknowledged:
                step.changes.members[worker] = self.crew.member(worker)
            rows = step.changes.rows()

            def write(connection: Any) -> None:
                rows.write(connection)
                for save in saves:
                    save(connection)

            await self._database.insist(write)
        for item in step.followed:
            item.done.set()

    # --- what comes in ------------------------------------------------------------------------------------------------

    def _take(self, item: Item, step: Step) -> None:
        match item:
            case LogsSeen():
                self._logs(item, step)
            case DealSeen():
                self._deal(item, step)
            case TaskNews(events, job):
                for task_id, news in events.items():
                    step.happened(task_id, *news)
                    self._job_over(task_id, job)
            case ChainSeen():
                self._chain_seen(item, step)
            case TransactionFailed(tasks, job):
                self._read_chain(tasks, job)
            case ReportReceived():
                self._report(item, step)
            case WorkerJoined():
                self._joined(item, step)
            case WorkerOffers(worker, session, capabilities):
                session.taken()
                if self.crew.member(worker).session is session:
                    self.crew.offered(self.crew.member(worker), capabilities)
                    step.crew_changed = True
            case WorkerLeft(worker, session):
                member = self.crew.member(worker)
                member.session = None if member.session is session else member.session
            case WorkerSilent(worker):
                self._silent(worker, step)
            case CommandsAcknowledged(worker, seq):
                self._acknowledge(worker, seq)
            case TimePassed(tasks):
                for task_id in tasks:
                    step.happened(task_id, e.Ticked())

    def _logs(self, item: LogsSeen, step: Step) -> None:
        step.followed.append(item)
        doubted: set[TaskId] = set(self.tasks) if item.rewound else set()
        for raw in item.removed:
            match interpret(raw):
                case DealNoticed(workerpool, deal_id) if workerpool == self._workerpool:
                    self._read_deal(deal_id, with_tasks=True)
                case TaskLog(task_id, name):
                    doubted.add(task_id)
                    if name in SETTLING:
                        step.happened(task_id, e.Unsettled())
                case _:
                    # A score taken back is read anew when its worker next logs in; until then it is a little off.
                    pass
        for raw in item.logs:
            match interpret(raw):
                case DealNoticed(workerpool, deal_id) if workerpool == self._workerpool:
                    self._noticed(deal_id, raw, step)
                case TaskLog(task_id) as seen:
                    self._task_log(task_id, seen, step)
                case ScoreChanged(worker, accurate):
                    self.crew.scored(worker, accurate=accurate)
        known = [
            tracked for task_id in sorted(doubted) if (tracked := self.tasks.get(task_id) or self.recent.get(task_id))
        ]
        for tracked in known:
            tracked.doubt()
        self._read_chain([tracked.state.task_id for tracked in known])

    def _task_log(self, task_id: TaskId, seen: TaskLog, step: Step) -> None:
        tracked = self.tasks.get(task_id) or self.recent.get(task_id)
        if tracked is None:
            if self._unread:
                self._unknown.add(task_id)
            return
        tracked.version += 1
        state = tracked.state

        def weight(worker: Address) -> int:
            member, replicate = self.crew.members.get(worker), state.find(worker)
            if member is not None and member.session is not None:
                return member.weight
            return replicate.weight if replicate else NEWCOMER_WEIGHT

        now = self._chain_time.now()
        step.happened(task_id, event_of(seen, now=now, timeref=state.chain.timeref, weight=weight))

    def _noticed(self, deal_id: DealId, raw: Any, step: Step) -> None:
        if self._deals.get(deal_id) is False:
            return
        number = raw.get("blockNumber")
        block = int(number, 16) if isinstance(number, str) else None
        self.tally.deal_noticed(block, again=deal_id in self._deals)
        self._deals[deal_id] = False
        step.changes.noticed[deal_id] = block
        stamp = raw.get("blockTimestamp")
        fresh = isinstance(stamp, str) and self._chain_time.now() - int(stamp, 16) <= FRESH_SECONDS
        self._read_deal(deal_id, with_tasks=not fresh)

    def _read_deal(self, deal_id: DealId, *, with_tasks: bool) -> None:
        self._unread.add(deal_id)
        self._run_work.read_deal(deal_id, with_tasks=with_tasks)

    def _deal(self, item: DealSeen, step: Step) -> None:
        self._unread.discard(item.deal_id)
        if item.facts is None:
            self._deal_gone(item.deal_id, step)
        else:
            self._deal_read(item.deal_id, item.facts, item, step)
        if not self._unread:
            self._unknown.clear()

    def _deal_read(self, deal_id: DealId, facts: DealFacts, item: DealSeen, step: Step) -> None:
        deal = facts.deal
        if deal.workerpool.owner != self._signer.address:
            # The owner at the match authorises and finalizes: with our key nobody could even contribute.
            log.error("a deal belongs to another owner of the pool", deal=deal_id, owner=deal.workerpool.owner)
            step.changes.read[deal_id] = facts
            return
        step.changes.read[deal_id] = facts
        told = {"deal": deal_id, "tasks": deal.bot_size, "trust": deal.trust, "requester": deal.requester}
        log.info("deal", trace=trace_of(deal_id), **told)
        why_not = self._object_to(deal)
        if why_not is not None:
            log.warning("a deal is not admitted: its tasks are left alone", deal=deal_id, reason=why_not)
        overtaken = []
        for index, task_id in zip(deal.indexes, deal.task_ids(deal_id), strict=True):
            if task_id in self.tasks or task_id in self.recent:
                # A reorganisation may have undone the deal and made it again.
                overtaken.append(task_id)
                continue
            state = facts.task(deal_id, index, task_id)
            if why_not is not None:
                state = turned_away(state, why_not)
            self.tasks[task_id] = Tracked(state, stored=False)
            record = item.tasks.get(task_id)
            if record is None and task_id in self._unknown:
                # Its logs came while the deal was being read.
                overtaken.append(task_id)
            step.happened(task_id, record or e.Ticked())
        if overtaken:
            self._read_chain(overtaken)

    def _deal_gone(self, deal_id: DealId, step: Step) -> None:
        """The chain was reorganised and no longer has the deal."""
        log.warning("deal is gone", deal=deal_id)
        self._deals[deal_id] = True
        step.changes.gone.append(deal_id)
        for task_id, tracked in self.tasks.items():
            if tracked.state.deal_id == deal_id:
                why = "a reorganisation of the chain undid the deal"
                tracked.state = replace(tracked.state, cause="DEAL_UNKNOWN", explanation=why)
                step.happened(task_id, e.Claimed())

    def _chain_seen(self, item: ChainSeen, step: Step) -> None:
        outdated = []
        for task_id, record in item.records.items():
            tracked = self.tasks.get(task_id) or self.recent.get(task_id)
            if tracked is None or self._deals.get(tracked.state.deal_id):
                # Of a deal that is gone the chain knows nothing: its tasks are over, not still to be opened.
                continue
            if tracked.version != item.versions[task_id]:
                outdated.append(task_id)
                continue
            self._job_over(task_id, item.job)
            step.happened(task_id, record)
        if outdated:
            self._read_chain(outdated, item.job)

    def _read_chain(self, task_ids: Sequence[TaskId], job: JobKey | None = None) -> None:
        versions = {}
        for task_id in task_ids:
            if tracked := self.tasks.get(task_id) or self.recent.get(task_id):
                versions[task_id] = tracked.version
        if versions:
            self._run_work.read_chain(versions, job)

    # --- workers ------------------------------------------------------------------------------------------------------

    def _joined(self, item: WorkerJoined, step: Step) -> None:
        hello, member = item.hello, self.crew.member(item.hello.worker)
        if member.session is not None:
            member.session.close("another connection of this worker took over")
        forgot = hello.received < member.acknowledged
        if forgot:
            member.acknowledged = hello.received
        # A worker that remembers more than we do must not take new commands for old ones.
        member.sent = max(member.sent, hello.received)
        self._acknowledge(member.worker, hello.received)
        was_lost = not member.in_reach
        self.crew.enroll(member, item.session, hello.capabilities, item.score)
        step.changes.members[member.worker] = member
        log.info("worker joined", worker=member.worker, slots=member.slots, score=member.score, forgot=forgot)
        if was_lost or forgot:
            for task_id in sorted(member.involved):
                step.happened(task_id, e.WorkerReturned(member.worker, forgot))
        step.crew_changed = True

    def _acknowledge(self, worker: Address, seq: int) -> None:
        member = self.crew.member(worker)
        if member.acknowledge(seq):
            # Never beyond what was sent: the numbers still to come belong to commands nobody has seen.
            self._acknowledged[worker] = member.acknowledged

    def _silent(self, worker: Address, step: Step) -> None:
        member = self.crew.member(worker)
        if not member.in_reach:
            return
        log.warning("worker lost", worker=worker, tasks=len(member.involved))
        if member.session is not None:
            member.session.close("nothing was heard for two heartbeats")
        self.crew.lose(member)
        for task_id in sorted(member.involved):
            step.happened(task_id, e.WorkerLost(worker))
        step.crew_changed = True

    def _reconsider(self, step: Step) -> None:
        """Who could be asked has changed for all that wait; those with workers to spare need not know it."""
        fewest = self.crew.fewest_since(step.crew_before)
        for task_id in self._demands.missing() if fewest else ():
            state = self.tasks[task_id].state
            tried = len(state.replicates)
            # Rules ask only whether anybody is left and, of a task that was tried, whether as many as must fail alike.
            enough = self._policy.failures if tried else 1
            if state.needs in fewest and fewest[state.needs] - tried < enough:
                step.happened(task_id, e.Ticked())

    def _report(self, item: ReportReceived, step: Step) -> None:
        member, report = self.crew.member(item.worker), item.progress
        item.session.taken()
        if member.session is not item.session:
            return
        if item.seq > member.received + 1:
            item.session.close(f"report {member.received + 1} is missing before {item.seq}")
            return
        step.acks.add(item.worker)
        if item.seq <= member.received:
            return
        member.received = item.seq
        step.changes.members[item.worker] = member
        state = self.find(report.task_id)
        if state is None or state.find(item.worker) is None:
            return
        if report.printed:
            found = self._printouts.conclude(state, item.worker, report.printed)
            step.changes.printouts[report.task_id, item.worker] = found
        if report.status is ReplicateStatus.FAILED and is_workers_own(report.cause):
            member.strikes += 1
        elif report.status is ReplicateStatus.COMPUTED:
            member.strikes = 0
        member.fetched(state, report.status)
        step.happened(report.task_id, e.Reported(item.worker, report))

    # --- what follows -------------------------------------------------------------------------------------------------

    @property
    def _run_work(self) -> ChainWork:
        assert self._work is not None, "the engine runs"
        return self._work

    def _job_over(self, task_id: TaskId, job: JobKey | None) -> None:
        if tracked := self.tasks.get(task_id):
            tracked.over(job)

    def _follow(self, tracked: Tracked, events: Sequence[e.Event], step: Step) -> None:
        before, now = tracked.state, self._chain_time.now()
        candidates, others = self.crew.candidates(before), self.crew.reach - self.crew.able(before.needs)
        state, commands = decide(before, events, now=now, candidates=candidates, unsuited=others, policy=self._policy)
        tracked.state = state
        if not tracked.stored or state != before:
            self.tally.followed(before if tracked.stored else None, state)
            tracked.stored = True
            step.changes.tasks[state.task_id] = state
        if state.phase is not before.phase:
            log.info("task", task=state.task_id, phase=str(state.phase), cause=state.cause, trace=state.trace)
        for command in commands:
            match command:
                case c.AssignReplicas() | c.AssignHedge():
                    pass
                case c.SendReveal(worker, consensus):
                    self._tell(worker, Reveal(task_id=state.task_id, consensus=consensus), step)
                case c.RequestUpload(worker):
                    self._tell(worker, Upload(task_id=state.task_id), step)
                case c.SendComplete(worker):
                    self._tell(worker, Complete(task_id=state.task_id), step)
                case c.SendAbort(worker, reason):
                    self._tell(worker, Abort(task_id=state.task_id, reason=reason), step)
                case _:
                    step.jobs.want(tracked, command)
        self._demands.follow(state, commands)
        self.crew.follow(state)
        if self.timers.put(state.task_id, wake_at(state, now, self._policy)):
            self.timers_changed.set()
        self._keep(tracked)

    def _keep(self, tracked: Tracked) -> None:
        """At hand, or among those settled lately; a reorganisation may unsettle a task."""
        task_id = tracked.state.task_id
        if not tracked.state.settled:
            self.recent.pop(task_id, None)
            self.tasks[task_id] = tracked
        elif self.tasks.pop(task_id, None):
            self.recent[task_id] = tracked
            while len(self.recent) > RECENT:
                self.recent.popitem(last=False)

    def _tell(self, worker: Address, message: WorkerMessage, step: Step) -> None:
        member = self.crew.member(worker)
        seq, body = member.tell(message)
        step.changes.members[worker] = member
        step.changes.commands.append((worker, seq, body))
        step.tellings.append((member, seq, body))

    def _match(self, step: Step) -> None:
        self._demands.match(
            self.crew,
            self._chain_time.now(),
            state_of=lambda task_id: self.tasks[task_id].state,
            assign=lambda task_id, worker, hedge: self._assign(task_id, worker, hedge, step),
        )

    def _assign(self, task_id: TaskId, worker: Address, hedge: bool, step: Step) -> TaskState:
        tracked = self.tasks[task_id]
        self._follow(tracked, [e.Assigned(worker, self.crew.member(worker).weight, hedge)], step)
        self._demands.satisfied(task_id)
        state = tracked.state
        self._tell(worker, assignment(self._signer, state, worker), step)
        log.info("assigned", task=task_id, worker=worker, trace=state.trace)
        return state
