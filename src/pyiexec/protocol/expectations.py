"""What a task waits for, until when, and what follows if it does not come: from the chain's record alone.

The scheduler and the client tell it in the same words; the scheduler knows besides which of several things it is that
keeps votes from coming. Times are seconds of chain time.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from pyiexec.protocol.tasks import Task, TaskStatus
from pyiexec.protocol.workflow import Phase


class Expectation(StrEnum):
    """What a task may wait for."""

    #: The transaction that opens the task.
    OPENING = "OPENING"
    #: The secret management service's word on who signs for the task's enclaves.
    ENCLAVE = "ENCLAVE"
    #: A worker that can be given the task.
    WORKER = "WORKER"
    #: Agreeing votes of workers.
    VOTES = "VOTES"
    #: The proofs of those who voted for the consensus.
    REVEALS = "REVEALS"
    #: The result itself, in the content store.
    UPLOAD = "UPLOAD"
    #: The transaction that settles the task.
    FINALIZATION = "FINALIZATION"
    #: The final deadline, and somebody who claims.
    REFUND = "REFUND"


class Awaited(msgspec.Struct, frozen=True):
    """What a task waits for.

    Attributes:
        code: of it.
        what: in words.
        until: chain time; for a refund that from which on it can be claimed.
        then: what happens at that time if it has not come, of a refund what it brings.
    """

    code: Expectation
    what: str
    until: int
    then: str


_FAILS = "the task fails, and what it cost can be claimed back after its final deadline"
_REFUNDS = "anybody may claim the task: its requester gets the price back, its workers get their stakes back"


def awaited(phase: Phase, task: Task, *, instead_of_votes: Expectation = Expectation.VOTES) -> Awaited | None:
    """What a task in `phase` waits for; None once the chain has settled it.

    Args:
        phase: where it stands.
        task: the chain's record; of a task that is not opened yet the deadlines alone.
        instead_of_votes: what is missing before anybody can vote, where the caller knows.
    """
    if task.status in (TaskStatus.COMPLETED, TaskStatus.FAILED):
        return None
    match phase:
        case Phase.FAILED:
            what = "the final deadline, and somebody who claims the task then"
            return Awaited(Expectation.REFUND, what, task.final_deadline, _REFUNDS)
        case Phase.RECEIVED | Phase.INITIALIZING:
            what = "the transaction that opens the task"
            return Awaited(Expectation.OPENING, what, task.contribution_deadline, _FAILS)
        case Phase.RUNNING:
            return Awaited(instead_of_votes, _votes(task, instead_of_votes), task.contribution_deadline, _FAILS)
        case Phase.CONSENSUS:
            return _reveals(task)
        case Phase.REVEALED | Phase.UPLOADING:
            what = "the result, from a worker that revealed it"
            return Awaited(Expectation.UPLOAD, what, task.final_deadline, _REFUNDS)
        case _:
            what = "the transaction that settles the task and pays its workers"
            return Awaited(Expectation.FINALIZATION, what, task.final_deadline, _REFUNDS)


def _votes(task: Task, expected: Expectation) -> str:
    match expected:
        case Expectation.ENCLAVE:
            return "the account that the task's enclaves sign with"
        case Expectation.WORKER:
            return "a worker that can be given the task"
        case _:
            voted = len(task.contributors)
            return f"votes until one result is credible enough; {voted} {'has' if voted == 1 else 'have'} been cast"


def _reveals(task: Task) -> Awaited:
    what = f"the proofs of the workers that agreed; {task.reveal_counter} of {task.winner_counter} have given theirs"
    if task.reveal_counter:
        then = "the task goes on with those that did"
    elif task.reveal_deadline < task.contribution_deadline:
        then = "the result is thrown away and other workers are given the task"
    else:
        then = _FAILS
    return Awaited(Expectation.REVEALS, what, task.reveal_deadline, then)
