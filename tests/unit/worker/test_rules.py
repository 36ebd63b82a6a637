"""What a worker does next, as a table and as properties of random histories."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from pyiexec.chain.signer import Signer
from pyiexec.protocol import ids
from pyiexec.protocol.authorization import WorkerpoolAuthorization
from pyiexec.protocol.deals import Deal, Resource
from pyiexec.protocol.errors import IexecError
from pyiexec.protocol.messages import Abort, Assign, Complete, Reveal, Upload
from pyiexec.protocol.primitives import Address, DealId, ResultDigest, ResultHash, bytes32
from pyiexec.protocol.printed import Excerpt, Printed
from pyiexec.protocol.replicates import ReplicateStatus as S
from pyiexec.protocol.replicates import advance, is_stale
from pyiexec.protocol.tags import TEE
from pyiexec.protocol.tasks import Contribution, ContributionStatus, Task, TaskStatus
from pyiexec.worker import rules
from pyiexec.worker.record import TaskRecord
from pyiexec.worker.rules import Action, Advanced, Broke, Computed, Confirmed, Decision, Seen, Stopped, Uploaded

OWNER, WORKER = Signer.from_key(bytes(31) + b"\1"), Signer.from_key(bytes(31) + b"\2")
POOL, APP = Address("0x" + "11" * 20), Address("0x" + "22" * 20)
DEAL_ID = DealId(bytes32(7))
TASK = ids.task_id(DEAL_ID, 3)
DIGEST = ResultDigest(bytes32(1))
VOTE = ids.result_hash(TASK, DIGEST)
OTHER = ResultHash(bytes32(99))
TX = bytes32(5)

DEAL = Deal(
    app=Resource(APP, OWNER.address, 0),
    workerpool=Resource(POOL, OWNER.address, 10),
    trust=5,
    bot_first=0,
    bot_size=5,
    worker_stake=100,
)


def authorize(worker: Address = WORKER.address) -> WorkerpoolAuthorization:
    authorization = WorkerpoolAuthorization(worker=worker, task_id=TASK, deal_id=DEAL_ID, index=3)
    signature = OWNER.sign_message_hash(ids.authorization_hash(worker, TASK))
    return replace(authorization, signature="0x" + signature.hex())


OH = Printed(stderr=Excerpt("oh"))
ASSIGN = Assign(authorization=authorize(), mode="contribute", contribution_deadline=1000)
SHORT = replace(ASSIGN, mode="contribute_and_finalize")


def record(status: S = S.CREATED, **fields: object) -> TaskRecord:
    base = TaskRecord(authorization=ASSIGN.authorization, mode="contribute", contribution_deadline=1000, status=status)
    if status not in (S.CREATED, S.STARTED, S.APP_DOWNLOADED, S.DATA_DOWNLOADED):
        base = replace(base, digest=DIGEST, result_hash=VOTE)
    return replace(base, **fields)


def seen(task: TaskStatus, mine: ContributionStatus, *, consensus: ResultHash = VOTE, vote: ResultHash = VOTE) -> Seen:
    return Seen(Task(status=task, consensus_value=consensus), Contribution(status=mine, result_hash=vote))


def told(decision: Decision) -> list[S]:
    return [report.status for report in decision.reports]


CONTRIBUTED, PROVED, REJECTED, UNSET = (
    ContributionStatus.CONTRIBUTED,
    ContributionStatus.PROVED,
    ContributionStatus.REJECTED,
    ContributionStatus.UNSET,
)

TABLE = [
    # (what is known, what happens, status afterwards, what is reported, what is done)
    ("an assignment starts a computation", None, ASSIGN, S.CREATED, [], [Action.COMPUTE]),
    ("a repeated assignment is answered", record(S.COMPUTED), ASSIGN, S.COMPUTED, [S.COMPUTED], []),
    (
        "a failed task may be tried again",
        record(S.FAILED, cause="APP_TIMEOUT"),
        ASSIGN,
        S.CREATED,
        [],
        [Action.COMPUTE],
    ),
    ("a lost vote may not", record(S.FAILED, transaction=TX), ASSIGN, S.FAILED, [S.FAILED], []),
    ("the first step", record(), Advanced(S.STARTED), S.STARTED, [S.STARTED], []),
    ("a step taken again", record(S.DATA_DOWNLOADED), Advanced(S.STARTED), S.DATA_DOWNLOADED, [], []),
    (
        "a result is voted for",
        record(S.DATA_DOWNLOADED),
        Computed(DIGEST, VOTE, 0),
        S.COMPUTED,
        [S.COMPUTED],
        [Action.CONTRIBUTE],
    ),
    (
        "alone, it is uploaded first",
        record(S.DATA_DOWNLOADED, mode="contribute_and_finalize"),
        Computed(DIGEST, VOTE, 0),
        S.COMPUTED,
        [S.COMPUTED],
        [Action.UPLOAD],
    ),
    (
        "and finalized then",
        record(S.COMPUTED, mode="contribute_and_finalize"),
        Uploaded("/ipfs/x"),
        S.COMPUTED,
        [],
        [Action.FINALIZE],
    ),
    (
        "finalized alone",
        record(S.COMPUTED, mode="contribute_and_finalize", location="/ipfs/x"),
        Confirmed(S.CONTRIBUTE_AND_FINALIZE_DONE, TX),
        S.COMPLETED,
        [S.CONTRIBUTE_AND_FINALIZE_DONE, S.COMPLETED],
        [Action.PURGE],
    ),
    ("the vote is in", record(S.COMPUTED), Confirmed(S.CONTRIBUTED, TX), S.CONTRIBUTED, [S.CONTRIBUTED], []),
    (
        "consensus on the own vote, says the scheduler",
        record(S.CONTRIBUTED),
        Reveal(task_id=TASK, consensus=VOTE),
        S.CONTRIBUTED,
        [],
        [Action.OBSERVE],
    ),
    (
        "the chain says nothing of it",
        record(S.CONTRIBUTED),
        seen(TaskStatus.ACTIVE, CONTRIBUTED),
        S.CONTRIBUTED,
        [],
        [],
    ),
    (
        "a reveal that was refused, while the chain still waits for it",
        record(S.CONTRIBUTED, must_reveal=True),
        seen(TaskStatus.REVEALING, CONTRIBUTED),
        S.CONTRIBUTED,
        [],
        [Action.REVEAL, Action.UPLOAD],
    ),
    (
        "a reveal that a reorganisation undid",
        record(S.RESULT_UPLOADED, must_reveal=True, location="/ipfs/x"),
        seen(TaskStatus.REVEALING, CONTRIBUTED),
        S.CONTRIBUTED,
        [],
        [Action.REVEAL, Action.UPLOAD],
    ),
    ("consensus on another", record(S.CONTRIBUTED), Reveal(task_id=TASK, consensus=OTHER), S.CONTRIBUTED, [], []),
    (
        "consensus heard of before the receipt",
        record(S.COMPUTED),
        Reveal(task_id=TASK, consensus=VOTE),
        S.COMPUTED,
        [],
        [Action.OBSERVE],
    ),
    (
        "consensus seen on chain",
        record(S.CONTRIBUTED),
        seen(TaskStatus.REVEALING, CONTRIBUTED),
        S.CONTRIBUTED,
        [],
        [Action.REVEAL, Action.UPLOAD],
    ),
    (
        "consensus seen before the receipt",
        record(S.COMPUTED),
        seen(TaskStatus.REVEALING, CONTRIBUTED),
        S.CONTRIBUTED,
        [S.CONTRIBUTED],
        [Action.REVEAL, Action.UPLOAD],
    ),
    (
        "revealed before uploaded",
        record(S.CONTRIBUTED, must_reveal=True),
        Confirmed(S.REVEALED, TX),
        S.REVEALED,
        [S.REVEALED],
        [Action.UPLOAD],
    ),
    (
        "uploaded before revealed",
        record(S.CONTRIBUTED, must_reveal=True),
        Uploaded("/ipfs/x"),
        S.CONTRIBUTED,
        [],
        [],
    ),
    (
        "then revealed",
        record(S.CONTRIBUTED, must_reveal=True, location="/ipfs/x"),
        Confirmed(S.REVEALED, TX),
        S.RESULT_UPLOADED,
        [S.REVEALED, S.RESULT_UPLOADED],
        [],
    ),
    ("uploaded", record(S.REVEALED), Uploaded("/ipfs/x"), S.RESULT_UPLOADED, [S.RESULT_UPLOADED], []),
    ("an upload asked for again", record(S.REVEALED), Upload(task_id=TASK), S.REVEALED, [], [Action.UPLOAD]),
    (
        "an upload asked for twice",
        record(S.RESULT_UPLOADED, location="/ipfs/x"),
        Upload(task_id=TASK),
        S.REVEALED,
        [S.RESULT_UPLOADED],
        [Action.UPLOAD],
    ),
    ("no upload before consensus", record(S.CONTRIBUTED), Upload(task_id=TASK), S.CONTRIBUTED, [], []),
    (
        "only the chain ends the keeping",
        record(S.RESULT_UPLOADED),
        Complete(task_id=TASK),
        S.RESULT_UPLOADED,
        [],
        [Action.OBSERVE],
    ),
    (
        "completed on chain",
        record(S.RESULT_UPLOADED),
        seen(TaskStatus.COMPLETED, PROVED),
        S.COMPLETED,
        [S.COMPLETED],
        [Action.PURGE],
    ),
    (
        "completed while away",
        record(S.CONTRIBUTED),
        seen(TaskStatus.COMPLETED, PROVED),
        S.COMPLETED,
        [S.REVEALED, S.COMPLETED],
        [Action.PURGE],
    ),
    (
        "outvoted",
        record(S.CONTRIBUTED),
        seen(TaskStatus.COMPLETED, CONTRIBUTED, consensus=OTHER),
        S.FAILED,
        [S.FAILED],
        [Action.PURGE],
    ),
    (
        "claimed",
        record(S.CONTRIBUTED),
        seen(TaskStatus.FAILED, CONTRIBUTED),
        S.ABORTED,
        [S.ABORTED],
        [Action.PURGE],
    ),
    (
        "reopened without this vote",
        record(S.CONTRIBUTED, must_reveal=True),
        seen(TaskStatus.ACTIVE, REJECTED),
        S.FAILED,
        [S.FAILED],
        [Action.PURGE],
    ),
    (
        "a task ended without this worker",
        record(S.STARTED),
        seen(TaskStatus.COMPLETED, UNSET),
        S.STARTED,
        [],
        [Action.STOP],
    ),
    ("nothing new", record(S.STARTED), seen(TaskStatus.ACTIVE, UNSET), S.STARTED, [], []),
    (
        "an older vote than the memory",
        record(S.STARTED),
        seen(TaskStatus.ACTIVE, CONTRIBUTED),
        S.STARTED,
        [],
        [],
    ),
    ("abort of a run", record(S.STARTED), Abort(task_id=TASK, reason="enough"), S.STARTED, [], [Action.STOP]),
    ("it stopped", record(S.STARTED, stopping="enough"), Stopped(), S.ABORTED, [S.ABORTED], [Action.PURGE]),
    (
        "abort of a vote",
        record(S.CONTRIBUTED),
        Abort(task_id=TASK, reason="enough"),
        S.CONTRIBUTED,
        [S.CONTRIBUTED],
        [Action.OBSERVE],
    ),
    (
        "the app failed",
        record(S.DATA_DOWNLOADED),
        Broke("APP_EXITED_NON_ZERO", "exit 3", 3, OH),
        S.FAILED,
        [S.FAILED],
        [Action.PURGE],
    ),
    (
        "asked again about an end",
        record(S.FAILED, cause="APP_TIMEOUT"),
        Reveal(task_id=TASK, consensus=VOTE),
        S.FAILED,
        [S.FAILED],
        [],
    ),
]


@pytest.mark.parametrize(
    ("known", "event", "status", "reports", "actions"), [row[1:] for row in TABLE], ids=[r[0] for r in TABLE]
)
def test_the_worker_knows_what_to_do(
    known: TaskRecord | None, event: rules.Event, status: S, reports: list[S], actions: list[Action]
) -> None:
    decision = rules.decide(known, event)
    assert decision.record is not None
    assert decision.record.status is status
    assert told(decision) == reports
    assert list(decision.actions) == actions


def test_a_task_never_heard_of_is_reported_lost_when_its_result_is_asked_for() -> None:
    for command in (Reveal(task_id=TASK, consensus=VOTE), Upload(task_id=TASK)):
        decision = rules.decide(None, command)
        assert decision.record is None
        assert [(r.status, r.cause) for r in decision.reports] == [(S.FAILED, "RESULT_LOST")]
    assert rules.decide(None, Complete(task_id=TASK)) == Decision(None)
    assert told(rules.decide(None, Abort(task_id=TASK, reason=""))) == [S.ABORTED]


def test_a_consensus_taken_back_by_a_reorganisation_is_revealed_when_it_returns() -> None:
    known = record(S.CONTRIBUTED, must_reveal=True)
    taken_back = rules.decide(known, seen(TaskStatus.ACTIVE, CONTRIBUTED)).record
    assert taken_back is not None
    assert not taken_back.must_reveal
    assert rules.is_news(taken_back, frozenset({"TaskConsensus"}))
    assert Action.REVEAL in rules.decide(taken_back, seen(TaskStatus.REVEALING, CONTRIBUTED)).actions


@pytest.mark.parametrize(
    "end",
    [seen(TaskStatus.COMPLETED, PROVED), seen(TaskStatus.COMPLETED, REJECTED), seen(TaskStatus.FAILED, CONTRIBUTED)],
)
def test_an_end_taken_back_by_a_reorganisation_does_not_cost_the_stake(end: Seen) -> None:
    over = rules.decide(record(S.REVEALED, location="/ipfs/x"), end).record
    assert over is not None
    assert over.closed
    again = rules.decide(over, seen(TaskStatus.REVEALING, CONTRIBUTED))
    assert Action.REVEAL in again.actions
    assert again.record is not None
    assert (again.record.status, again.record.cause) == (S.CONTRIBUTED, None)


@pytest.mark.parametrize(
    "later",
    [
        seen(TaskStatus.COMPLETED, PROVED),
        seen(TaskStatus.REVEALING, CONTRIBUTED, vote=OTHER),
        seen(TaskStatus.ACTIVE, REJECTED),
        seen(TaskStatus.ACTIVE, UNSET),
    ],
)
def test_what_is_over_stays_over_unless_its_vote_is_to_be_proved_again(later: Seen) -> None:
    over = record(S.COMPLETED)
    assert rules.decide(over, later) == Decision(over)


def test_a_failure_is_reported_with_its_cause_exit_code_and_log() -> None:
    report = rules.decide(record(S.DATA_DOWNLOADED), Broke("APP_EXITED_NON_ZERO", "exit 3", 3, OH)).reports[0]
    assert (report.cause, report.message, report.exit_code, report.printed) == ("APP_EXITED_NON_ZERO", "exit 3", 3, OH)


EVENTS = st.sampled_from(
    [
        ASSIGN,
        Reveal(task_id=TASK, consensus=VOTE),
        Reveal(task_id=TASK, consensus=OTHER),
        Upload(task_id=TASK),
        Complete(task_id=TASK),
        Abort(task_id=TASK, reason="enough"),
        *(Advanced(status) for status in (S.STARTED, S.APP_DOWNLOADED, S.DATA_DOWNLOADED)),
        Computed(DIGEST, VOTE, 0),
        Confirmed(S.CONTRIBUTED, TX),
        Confirmed(S.REVEALED, TX),
        Uploaded("/ipfs/x"),
        *(seen(task, mine) for task in TaskStatus for mine in ContributionStatus),
        *(seen(task, mine, consensus=OTHER) for task in TaskStatus for mine in ContributionStatus),
        *(seen(task, mine, vote=OTHER) for task in TaskStatus for mine in ContributionStatus),
    ]
)


@given(st.lists(EVENTS, max_size=30))
def test_whatever_happens_a_result_is_not_forgotten_while_its_vote_can_be_revealed(events: list[rules.Event]) -> None:
    known: TaskRecord | None = None
    for event in events:
        decision = rules.decide(known, event)
        if Action.PURGE in decision.actions and known is not None and known.status is S.CONTRIBUTED:
            assert isinstance(event, Seen)
            ended = event.task.status in (TaskStatus.COMPLETED, TaskStatus.FAILED)
            assert ended or event.contribution.status is REJECTED
        if Action.REVEAL in decision.actions:
            assert isinstance(event, Seen), "the chain's word, not the scheduler's"
            assert decision.record is not None
            assert decision.record.result_hash == VOTE
        known = decision.record


@given(st.lists(EVENTS, max_size=30))
def test_whatever_happens_the_scheduler_can_follow_the_reports(events: list[rules.Event]) -> None:
    known: TaskRecord | None = None
    followed = S.CREATED
    for event in events:
        decision = rules.decide(known, event)
        if isinstance(event, Assign) and Action.COMPUTE in decision.actions:
            followed = S.CREATED
        for report in decision.reports if known is not None else ():
            followed = followed if is_stale(followed, report.status) else advance(followed, report.status)
        known = decision.record


@given(st.lists(EVENTS, max_size=30))
def test_a_restart_finds_something_to_do_unless_the_chain_must_move_first(events: list[rules.Event]) -> None:
    known: TaskRecord | None = None
    for event in events:
        known = rules.decide(known, event).record
        if known is None:
            continue
        actions = rules.resume(known)
        if known.status is S.CONTRIBUTED:
            assert (Action.REVEAL in actions) == (known.must_reveal and known.stopping is None)
        elif known.status not in (S.RESULT_UPLOADED, S.CONTRIBUTE_AND_FINALIZE_DONE):
            assert actions


def gate(**changes: object) -> None:
    arguments: dict[str, object] = {
        "record": record(S.STARTED),
        "deal": DEAL,
        "task": Task(status=TaskStatus.ACTIVE, contribution_deadline=1000),
        "contribution": Contribution(),
        "stake": 100,
        "now": 999,
    }
    rules.check_gate(**arguments | changes)  # type: ignore[arg-type]


def test_the_gate_lets_a_worker_through_that_the_hub_would_accept() -> None:
    gate()
    gate(task=Task())
    gate(stake=0, record=record(S.STARTED, mode="contribute_and_finalize"), deal=replace(DEAL, trust=1))


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("TASK_NOT_ACTIVE", {"task": Task(status=TaskStatus.REVEALING, contribution_deadline=1000)}),
        ("CONTRIBUTION_TIMEOUT", {"now": 1000}),
        ("CONTRIBUTION_ALREADY_SET", {"contribution": Contribution(status=REJECTED)}),
        ("STAKE_TOO_LOW", {"stake": 99}),
        ("TASK_NOT_ACTIVE", {"record": record(S.STARTED, mode="contribute_and_finalize")}),
        (
            "CONSENSUS_REACHED",
            {
                "record": record(S.STARTED, mode="contribute_and_finalize"),
                "deal": replace(DEAL, trust=1),
                "task": Task(status=TaskStatus.ACTIVE, contribution_deadline=1000, contributors=(POOL,)),
            },
        ),
    ],
)
def test_the_gate_refuses_what_the_hub_would_refuse(code: str, changes: dict[str, object]) -> None:
    with pytest.raises(IexecError) as refusal:
        gate(**changes)
    assert refusal.value.code == code


def check(**changes: object) -> None:
    arguments: dict[str, object] = {
        "record": record(),
        "deal": DEAL,
        "worker": WORKER.address,
        "workerpool": POOL,
        "signer": OWNER.address,
    }
    rules.check_assignment(**arguments | changes)  # type: ignore[arg-type]


def test_a_good_assignment_is_accepted() -> None:
    check()


@pytest.mark.parametrize(
    "changes",
    [
        {"worker": OWNER.address},
        {"workerpool": OWNER.address},
        {"signer": WORKER.address},
        {"deal": replace(DEAL, bot_size=3)},
        {"record": replace(record(), authorization=replace(ASSIGN.authorization, index=4))},
    ],
    ids=["another worker", "another pool", "another signer", "index beyond the bag", "another task"],
)
def test_an_assignment_that_is_not_the_pools_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(IexecError) as refusal:
        check(**changes)
    assert refusal.value.code == "AUTHORIZATION_INVALID"


def test_a_deal_for_enclaves_is_refused() -> None:
    with pytest.raises(IexecError) as refusal:
        check(deal=replace(DEAL, tag=bytes32(TEE)))
    assert refusal.value.code == "TEE_NOT_SUPPORTED"
