"""Every change of state is noted with the code of its reason."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from tests.unit.scheduler.model import START, World, address, fresh, report, result

from pyiexec.protocol.errors import CATALOGUE
from pyiexec.protocol.reasons import MEANINGS, Reason
from pyiexec.protocol.replicates import ReplicateStatus
from pyiexec.protocol.tasks import Contribution, ContributionStatus, Task, TaskStatus
from pyiexec.protocol.workflow import Phase
from pyiexec.scheduler import events as e
from pyiexec.scheduler.rules import decide
from pyiexec.scheduler.state import TaskState

S = ReplicateStatus
WORKER = address(1)
AGREED = (e.Initialized(), e.Assigned(WORKER, 2), e.Contributed(WORKER, result("right"), 2))
CONSENSUS = e.ConsensusReached(result("right"), START + 200)


def history(state: TaskState) -> list[tuple[str, str]]:
    return [(change.status, change.reason) for change in state.dates]


def after(*events: e.Event, now: int = START, trust: int = 2) -> TaskState:
    return decide(fresh(trust), events, now=now, candidates=0).state


def test_a_task_that_goes_well_tells_why_at_each_step() -> None:
    state = after(e.InitializeSent(), *AGREED, CONSENSUS)
    for event in (
        e.Revealed(WORKER, result("digest")),  # type: ignore[arg-type]
        report(WORKER, S.RESULT_UPLOADED, location="/ipfs/result"),
        e.UploadVerified(WORKER, "/ipfs/result"),
        e.Finalized(b"link"),
    ):
        state = decide(state, [event], now=START + 1, candidates=0).state
    assert history(state) == [
        ("RECEIVED", "DEAL_MADE"),
        ("INITIALIZING", "INITIALIZE_SENT"),
        ("RUNNING", "INITIALIZED"),
        ("CONSENSUS", "VOTES_SUFFICED"),
        ("REVEALED", "ENOUGH_REVEALED"),
        ("UPLOADING", "UPLOAD_REQUESTED"),
        ("FINALIZING", "RESULT_VERIFIED"),
        ("COMPLETED", "FINALIZED"),
    ]
    (replicate,) = state.replicates
    assert [(change.status, change.reason) for change in replicate.history] == [
        ("CREATED", "ASSIGNED"),
        ("CONTRIBUTED", "SEEN_ON_CHAIN"),
        ("REVEALED", "SEEN_ON_CHAIN"),
        ("RESULT_UPLOADED", "REPORTED"),
    ]


def test_a_consensus_that_nobody_proved_is_told_from_one_that_the_chain_took_back() -> None:
    agreed = after(*AGREED, CONSENSUS)
    reopened = decide(agreed, [e.Reopened()], now=START + 201, candidates=1).state
    assert history(reopened)[-1] == ("RUNNING", "REOPENED")
    taken_back = e.ChainRead(replace(fresh(2).chain, status=TaskStatus.ACTIVE), {}, {}, START + 201)
    assert history(decide(agreed, [taken_back], now=START + 201, candidates=1).state)[-1] == (
        "RUNNING",
        "CHAIN_REORGANISED",
    )
    gone = e.ChainRead(Task(), {}, {}, START + 201)
    assert history(decide(agreed, [gone], now=START + 201, candidates=1).state)[-1] == ("RECEIVED", "CHAIN_REORGANISED")


def test_a_failure_s_reason_is_its_own_code() -> None:
    blame = report(WORKER, S.FAILED, cause="APP_TRAPPED", message="the application trapped")
    failed = after(e.Initialized(), e.Assigned(WORKER, 2), blame)
    assert history(failed)[-1] == ("FAILED", "APP_TRAPPED")
    assert failed.replicates[0].history[-1].reason == "APP_TRAPPED"
    claimed = after(e.Initialized(), e.Claimed())
    assert history(claimed)[-1] == ("FAILED", "CLAIMED")
    undone = e.ChainRead(after(e.Initialized()).chain, {}, {}, START + 1)
    assert history(decide(claimed, [undone], now=START + 1, candidates=1).state)[-1] == ("RUNNING", "CHAIN_REORGANISED")


def test_votes_that_come_after_all_bring_back_what_was_given_up() -> None:
    late = fresh(2).chain.contribution_deadline
    given_up = decide(after(*AGREED), [read_at(late)], now=late, candidates=0).state
    assert given_up.phase is Phase.FAILED
    assert history(decide(given_up, [CONSENSUS], now=late, candidates=0).state)[-1] == ("CONSENSUS", "VOTES_SUFFICED")


def read_at(at: int) -> e.ChainRead:
    vote = Contribution(status=ContributionStatus.CONTRIBUTED, result_hash=result("right"))
    return e.ChainRead(after(*AGREED).chain, {WORKER: vote}, {WORKER: 2}, at)


def test_a_worker_that_was_lost_and_comes_back_is_told_of() -> None:
    lost = after(e.Initialized(), e.Assigned(WORKER, 2), e.WorkerLost(WORKER))
    assert lost.replicates[0].history[-1].reason == "HEARTBEATS_MISSED"
    back = decide(lost, [e.WorkerReturned(WORKER)], now=START + 1, candidates=0).state
    assert back.replicates[0].history[-1].reason == "WORKER_RETURNED"
    forgetful = decide(lost, [e.WorkerReturned(WORKER, forgot=True)], now=START + 1, candidates=0).state
    assert forgetful.replicates[0].history[-1].reason == "WORKER_FORGOT"


def test_every_reason_has_a_meaning_and_none_is_taken_for_an_error() -> None:
    assert MEANINGS.keys() == set(Reason)
    assert not {str(reason) for reason in Reason} & CATALOGUE.keys()


_BEHAVIOURS = st.lists(
    st.sampled_from(["good", "liar", "silent", "broken", "app", "crash", "dead", "cheat"]), min_size=1, max_size=6
)


@settings(max_examples=60, deadline=None)
@given(_BEHAVIOURS, st.integers(1, 20), st.integers(0, 1000))
def test_no_change_of_any_history_is_left_unexplained(behaviours: list[str], trust: int, seed: int) -> None:
    world = World(fresh(trust), behaviours, seed)
    world.run()
    changes = [*world.state.dates, *(change for r in world.state.replicates for change in r.history)]
    assert all(change.reason in MEANINGS or change.reason in CATALOGUE for change in changes), changes
