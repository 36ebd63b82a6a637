"""A pure model of hub and workers, small enough to run thousands of histories of one task against the rules."""

from __future__ import annotations

import random
from collections.abc import Iterable

from msgspec.structs import replace

from pyiexec.protocol import trust as arithmetic
from pyiexec.protocol.deals import Deal, Resource
from pyiexec.protocol.messages import Progress
from pyiexec.protocol.primitives import Address, ResultDigest, ResultHash, bytes32, checksum, keccak256
from pyiexec.protocol.replicates import ReplicateStatus
from pyiexec.protocol.tasks import Contribution, ContributionStatus, Task, TaskStatus
from pyiexec.scheduler import commands as c
from pyiexec.scheduler import events as e
from pyiexec.scheduler.rules import Policy, decide, is_pending
from pyiexec.scheduler.state import TaskState, new_task

S = ReplicateStatus
DEAL_ID = bytes32(7)
TASK_ID = bytes32(8)
START = 1_000
TIMEREF = 100


def address(number: int) -> Address:
    return checksum(keccak256(number.to_bytes(32, "big"))[12:])


def result(name: str) -> ResultHash:
    return ResultHash(bytes32(keccak256(name.encode())))


def deal(trust: int = 1, *, callback: bool = False) -> Deal:
    return Deal(
        trust=max(trust, 1),
        requester=address(1000),
        callback=address(1001) if callback else Deal().callback,
        workerpool=Resource(address(1002), address(1003), 10),
        start_time=START,
        bot_size=1,
    )


def fresh(trust: int = 1, *, callback: bool = False) -> TaskState:
    return new_task(DEAL_ID, deal(trust, callback=callback), 0, TASK_ID, timeref=TIMEREF, app_checksum="0xapp")


def report(worker: Address, status: ReplicateStatus, **fields: object) -> e.Reported:
    return e.Reported(worker, Progress(task_id=TASK_ID, status=status, **fields))  # type: ignore[arg-type]


class World:
    """The hub's rules for one task, and workers that behave as their name says.

    Behaviours: ``good``; ``liar`` (votes for a common wrong result); ``silent`` (votes, never reveals); ``broken``
    (fails for a reason of its own); ``app`` (the application fails); ``crash`` (is lost before it votes); ``dead``
    (votes and is lost); ``cheat`` (uploads something else); ``slow`` (never comes to an end).
    """

    def __init__(
        self, state: TaskState, behaviours: Iterable[str], seed: int = 0, policy: Policy | None = None
    ) -> None:
        self.state = state
        self.policy = policy or Policy()
        self.random = random.Random(seed)
        self.behaviours = {address(number): behaviour for number, behaviour in enumerate(behaviours)}
        self.weights = {worker: self.random.choice((2, 2, 3, 9)) for worker in self.behaviours}
        self.reach = set(self.behaviours)
        self.now = START
        self.task = state.chain
        self.votes: dict[Address, ResultHash] = {}
        self.standing: dict[Address, ContributionStatus] = {}
        self.pending: list[tuple[int, e.Event]] = []
        self.assigned: list[Address] = []
        self.log: list[c.Command] = []
        self.hedges = 0
        self.decide()

    @property
    def candidates(self) -> list[Address]:
        return [worker for worker in self.behaviours if worker in self.reach and not self.state.find(worker)]

    def decide(self, *events: e.Event) -> None:
        state, commands = decide(self.state, events, now=self.now, candidates=len(self.candidates), policy=self.policy)
        self.state = state
        for command in commands:
            self.log.append(command)
            self._carry_out(command)

    def run(self) -> None:
        """Until the chain asks nothing more, in random order of what is under way."""
        while not self.state.settled:
            if self.pending:
                _, event = self.pending.pop(self.random.randrange(len(self.pending)))
                self._happen(event)
            else:
                self.now += TIMEREF // 2
                self.decide(e.Ticked())
            assert self.now < START + 100 * TIMEREF, "the task must end"

    # --- the hub --------------------------------------------------------------------------------------------------

    def _groups(self) -> dict[ResultHash, int]:
        groups: dict[ResultHash, int] = {}
        for worker, vote in self.votes.items():
            if self.standing[worker] is not ContributionStatus.REJECTED:
                groups = arithmetic.vote(groups, vote, self.weights[worker])
        return groups

    def _contribute(self, worker: Address, vote: ResultHash) -> list[e.Event]:
        if self.task.status is not TaskStatus.ACTIVE or self.now >= self.task.contribution_deadline:
            return []
        self.votes[worker], self.standing[worker] = vote, ContributionStatus.CONTRIBUTED
        events: list[e.Event] = [e.Contributed(worker, vote, self.weights[worker])]
        if arithmetic.stands(self._groups(), vote, self.state.trust):
            winners = sum(
                self.votes[w] == vote and s is ContributionStatus.CONTRIBUTED for w, s in self.standing.items()
            )
            deadline = self.now + 2 * TIMEREF
            self.task = replace(
                self.task,
                status=TaskStatus.REVEALING,
                consensus_value=vote,
                reveal_deadline=deadline,
                winner_counter=winners,
            )
            events.append(e.ConsensusReached(vote, deadline))
        return events

    def _reveal(self, worker: Address) -> list[e.Event]:
        if self.task.status is not TaskStatus.REVEALING or self.now >= self.task.reveal_deadline:
            return []
        if self.standing[worker] is not ContributionStatus.CONTRIBUTED:
            return []
        self.standing[worker] = ContributionStatus.PROVED
        self.task = replace(self.task, reveal_counter=self.task.reveal_counter + 1)
        return [e.Revealed(worker, ResultDigest(bytes32(1)))]

    # --- what is asked --------------------------------------------------------------------------------------------

    def _later(self, *events: e.Event) -> None:
        self.pending += [(len(self.pending), event) for event in events]

    def _carry_out(self, command: c.Command) -> None:
        match command:
            case c.SubmitInitialize():
                if self.task.status is TaskStatus.UNSET:
                    self.task = replace(self.task, status=TaskStatus.ACTIVE)
                    self._later(e.Initialized())
            case c.AssignReplicas():
                # One at a time: each assignment is decided upon anew.
                if self.candidates:
                    self._assign(self.random.choice(self.candidates))
            case c.AssignHedge():
                expected = self.expected_now()
                assert not any(r.hedge for r in self.state.replicates if r.worker in expected), "one at a time"
                assert expected, "somebody is waited for"
                assert self.votes, "others have voted"
                if self.candidates:
                    self.hedges += 1
                    self._assign(self.random.choice(self.candidates), hedge=True)
            case c.SendReveal(worker, consensus):
                assert self.votes[worker] == consensus, "only winners are asked to reveal"
                if self.behaviours[worker] in ("good", "liar", "cheat"):
                    self._later(*self._reveal(worker))
            case c.RequestUpload(worker):
                self._upload(worker)
            case c.VerifyUpload(worker, location, _):
                verified = location == "/good"
                self._later(
                    e.UploadVerified(worker, location)
                    if verified
                    else e.UploadRefused(worker, location, "CONTENT_MISMATCH", "it is something else")
                )
            case c.SubmitFinalize(location):
                assert location == "/good", "nothing unverified is finalized"
                if self.task.may_finalize(self.now):
                    self.task = replace(self.task, status=TaskStatus.COMPLETED)
                    self._later(e.Finalized(b"link"))
            case c.SubmitReopen():
                if self.task.may_reopen(self.now):
                    self._reopen()
            case c.SubmitClaim():
                if self.now >= self.task.final_deadline and self.task.status in (0, 1, 2):
                    self.task = replace(self.task, status=TaskStatus.FAILED)
                    self._later(e.Claimed())
            case c.ReadChain():
                self._later(self.read())

    def read(self) -> e.ChainRead:
        contributions = {
            worker: Contribution(status=self.standing[worker], result_hash=vote) for worker, vote in self.votes.items()
        }
        task = replace(self.task, contributors=tuple(self.votes)) if self.task.status else Task()
        return e.ChainRead(task, contributions, self.weights, self.now)

    def _reopen(self) -> None:
        for worker, vote in self.votes.items():
            if vote == self.task.consensus_value:
                self.standing[worker] = ContributionStatus.REJECTED
        self.task = replace(
            self.task, status=TaskStatus.ACTIVE, consensus_value=bytes32(0), reveal_deadline=0, winner_counter=0
        )
        self._later(e.Reopened())

    def _assign(self, worker: Address, *, hedge: bool = False) -> None:
        assert worker not in self.assigned, "no worker gets a task twice"
        self.assigned.append(worker)
        self.decide(e.Assigned(worker, self.weights[worker], hedge))
        behaviour = self.behaviours[worker]
        if behaviour == "crash":
            self._later(e.WorkerLost(worker))
        elif behaviour == "broken":
            self._later(report(worker, S.FAILED, cause="STAKE_TOO_LOW", message="no stake"))
        elif behaviour == "app":
            self._later(report(worker, S.FAILED, cause="APP_EXITED_NON_ZERO", message="exit 3", exit_code=3))
        elif behaviour != "slow":
            self._later(report(worker, S.COMPUTED))

    def _upload(self, worker: Address) -> None:
        location = {"good": "/good", "liar": "/good"}.get(self.behaviours[worker], "/bad")
        self._later(report(worker, S.RESULT_UPLOADED, location=location))

    def _happen(self, event: e.Event) -> None:
        if isinstance(event, e.Reported) and event.progress.status is S.COMPUTED:
            vote = result("wrong" if self.behaviours[event.worker] == "liar" else "right")
            self.decide(event, *self._contribute(event.worker, vote))
            if self.behaviours[event.worker] == "dead":
                self.reach.discard(event.worker)
                self._later(e.WorkerLost(event.worker))
            return
        if isinstance(event, e.WorkerLost):
            self.reach.discard(event.worker)
        self.decide(event)
        if isinstance(event, e.Revealed):
            self._upload(event.worker)

    def expected_now(self) -> list[Address]:
        return [r.worker for r in self.state.replicates if is_pending(r, self.state, self.now, self.policy)]
