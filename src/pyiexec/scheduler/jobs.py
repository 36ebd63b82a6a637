"""Which of a task's chain commands are under way: they are decided again and again, and carried out once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pyiexec.protocol.primitives import DealId, TaskId
from pyiexec.scheduler import commands as c
from pyiexec.scheduler.chain_work import ChainWork
from pyiexec.scheduler.inbox import JobKey
from pyiexec.scheduler.state import TaskState

#: Kind of the jobs that look at uploads, which have nothing to do with the chain.
VERIFY = "verify"


@dataclass(eq=False)
class Tracked:
    """A task in memory: its state, jobs under way or done for it, and how often each was tried.

    Attributes:
        stored: whether the database knows it.
        version: counts the chain's logs followed, so that an older reading is not mistaken for news.
    """

    state: TaskState
    stored: bool = True
    version: int = 0
    jobs: set[JobKey] = field(default_factory=set)
    attempts: dict[JobKey, int] = field(default_factory=dict)

    def doubt(self) -> None:
        """The chain went back: what was done there may be undone, so nothing counts as done or under way."""
        self.jobs = {job for job in self.jobs if job[0] == VERIFY}
        self.attempts.clear()

    def over(self, job: JobKey | None) -> None:
        """A job has ended in a way that allows for another try."""
        self.jobs.discard(job or ())


def job_key(state: TaskState, command: c.Command) -> JobKey:
    """What makes a command another than an earlier one of its kind."""
    match command:
        case c.VerifyUpload(worker, location):
            return VERIFY, worker, location
        case c.SubmitFinalize(location):
            return "finalize", location
        case c.SubmitReopen(consensus):
            return "reopen", consensus, state.chain.reveal_deadline
        case _:
            return (type(command).__name__,)


class JobQueue:
    """Commands of one step; those about several tasks of the same kind go out together."""

    def __init__(self) -> None:
        self._wanted: list[tuple[Tracked, JobKey, c.Command]] = []

    def want(self, tracked: Tracked, command: c.Command) -> None:
        """Have a command carried out, unless that is under way or done."""
        job = job_key(tracked.state, command)
        if job not in tracked.jobs:
            tracked.jobs.add(job)
            self._wanted.append((tracked, job, command))

    def start(self, work: ChainWork, read_chain: Callable[[Sequence[TaskId], JobKey], None]) -> None:
        """Start what is wanted."""
        opened: dict[tuple[DealId, int], list[TaskState]] = {}
        claimed: dict[tuple[JobKey, bool, int], list[TaskState]] = {}
        opening: JobKey = ()
        for tracked, job, command in self._wanted:
            state = tracked.state
            attempt = tracked.attempts.get(job, 0)
            tracked.attempts[job] = attempt + 1
            match command:
                case c.SubmitInitialize():
                    opening = job
                    opened.setdefault((state.deal_id, attempt), []).append(state)
                case c.SubmitClaim(initialize):
                    claimed.setdefault((job, initialize, attempt), []).append(state)
                case c.SubmitFinalize(location, callback_data):
                    work.finalize(state, location, callback_data, job, attempt)
                case c.SubmitReopen(consensus):
                    work.reopen(state, consensus, job, attempt)
                case c.VerifyUpload(worker, location, consensus):
                    work.verify(state, worker, location, consensus, job)
                case c.AskEnclave():
                    work.ask_enclave(state, job)
                case c.ReadChain():
                    read_chain([state.task_id], job)
        for (_, attempt), states in opened.items():
            work.initialize(states, opening, attempt)
        for (job, initialize, attempt), states in claimed.items():
            work.claim(states, job, attempt, initialize=initialize)
